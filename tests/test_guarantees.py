"""docs/guarantees.md names tests for its promises: they exist, and every promise has one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
FOLDERS = ("contracts", "firmware-sim", "edge", "bridge", "cloud", "local", "tests")


def existing() -> set[str]:
    """Names of all test functions."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("test_*.py")]
    return {name for path in files for name in re.findall(r"^def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)}


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 40
    assert sorted(named - existing()) == []


def test_every_promise_names_a_test() -> None:
    rows = re.findall(r"^\| (\d+) \|(.+)$", TEXT, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    assert [number for number, row in rows if "`test_" not in row.rpartition(" | ")[2]] == []


def test_linked_files_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
