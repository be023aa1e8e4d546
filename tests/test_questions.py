"""The questions' benchmark in small: real compaction and marts, equal answers, fewer bytes than the tutorials'."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "bench"))
import questions

pytestmark = pytest.mark.spark
DAYS, VEHICLES = 1, 10


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of ten vehicles that drive one drive per route."""
    options = argparse.Namespace(
        vehicles=VEHICLES, days=DAYS, drives=1, frame_interval_s=1_800, batch_minutes=120,
        driver_memory="1g", stop_after=None
    )  # fmt: skip
    return questions.run(options, tmp_path_factory.mktemp("questions"))


def test_ten_questions_are_answered_alike_and_cost_less(figures: dict[str, Any]) -> None:
    found = figures["questions"]
    assert len(found) == 10
    assert all(one["rows"] and one["bytes"] and one["tutorial_bytes"] for one in found.values())
    total = {key: sum(one[key] for one in found.values()) for key in ("bytes", "tutorial_bytes")}
    assert figures["scanned_bytes_ratio"] == round(total["tutorial_bytes"] / total["bytes"], 1)
    # Bytes do not depend on how fast or busy a machine is. What is small of so few vehicles is so in both layouts.
    assert figures["scanned_bytes_ratio"] > 3


def test_what_was_asked_is_what_compaction_and_the_marts_left(figures: dict[str, Any]) -> None:
    assert figures["compacted_files"]["gps"] > DAYS
    assert figures["files"]["lake"]["gps"] == DAYS
    assert figures["mart_rows"]["journeys"] == VEHICLES
    assert figures["rows"]["gps"] == figures["rows"]["vehicle"] > 5_000 * VEHICLES
