"""What the soak calls steady, on made-up series."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest

from .soak.picture import draw
from .soak.steady import SAMPLES_MIN, SHARE, judge

SAWTOOTH = [5, 10, 15, 20] * 15


def test_growth_is_seen_and_a_filling_start_is_not_taken_for_it() -> None:
    filling = [*range(0, 1000, 50), *[1000] * 40]
    assert judge("memory", filling, by="median", slack=0).steady
    assert not judge("memory", range(0, 3000, 50), by="median", slack=0).steady


def test_a_sawtooth_is_steady_until_its_peaks_grow() -> None:
    assert judge("files", SAWTOOTH, by="peak", slack=0).steady
    grown = [value + number // 4 for number, value in enumerate(SAWTOOTH)]
    assert not judge("files", grown, by="peak", slack=0).steady


def test_the_bound_is_the_share_or_the_slack() -> None:
    low, high = [100.0] * 40, [100 * (1 + SHARE)] * 20
    assert judge("memory", low + high, by="median", slack=0).steady
    assert not judge("memory", low + [value + 1 for value in high], by="median", slack=0).steady
    assert judge("files", [1] * 40 + [9] * 20, by="peak", slack=10).steady


def test_too_few_samples_say_nothing() -> None:
    with pytest.raises(ValueError, match="too few"):
        judge("memory", [1.0] * (SAMPLES_MIN - 1), by="median", slack=0)


def test_the_picture_has_every_series_inside_its_frame() -> None:
    samples: list[dict[str, Any]] = [
        {
            "at_s": at, "memory": {"kafka": 400 + at, "lake JVM": 1}, "files": {"gps": at}, "snapshots": {"gps": 9},
            "rows": {"gps": at * 10}, "batch_s": 1.5,
        }
        for at in range(0, 600, 10)
    ]  # fmt: skip
    root = ET.fromstring(draw(samples, speed=60))
    width, height = (float(value) for value in root.attrib["viewBox"].split()[2:])
    drawn = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(drawn) == 5
    for line in drawn:
        points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        assert len(points) == len(samples)
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
        assert all(before[0] < after[0] for before, after in pairwise(points))
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"10 h", "kafka", "gps"} <= texts
    assert "lake JVM" not in texts
