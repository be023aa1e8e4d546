"""How `make test` gives its three workers the tests: none idles, and no more than two Sparks run at a time.

One takes all files that share a stack, one those that start Spark alone, one those that are light; when these are done,
which is at about the same time, two of them take the files that start stacks of their own.
"""

from __future__ import annotations

import os
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Beside Sparks an example may take any time; what must be fast, a benchmark says.
hypothesis.settings.register_profile("beside others", deadline=None)
hypothesis.settings.load_profile("beside others")

# Each worker's stacks have a range of ports of their own: while one of them starts a killed service again, its port
# looks free to the others.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("SMARTCITY_PORT_BASE", str(11_000 + 2_000 * int(worker.removeprefix("gw"))))

HEAVY = ("end_to_end", "spark")
ROOT = Path(__file__).parent


class Kind(IntEnum):
    """Of a file of tests, in the order in which they are handed out."""

    SHARED_STACK = 0
    SPARK = 1
    LIGHT = 2
    OWN_STACK = 3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """By the kind of their files."""
    items.sort(key=lambda item: _kind(item.nodeid.partition("::")[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A light file's tests stay together on a worker, and all files of another kind; of the last kind in two lots."""
    # xdist's own groups (--dist loadgroup, 3.8.0) do nothing with pytest 9.2.
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415

    class ByKind(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            match _kind(file):
                case Kind.LIGHT:
                    return file
                case Kind.OWN_STACK as kind:
                    # The first, chaos, takes as long as two others.
                    return f"{kind.name} {_own_stacks().index(file) % 3 == 0}"
                case kind:
                    return kind.name

    return ByKind(config, log)


@cache
def _kind(file: str) -> Kind:
    text = (ROOT / file).read_text(encoding="utf-8")
    if not any(f"mark.{name}" in text for name in HEAVY):
        return Kind.LIGHT
    if not file.startswith("tests/"):
        return Kind.SPARK
    # Who takes the fixture of tests/conftest.py; a stack apart from it needs the jars linked.
    return Kind.SHARED_STACK if "stack: Stack" in text and "link_jars" not in text else Kind.OWN_STACK


@cache
def _own_stacks() -> list[str]:
    files = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("test_*.py"))
    return [file for file in files if _kind(file) is Kind.OWN_STACK]
