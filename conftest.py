"""`make test` has two workers: what starts Spark or the whole stack stays with one, the rest is for the other."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

HEAVY = ("end_to_end", "spark")
ROOT = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Heavy files first: together they take as long as all the others."""
    items.sort(key=lambda item: not _is_heavy(item.nodeid.partition("::")[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests stay together, and all heavy files."""
    # xdist's own groups (--dist loadgroup, 3.8.0) do nothing with pytest 9.2.
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415

    class HeavyTogether(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "heavy" if _is_heavy(file) else file

    return HeavyTogether(config, log)


@cache
def _is_heavy(file: str) -> bool:
    text = (ROOT / file).read_text(encoding="utf-8")
    return any(f"mark.{name}" in text for name in HEAVY)
