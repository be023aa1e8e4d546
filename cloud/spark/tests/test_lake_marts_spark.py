"""Marts built by a real Spark from real Iceberg tables, against the same computed by hand in plain Python."""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from smartcity.contracts.marts import SPEED_BY_KM
from smartcity.contracts.streams import GPS
from smartcity.lake.frames import s3_client
from smartcity.lake.settings import Storage

pytestmark = pytest.mark.spark

Row = dict[str, Any]
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
DAY = MIDNIGHT.date()


def at(seconds: float, *, days: int = 0) -> datetime:
    """A moment of the first day, or of one that many days later."""
    return MIDNIGHT + timedelta(days=days, seconds=seconds)


def floor_to(moment: datetime, minutes: int) -> datetime:
    return moment - (moment - MIDNIGHT) % timedelta(minutes=minutes)


def days_built(built: list[Any]) -> list[date]:
    return [one.day for one in built]


@pytest.fixture(scope="module")
def gps_rows(add_rows: Callable[..., None]) -> list[Row]:
    """GPS readings over three days, none on the third; some on no route, some without speed; some come late."""
    rng = random.Random(5)
    rows = [
        {
            "device_id": f"car-{rng.randint(1, 5)}",
            "timestamp": at(rng.choice((rng.uniform(0, 86_400), 43_200, 86_399.999999)), days=rng.choice((0, 1, 3))),
            "speed": rng.choice((None, *[rng.uniform(0, 120)] * 9)),
            "route": rng.choice((None, "waterloo-toronto", "london-birmingham")),
            "route_km": rng.choice((0.0, 1.0, rng.uniform(0, 4))),
        }
        for _ in range(3000)
    ]
    for row in rows:
        row["route_km"] = None if row["route"] is None else row["route_km"]
    add_rows(GPS, rows[:2000])
    add_rows(GPS, rows[2000:])
    return rows


def speed_by_km(gps: list[Row]) -> list[Row]:
    cells = defaultdict(list)
    for row in gps:
        if row["route"] is not None and row["speed"] is not None:
            cells[floor_to(row["timestamp"], 5), row["route"], int(row["route_km"])].append(row)
    rows = []
    for (slot, route, km), of in cells.items():
        speeds = [row["speed"] for row in of]
        rows.append({
            "slot_at": slot, "route": route, "km": km, "readings": len(of),
            "vehicles": len({row["device_id"] for row in of}), "mean_speed_km_h": statistics.fmean(speeds),
            "min_speed_km_h": min(speeds), "max_speed_km_h": max(speeds),
        })  # fmt: skip
    return rows


def test_days_are_rebuilt_when_touched_and_only_then(
    spark: Any, add_rows: Any, gps_rows: list[Row], build: Any, expect_mart: Any
) -> None:
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=3)]
    assert days_built(build("speed_by_km")) == days
    expect_mart(SPEED_BY_KM, speed_by_km(gps_rows), "route", "km")
    assert build("speed_by_km") == []

    late = {
        "device_id": "car-9",
        "timestamp": at(5, days=1),
        "speed": 31.5,
        "route": "waterloo-toronto",
        "route_km": 2.5,
    }
    add_rows(GPS, [late])
    gps_rows.append(late)
    spark.sql("CALL lake.system.rewrite_data_files(table => 'smartcity.gps', options => map('rewrite-all', 'true'))")
    assert days_built(build("speed_by_km")) == [days[1]]
    expect_mart(SPEED_BY_KM, speed_by_km(gps_rows), "route", "km")

    spark.sql("CALL lake.system.rewrite_data_files(table => 'smartcity.gps', options => map('rewrite-all', 'true'))")
    spark.sql("CALL lake.system.expire_snapshots(table => 'smartcity.gps', older_than => now(), retain_last => 1)")
    assert build("speed_by_km") == []

    new = {
        "device_id": "car-9",
        "timestamp": at(0, days=2),
        "speed": 10.0,
        "route": "waterloo-toronto",
        "route_km": 0.0,
    }
    add_rows(GPS, [new])
    assert days_built(build("speed_by_km")) == [DAY + timedelta(days=2)]
    expect_mart(SPEED_BY_KM, speed_by_km([*gps_rows, new]), "route", "km")
    spark.sql(f"DELETE FROM lake.smartcity.gps WHERE date(timestamp) = DATE '{DAY + timedelta(days=2)}'")
    assert days_built(build("speed_by_km")) == [DAY + timedelta(days=2)]
    expect_mart(SPEED_BY_KM, speed_by_km(gps_rows), "route", "km")
    assert build("speed_by_km") == []


def test_days_are_built_on_request_and_when_the_state_is_lost(
    storage: Storage, gps_rows: list[Row], build: Any, expect_mart: Any
) -> None:
    days = sorted({row["slot_at"].date() for row in speed_by_km(gps_rows)})
    build("speed_by_km")
    assert days_built(build("speed_by_km", first=days[1], last=days[1])) == [days[1]]
    s3_client(storage).delete_object(Bucket=storage.bucket, Key="checkpoints/marts/speed_by_km.json")
    assert days_built(build("speed_by_km")) == days
    assert days_built(build("speed_by_km", every=True)) == days
    expect_mart(SPEED_BY_KM, speed_by_km(gps_rows), "route", "km")
