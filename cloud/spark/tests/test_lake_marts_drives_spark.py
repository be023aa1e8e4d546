"""Journeys and weather against speed, built by a real Spark, against what the generator of the drives knows."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smartcity.contracts.marts import JOURNEYS, WEATHER_SPEED
from smartcity.contracts.routes import ROUTE_NAMES, distance_km, route
from smartcity.contracts.streams import GPS, VEHICLE, WEATHER

pytestmark = pytest.mark.spark

Row = dict[str, Any]
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
DAY = MIDNIGHT.date()


def at(seconds: float) -> datetime:
    """A moment, counted from the first day's midnight; whole microseconds."""
    return MIDNIGHT + timedelta(microseconds=round(seconds * 1e6))


class Drives:
    """Makes drives, and remembers which reading is of which."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.drives: list[tuple[list[Row], list[Row]]] = []
        """GPS and OBD readings of each."""

    def add(
        self, device: str, start: float, seconds: float, *, run_time: int = 0, obd: bool = True, silence: float = 0.0
    ) -> float:
        """A drive of about that long; when its last GPS reading is. `run_time` is what the engine's clock shows at its
        start, `silence` how long nothing is heard after half of it.
        """
        rng = self.rng
        line = route(rng.choice(ROUTE_NAMES))
        names = rng.choice(((line.name,), ROUTE_NAMES))
        km, gps, engine = rng.uniform(0, 50), [], []
        moment, stands_until, fuel = start, start + rng.uniform(0, 30), rng.uniform(40, 90)
        last = moment
        while moment <= start + seconds:
            last = moment
            if moment > stands_until + 90 and rng.random() < 0.2:
                stands_until = moment + rng.choice((4.0, 40.0))
            speed = rng.uniform(0, 2.9) if moment < stands_until else rng.uniform(3.1, 110)
            km += speed / 3600 * 20
            latitude, longitude = line.point_at(km)
            fixed, routed = rng.random() < 0.95, rng.random() < 0.9
            gps.append({
                "device_id": device, "timestamp": at(moment), "vehicle_type": "van", "speed": speed if fixed else None,
                "latitude": latitude if fixed else None, "longitude": longitude if fixed else None,
                "route": rng.choice(names) if fixed and routed else None, "route_km": km if fixed and routed else None,
            })  # fmt: skip
            if obd:
                fuel -= rng.uniform(0, 0.2)
                engine.append({
                    "device_id": device, "timestamp": at(moment + 0.25), "fuel_level": rng.choice((fuel, None)),
                    "run_time": float(run_time + int(moment + 0.25 - start)), "fuel_type": "diesel", "make": "Volvo",
                    "model": "FH", "year": 2020, "trouble_codes": rng.choice(([], [], [], ["P0171"])),
                })  # fmt: skip
            moment += rng.uniform(1, 30)
            if silence and moment > start + seconds / 2:
                moment, silence = last + silence, 0.0
        self.drives.append((gps, engine))
        return last

    def journeys(self) -> list[Row]:
        return [journey(gps, obd) for gps, obd in self.drives]


def journey(gps: list[Row], obd: list[Row]) -> Row:
    """One drive's row, from its readings in order."""
    times = sorted(row["timestamp"] for row in [*gps, *obd])
    fixes = [row for row in gps if row["latitude"] is not None]
    on_route = [row for row in gps if row["route"] is not None]
    levels = [row["fuel_level"] for row in obd if row["fuel_level"] is not None]
    duration = (times[-1] - times[0]).total_seconds()
    pairs = itertools.pairwise((row["latitude"], row["longitude"]) for row in fixes)
    distance = math.fsum(distance_km(*one, *other) for one, other in pairs) if len(fixes) > 1 else None
    stands = stops([(row["timestamp"], row["speed"]) for row in gps if row["speed"] is not None])
    counts = Counter(row["route"] for row in on_route)
    return {
        "device_id": gps[0]["device_id"], "started_at": times[0], "ended_at": times[-1], "duration_s": duration,
        "route": min(counts, key=lambda name: (-counts[name], name), default=None),
        "start_route_km": end_of(on_route, 0, "route_km"), "end_route_km": end_of(on_route, -1, "route_km"),
        "start_latitude": end_of(fixes, 0, "latitude"), "start_longitude": end_of(fixes, 0, "longitude"),
        "end_latitude": end_of(fixes, -1, "latitude"), "end_longitude": end_of(fixes, -1, "longitude"),
        "distance_km": distance, "mean_speed_km_h": None if distance is None else distance / duration * 3600,
        "max_speed_km_h": max((row["speed"] for row in fixes), default=None),
        "stops": len(stands), "stopped_s": math.fsum(stands),
        "start_fuel_level": levels[0] if levels else None, "end_fuel_level": levels[-1] if levels else None,
        "fuel_used": levels[0] - levels[-1] if levels else None,
        "fuel_type": "diesel" if obd else None, "vehicle_type": "van", "make": "Volvo" if obd else None,
        "model": "FH" if obd else None, "year": 2020 if obd else None,
        "had_trouble_codes": any(row["trouble_codes"] for row in obd) if obd else None,
        "gps_readings": len(gps), "obd_readings": len(obd),
    }  # fmt: skip


def end_of(rows: list[Row], index: int, name: str) -> Any:
    """A value of the first (0) or last (-1) row, if there is one."""
    return rows[index][name] if rows else None


def stops(speeds: list[tuple[datetime, float]]) -> list[float]:
    """Seconds of each stop of ten seconds or longer that has driving before and after it."""
    found, driven, since = [], False, None
    for moment, speed in speeds:
        if speed >= 3:
            if since is not None and driven and (moment - since).total_seconds() >= 10:
                found.append((moment - since).total_seconds())
            driven, since = True, None
        elif since is None:
            since = moment
    return found


@pytest.fixture(scope="module")
def drives(add_rows: Callable[..., None]) -> Drives:
    """Days of many drives, with pauses short and long, over midnight, with and without OBD; committed but for the last
    drive's readings after midnight.
    """
    made = Drives(seed=17)
    rng = made.rng
    for number in range(1, 6):
        moment, run_time = rng.uniform(0, 4000), 0
        while moment < 2.5 * 86_400:
            seconds = rng.uniform(400, 9000)
            made.add(f"car-{number}", moment, seconds, run_time=run_time, obd=number > 2)
            # Short of five minutes' silence only a restart of the engine ends a drive; longer, silence alone does.
            restarted = number > 2 and rng.random() < 0.5
            pause = rng.uniform(61, 250) if restarted else rng.uniform(330, 40_000)
            run_time = 0 if restarted else run_time + int(seconds + pause)
            run_time = run_time if run_time < 50_000 else 0
            moment += seconds + pause
    last = made.add("car-6", 30_000.0, 900.0, obd=False, silence=299.999)
    made.add("car-6", last + 300.001, 900.0, obd=False)
    for number in range(30):  # So short that two routes may have as many readings.
        made.add("car-0", 2000.0 * number, 60.0, obd=False)
    made.add("car-7", -400.0, 900.0)  # From the day before into the first.
    made.add("car-8", 86_400.0, 2000.0)  # From midnight on.
    made.add("car-9", 84_000.0, 5000.0)  # From the first day into the second.
    gps, obd = made.drives[-1]
    earlier = made.drives[:-1]
    for stream, kind, own in ((GPS, 0, gps), (VEHICLE, 1, obd)):
        rows = [row for drive in earlier for row in drive[kind]]
        add_rows(stream, [*rows, *(row for row in own if row["timestamp"] < at(86_400))])
    return made


def test_journeys_are_the_drives_that_were_made(drives: Drives, add_rows: Any, build: Any, expect_mart: Any) -> None:
    days = [DAY + timedelta(days=n) for n in (-1, 0, 1, 2)]
    assert [one.day for one in build("journeys")] == days
    gps, obd = drives.drives[-1]
    before = [[row for row in rows if row["timestamp"] < at(86_400)] for rows in (gps, obd)]
    expect_mart(JOURNEYS, [*drives.journeys()[:-1], journey(*before)], "device_id")
    add_rows(GPS, [row for row in gps if row["timestamp"] >= at(86_400)])
    add_rows(VEHICLE, [row for row in obd if row["timestamp"] >= at(86_400)])
    assert [one.day for one in build("journeys")] == days[1:], "the day before starts no drive that could go on there"
    expect_mart(JOURNEYS, drives.journeys(), "device_id")


@pytest.fixture(scope="module")
def reports(add_rows: Callable[..., None]) -> list[Row]:
    """Reports of stations on and off the routes; each is silent now and then for longer than half an hour."""
    rng = random.Random(23)
    made = []
    for number in range(8):
        line = route(rng.choice(ROUTE_NAMES))
        latitude, longitude = line.point_at(rng.uniform(0, 60))
        moment = -3000.0
        while moment < 2.6 * 86_400:
            made.append({
                "device_id": f"station-{number}", "timestamp": at(moment), "latitude": latitude + 0.05,
                "longitude": longitude, "condition": rng.choice(("clear", "rain")), "temperature": rng.uniform(-5, 20),
                "precipitation": rng.uniform(0, 5), "wind_speed": rng.uniform(0, 50), "humidity": rng.uniform(0, 100),
                "visibility": rng.choice((None, 9000.0)), "air_quality_index": rng.uniform(0, 200),
            })  # fmt: skip
            moment += rng.choice((300.0, 300.0, 299.5, 1000.0, 5000.0))
    add_rows(WEATHER, made)
    return made


def slot_of(moment: datetime) -> datetime:
    return moment - (moment - MIDNIGHT) % timedelta(minutes=5)


def weather_speed(gps: list[Row], reports: list[Row]) -> list[Row]:
    cells: dict[tuple[datetime, str, int], list[Row]] = defaultdict(list)
    for row in gps:
        if row["route"] is not None and row["speed"] is not None:
            cells[slot_of(row["timestamp"]), row["route"], int(row["route_km"])].append(row)
    by_slot: dict[datetime, list[Row]] = defaultdict(list)
    for report in reports:
        by_slot[slot_of(report["timestamp"])].append(report)
    parts: dict[tuple[datetime, str, str], tuple[Row, list[float]]] = {}
    for (slot, name, _), rows in cells.items():
        report = nearest_report(slot, rows, by_slot)
        if report is not None:
            parts.setdefault((slot, name, report["device_id"]), (report, []))[1].extend(row["speed"] for row in rows)
    weather = ("condition", "temperature", "precipitation", "wind_speed", "humidity", "visibility", "air_quality_index")
    return [
        {
            "slot_at": slot, "route": name, "station_id": station, "readings": len(speeds),
            "mean_speed_km_h": statistics.fmean(speeds), "reported_at": report["timestamp"],
            **{field: report[field] for field in weather},
        }
        for (slot, name, station), (report, speeds) in parts.items()
    ]  # fmt: skip


def nearest_report(slot: datetime, rows: list[Row], by_slot: dict[datetime, list[Row]]) -> Row | None:
    """The newest report of the nearest station that has one of the last half hour or of the slot itself."""
    latitude = statistics.fmean(row["latitude"] for row in rows)
    longitude = statistics.fmean(row["longitude"] for row in rows)
    newest: dict[str, Row] = {}
    for back in range(7):
        for report in by_slot[slot - timedelta(minutes=5 * back)]:
            known = newest.get(report["device_id"])
            if known is None or known["timestamp"] < report["timestamp"]:
                newest[report["device_id"]] = report
    away = {
        station: distance_km(latitude, longitude, report["latitude"], report["longitude"])
        for station, report in newest.items()
    }
    near = [station for station in sorted(away, key=lambda station: (away[station], station)) if away[station] <= 30]
    return newest[near[0]] if near else None


def test_weather_against_speed(drives: Drives, reports: list[Row], build: Any, expect_mart: Any) -> None:
    build("weather_speed", every=True)
    gps = [row for drive in drives.drives for row in drive[0]]
    expected = weather_speed(gps, reports)
    assert len({row["station_id"] for row in expected}) > 4
    expect_mart(WEATHER_SPEED, expected, "route", "station_id")
