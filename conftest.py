"""`make test` has three workers: one keeps the shared stack, one the rest of what starts Spark, one all that is light.

They take about equally long, and no more than two Sparks run at a time.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Beside Sparks an example may take any time; what must be fast, a benchmark says.
hypothesis.settings.register_profile("beside others", deadline=None)
hypothesis.settings.load_profile("beside others")

HEAVY = ("end_to_end", "spark")
ROOT = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Heavy files first: they take longest."""
    items.sort(key=lambda item: not _is_heavy(item.nodeid.partition("::")[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests stay together, all files that share a stack, and all other heavy files."""
    # xdist's own groups (--dist loadgroup, 3.8.0) do nothing with pytest 9.2.
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415

    class HeavyTogether(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if _shares_the_stack(file):
                return "stack"
            return "heavy" if _is_heavy(file) else file

    return HeavyTogether(config, log)


def _is_heavy(file: str) -> bool:
    return any(f"mark.{name}" in _text(file) for name in HEAVY)


def _shares_the_stack(file: str) -> bool:
    """Whether its tests take the fixture of tests/conftest.py; who starts a stack alone needs the jars linked."""
    return "stack: Stack" in _text(file) and "link_jars" not in _text(file) and _is_heavy(file)


@cache
def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")
