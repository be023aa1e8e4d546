"""docs/scale.md shows what docs/measured says, and its arithmetic is right where it can be done by hand."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def scale() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scale", ROOT / "tests" / "bench" / "scale.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scale"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(scale: ModuleType) -> None:
    assert scale.render(ROOT) == (ROOT / scale.PAGE).read_text(encoding="utf-8")


def test_a_fleet_needs_what_arithmetic_says(scale: ModuleType) -> None:
    names = ("gps", "vehicle", "camera", "weather", "emergency")
    measured = scale.Measured(
        gateway_us=50,
        bridge_us=dict.fromkeys(names, 20.0),
        bridge_live_us=10,
        lake_records_per_cpu_s=10_000,
        record_bytes=dict.fromkeys(names, 1000.0),
        s3={"PUT": 30, "LIST": 10, "GET": 20},
        puts_per_frame=1,
    )
    vehicles_alone = dataclasses.replace(
        scale.Assumptions(), frames_per_vehicle_s=0.0, weather_per_vehicle_s=0.0, emergency_per_vehicle_s=0.0
    )
    found = scale.need(10_000, measured, vehicles_alone, scale.Prices())
    assert found.readings_s == 20_000
    assert found.kafka_mb_s == 20
    assert found.gateways == 2  # 20,000 × 50 µs is one core, and half of each may be used.
    assert found.bridge_core == pytest.approx(0.3)
    assert found.cores == 4
    assert found.partitions == 2
    assert found.brokers == 3
    assert found.kafka_gb_day == pytest.approx(20 * 86.4 * 3)
    assert (found.puts_s, found.gets_s) == (pytest.approx(4), pytest.approx(2))
    assert found.dollars["gateways and bridges (EC2)"] == pytest.approx(2 * 0.0816 * 730)
    assert found.dollars["S3 requests"] == pytest.approx(730 * 3600 * (4 * 0.005 + 2 * 0.0004) / 1000)


def test_frames_are_puts_of_their_own(scale: ModuleType) -> None:
    assumed = scale.Assumptions()
    assert scale.rates(1000, assumed)["camera"] == 1
    assert set(scale.STREAM_OF.values()) == set(scale.rates(1, assumed))
