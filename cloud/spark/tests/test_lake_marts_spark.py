"""Marts built by a real Spark from real Iceberg tables, against the same computed by hand in plain Python."""

from __future__ import annotations

import random
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from smartcity.contracts.marts import CAMERA_ACTIVITY, CITY_HOURS, INCIDENT_RESPONSE, SPEED_BY_KM
from smartcity.contracts.streams import CAMERA, EMERGENCY, GPS, VEHICLE, WEATHER
from smartcity.lake.errors import EXIT_OK, EXIT_TERMINAL
from smartcity.lake.s3 import s3_client
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


@pytest.fixture(scope="module")
def frames(add_rows: Callable[..., None]) -> list[Row]:
    """Frames of four cameras on two days with a day between; cameras move, and some do not count."""
    rng = random.Random(7)
    made = [
        {
            "device_id": f"cam-{rng.randint(1, 4)}", "timestamp": at(60 * number + rng.choice((0, 0.000001)), days=day),
            "camera_id": rng.choice((None, "401-7")), "location": rng.choice(("Guelph", "Milton")),
            "latitude": rng.uniform(43, 44), "longitude": rng.uniform(-80, -79),
            "route": "waterloo-toronto", "route_km": rng.uniform(0, 90), "frame_bytes": rng.randint(1, 10**9),
            "vehicle_count": rng.choice((None, None, *range(6))), "snapshot": f"frames/{day}/{number}.jpg",
        }
        for day in (0, 2)
        for number in sorted(rng.sample(range(1440), 500))
    ]  # fmt: skip
    add_rows(CAMERA, made)
    return made


def test_camera_activity(frames: list[Row], build: Any, expect_mart: Any) -> None:
    assert days_built(build("camera_activity")) == [DAY, DAY + timedelta(days=2)]
    cells = defaultdict(list)
    for row in frames:
        cells[floor_to(row["timestamp"], 15), row["device_id"]].append(row)
    expected = []
    for (slot, device), rows in cells.items():
        counts = [row["vehicle_count"] for row in rows if row["vehicle_count"] is not None]
        named = ("camera_id", "location", "latitude", "longitude", "route", "route_km")
        expected.append({
            "slot_at": slot, "device_id": device, **{name: rows[-1][name] for name in named}, "frames": len(rows),
            "frame_bytes": sum(row["frame_bytes"] for row in rows), "counted_frames": len(counts),
            "vehicle_count": sum(counts) if counts else None,
            "mean_vehicle_count": statistics.fmean(counts) if counts else None,
            "max_vehicle_count": max(counts, default=None), "last_snapshot": rows[-1]["snapshot"],
        })  # fmt: skip
    assert any(row["counted_frames"] == 0 for row in expected)
    expect_mart(CAMERA_ACTIVITY, expected, "device_id")


STEPS = ("reported", "responding", "resolved")


@pytest.fixture(scope="module")
def incidents(add_rows: Callable[..., None]) -> list[dict[str, Row]]:
    """Incidents by their steps, over five days: some are never resolved, some never reported, some last for days."""
    rng = random.Random(9)
    made = []
    for number in range(60):
        began = at(rng.uniform(0, 86_400), days=rng.randint(0, 4))
        waits = (0.0, rng.uniform(60, 4000), rng.choice((3000.0, 90_000.0, 2.5 * 86_400)))
        steps = {}
        for step, wait in zip(STEPS, waits, strict=True):
            began += timedelta(seconds=wait)
            steps[step] = {
                "incident_id": f"incident-{number:02d}", "device_id": f"responder-{rng.randint(1, 3)}",
                "timestamp": began, "status": step,
                "type": rng.choice(("accident", "fire")), "severity": rng.randint(1, 5),
                "latitude": rng.uniform(43, 44), "longitude": rng.uniform(-80, -79), "description": f"{step} {number}",
                "location": rng.choice((None, "Milton")), "route": rng.choice((None, "waterloo-toronto")),
            }  # fmt: skip
            steps[step]["route_km"] = None if steps[step]["route"] is None else rng.uniform(0, 90)
        for missing in rng.choice(((), (), ("resolved",), ("responding", "resolved"), ("reported",), ("responding",))):
            del steps[missing]
        made.append(steps)
    add_rows(EMERGENCY, [row for steps in made for row in steps.values()])
    return made


def seconds(one: Row | None, other: Row | None) -> float | None:
    return (other["timestamp"] - one["timestamp"]).total_seconds() if one and other else None


def incident_response(incidents: list[dict[str, Row]]) -> list[Row]:
    rows = []
    for steps in incidents:
        latest = list(steps.values())[-1]
        reported, responding, resolved = (steps.get(step) for step in STEPS)
        named = ("type", "status", "latitude", "longitude", "route", "route_km", "location", "description")
        rows.append({
            "incident_id": latest["incident_id"], "first_step_at": next(iter(steps.values()))["timestamp"],
            **{name: latest[name] for name in named}, "severity": max(row["severity"] for row in steps.values()),
            **{f"{step}_at": steps[step]["timestamp"] if step in steps else None for step in STEPS},
            "response_s": seconds(reported, responding), "clearance_s": seconds(responding, resolved),
            "duration_s": seconds(reported, resolved), "responder_id": latest["device_id"],
        })  # fmt: skip
    return rows


def test_incident_response(incidents: list[dict[str, Row]], add_rows: Any, build: Any, expect_mart: Any) -> None:
    first_days = {row["first_step_at"].date() for row in incident_response(incidents)}
    assert set(days_built(build("incident_response"))) >= first_days
    expect_mart(INCIDENT_RESPONSE, incident_response(incidents), "incident_id")
    unresolved = next(steps for steps in incidents if list(steps) == ["reported", "responding"])
    end = unresolved["responding"]["timestamp"] + timedelta(days=2.5)
    late = unresolved["responding"] | {"timestamp": end, "status": "resolved", "severity": 5, "description": "over"}
    add_rows(EMERGENCY, [late])
    unresolved["resolved"] = late
    assert unresolved["reported"]["timestamp"].date() in days_built(build("incident_response"))
    expect_mart(INCIDENT_RESPONSE, incident_response(incidents), "incident_id")


@pytest.fixture(scope="module")
def others(add_rows: Callable[..., None]) -> dict[str, list[Row]]:
    """OBD readings and weather reports, fewer than one an hour."""
    rng = random.Random(13)
    obd = [{"timestamp": at(rng.uniform(0, 5 * 86_400))} for _ in range(60)]
    weather = [
        {
            "timestamp": at(rng.uniform(0, 5 * 86_400)), "location": f"place {number}",
            "air_quality_index": rng.uniform(0, 200), "temperature": rng.uniform(-9, 30),
            "precipitation": rng.uniform(0, 5),
        }
        for number in range(60)
    ]  # fmt: skip
    add_rows(VEHICLE, obd)
    add_rows(WEATHER, weather)
    return {"vehicle": obd, "weather": weather}


def in_hour(rows: list[Row], hour: datetime) -> list[Row]:
    return [row for row in rows if hour <= row["timestamp"] < hour + timedelta(hours=1)]


def city_hour(hour: datetime, streams: dict[str, list[Row]], incidents: list[dict[str, Row]]) -> Row | None:
    of = {name: in_hour(rows, hour) for name, rows in streams.items()}
    end = hour + timedelta(hours=1)
    if not any(of.values()):
        return None
    speeds = [row["speed"] for row in of["gps"] if row["speed"] is not None]
    worst = max(of["weather"], key=lambda row: row["air_quality_index"], default=None)
    responses = [
        seconds(steps["reported"], steps["responding"])
        for steps in incidents
        if {"reported", "responding"} <= steps.keys() and in_hour([steps["responding"]], hour)
    ]
    begun = [(next(iter(steps.values())), steps.get("resolved")) for steps in incidents]
    return {
        "slot_at": hour, **{f"{name}_readings": len(rows) for name, rows in of.items()},
        "readings": sum(len(rows) for rows in of.values()), "vehicles": len({row["device_id"] for row in of["gps"]}),
        "mean_speed_km_h": statistics.fmean(speeds) if speeds else None,
        "reported_incidents": len(in_hour([first for first, _ in begun], hour)),
        "resolved_incidents": len(in_hour([resolved for _, resolved in begun if resolved], hour)),
        "active_incidents": sum(
            end - timedelta(hours=48) <= first["timestamp"] < end
            and (resolved is None or resolved["timestamp"] >= end)
            for first, resolved in begun
        ),
        "median_response_s": statistics.median(responses) if responses else None,
        "worst_air_quality_index": worst["air_quality_index"] if worst else None,
        "worst_air_quality_location": worst["location"] if worst else None,
        "mean_temperature": statistics.fmean(row["temperature"] for row in of["weather"]) if worst else None,
        "mean_precipitation": statistics.fmean(row["precipitation"] for row in of["weather"]) if worst else None,
    }  # fmt: skip


def test_city_hours(  # noqa: PLR0917
    gps_rows: list[Row], frames: list[Row], incidents: Any, others: dict[str, list[Row]], build: Any, expect_mart: Any
) -> None:
    steps = [row for one in incidents for row in one.values()]
    streams = {"gps": gps_rows, "camera": frames, "emergency": steps, **others}
    build("city_hours", every=True)
    hours = [city_hour(at(3600 * number), streams, incidents) for number in range(24 * 12)]
    expected = [row for row in hours if row is not None]
    assert max(row["active_incidents"] for row in expected) > 3
    assert any(row["gps_readings"] == 0 for row in expected)
    expect_mart(CITY_HOURS, expected)


def test_the_command_starts_a_spark_of_its_own_and_shows_progress(frames: list[Row], storage: Storage) -> None:
    command = [sys.executable, "-m", "smartcity.lake.main", "marts", "--only", "camera_activity", "--to", str(DAY)]
    s3_client(storage).delete_object(Bucket=storage.bucket, Key=CAMERA_ACTIVITY.key(DAY))
    ran = subprocess.run(
        [*command, "--bucket", storage.bucket], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == EXIT_OK, ran.stderr
    progress, total = ran.stdout.splitlines()
    rows = len({(floor_to(row["timestamp"], 15), row["device_id"]) for row in frames if row["timestamp"].date() == DAY})
    assert re.fullmatch(rf"camera_activity {DAY}: {rows} rows, \d+ bytes, [\d.]+ s \(day 1 of 1\)", progress)
    assert total == f"days built: 1, rows: {rows}"
    s3_client(storage).head_object(Bucket=storage.bucket, Key=CAMERA_ACTIVITY.key(DAY))
    ran = subprocess.run([*command, "--bucket", "nowhere"], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (EXIT_TERMINAL, "")
    assert "no bucket nowhere" in ran.stderr
