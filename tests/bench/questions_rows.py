"""A fleet's rows, out of a few drives: each vehicle drives one of them under its own name, on its own day, at its own
time, with values of its own.

What is perturbed, as evenly distributed noise: positions by 1.5 m (for 20 seconds at a time, as a receiver's error
drifts), altitude, speed, course, revolutions, load, throttle, air flow, and the tank's level by a constant per vehicle;
all in the steps in which NMEA and OBD-II write them. What is not: weather and traffic at the vehicle's own time.
The noise is a hash of vehicle and second, so the same fleet has the same rows, however they are cut into chunks.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import duckdb
import pyarrow as pa
from questions_world import SEED, World, arrow_schema

from smartcity.contracts.streams import GPS, STREAMS, VEHICLE
from smartcity.contracts.tables import lake_columns

CHUNK = timedelta(hours=4)
"""What is made and appended at once."""
RUSH_HOURS = (7.0, 8.0, 16.0, 17.0)
RUSH_SHARE = 0.5
DAY_HOURS = (5.0, 20.0)
"""Vehicles depart between these; half of them in the hours from RUSH_HOURS on."""
DRIVE_MAX = timedelta(hours=8)
MEMORY_LIMIT = "2GB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """One vehicle's only drive."""

    number: int
    device_id: str
    boot: str
    drive: int
    start: datetime
    fuel_steps: int
    """Added to each level of the tank, in 1/255 of it."""


def fleet(vehicles: int, drives: list[str], first_day: date, days: int) -> list[Departure]:
    """The vehicles by number; `drives` are the routes of the drives that there are."""
    rng = random.Random(SEED)
    found = []
    for number in range(vehicles):
        drive = number % len(drives)
        rush = rng.random() < RUSH_SHARE
        hour = rng.choice(RUSH_HOURS) + rng.random() if rush else rng.uniform(*DAY_HOURS)
        midnight = datetime.combine(first_day + timedelta(days=rng.randrange(days)), time(), UTC)
        prefix = "".join(word[0] for word in drives[drive].split("-"))
        device = f"{prefix}-veh-{number + 1:04d}"
        found.append(
            Departure(
                number=number,
                device_id=device,
                boot=hashlib.sha256(f"{SEED} {device}".encode()).hexdigest()[:16],
                drive=drive,
                start=midnight + timedelta(milliseconds=10 * round(360_000 * hour)),
                fuel_steps=rng.randrange(-30, 10),
            )
        )
    return found


_NOISE = "(hash(f.number, {time}, {salt}) % 20001 / 10000.0 - 1.0)"
_SECOND = "d.second"
_DRIFT = "d.second // 20"


def _noise(salt: int, time: str = _SECOND) -> str:
    return _NOISE.format(time=time, salt=salt)


def _stepped(column: str, step: str, spread: float, *, salt: int, least: float, most: float) -> str:
    """A value and noise of some steps, within bounds; zero stays zero."""
    moved = f"(round(d.{column} / ({step})) + round({spread} * {_noise(salt)})) * ({step})"
    return f"CASE WHEN d.{column} = 0 THEN 0.0 ELSE least(greatest({moved}, {least}), {most}) END"


def _minutes(column: str, spread: float, salt: int) -> str:
    """Degrees whose minutes have five decimals, as NMEA 0183 writes them."""
    minutes = f"(d.{column} - trunc(d.{column})) * 60"
    return f"trunc(d.{column}) + round({minutes} + {spread} * {_noise(salt, _DRIFT)}, 5) / 60"


_LATITUDE, _LONGITUDE = _minutes("latitude", 0.0008, 1), _minutes("longitude", 0.0012, 2)
_COURSE = f"round((d.direction + 0.3 * {_noise(3)} + 360) % 360, 2)"
_PLACE = {"route": "d.route", "route_km": f"greatest(d.route_km + 0.0015 * {_noise(1, _DRIFT)}, 0.0)"}
_VALUES = {
    GPS.name: {
        "latitude": _LATITUDE, "longitude": _LONGITUDE, "direction": _COURSE, **_PLACE,
        "altitude": f"round(d.altitude + 2 * {_noise(4, _DRIFT)}, 1)",
        "speed": f"CASE WHEN d.speed < 2 THEN d.speed ELSE round(d.speed / 1.852 + 0.3 * {_noise(5)}, 3) * 1.852 END",
    },
    VEHICLE.name: {
        "latitude": f"round({_LATITUDE}, 7)", "longitude": f"round({_LONGITUDE}, 7)", "direction": _COURSE, **_PLACE,
        "speed": _stepped("speed", "1.0", 1, salt=6, least=0, most=255),
        "rpm": _stepped("rpm", "0.25", 80, salt=7, least=0, most=16_383.75),
        "engine_load": _stepped("engine_load", "100.0 / 255", 4, salt=8, least=0, most=100),
        "throttle_position": _stepped("throttle_position", "100.0 / 255", 2, salt=9, least=0, most=100),
        "maf": _stepped("maf", "0.01", 30, salt=10, least=0, most=655.35),
        "fuel_level": "least(greatest((round(d.fuel_level * 2.55) + f.fuel_steps) * (100.0 / 255), 1.0), 100.0)",
    },
}  # fmt: skip
_LINEAGE = {
    "sent_at": "timestamp + to_milliseconds(2 + (hash(id, 11) % 40)::BIGINT)",
    "bridged_at": "timestamp + to_microseconds(45000 + (hash(id, 12) % 20000)::BIGINT)",
    "kafka_at": "timestamp + to_milliseconds(66 + (hash(id, 13) % 9)::BIGINT)",
    "lake_at": "time_bucket(INTERVAL '10 seconds', timestamp) + INTERVAL '12 seconds'",
    "payload_sha256": "sha256(id || device_id)",
}


class Fleet:
    """Rows of all streams, in order of event time, a chunk at a time."""

    def __init__(self, world: World, departures: list[Departure]) -> None:
        self._connection = duckdb.connect(":memory:", config={"memory_limit": MEMORY_LIMIT, "threads": 2})
        self._connection.execute("SET TimeZone = 'UTC'")
        for name, table in world.items():
            self._connection.register(f"world_{name}", table)
        rows = [
            {
                "number": one.number, "device_id": one.device_id, "boot": one.boot, "drive": one.drive,
                "start": one.start, "fuel_steps": one.fuel_steps,
            }
            for one in departures
        ]  # fmt: skip
        self._connection.register("fleet", pa.Table.from_pylist(rows))
        self._schemas = {stream.name: arrow_schema(lake_columns(stream)) for stream in STREAMS}

    def chunk(self, stream: str, start: datetime, end: datetime) -> Any:
        """A stream's rows from `start` to before `end`, with the columns of its table."""
        source = self._vehicles(stream, start, end) if stream in _VALUES else f"SELECT * FROM world_{stream}"
        schema = self._schemas[stream]
        wanted = ", ".join(f"{_LINEAGE[name]} AS {name}" if name in _LINEAGE else name for name in schema.names)
        sql = f"SELECT {wanted} FROM ({source}) WHERE timestamp >= ? AND timestamp < ? ORDER BY timestamp, device_id"
        return self._connection.sql(sql, params=[start, end]).to_arrow_table().cast(schema)

    def _vehicles(self, stream: str, start: datetime, end: datetime) -> str:
        values = _VALUES[stream]
        own = {
            "id": f"f.boot || '.' || CAST(2 * d.second + {1 if stream == GPS.name else 2} AS VARCHAR)",
            "device_id": "f.device_id",
            "timestamp": "f.start + to_seconds(d.second)",
        }
        names = [name for name in self._schemas[stream].names if name not in _LINEAGE]
        listed = ", ".join(f"{(own | values).get(name, f'd.{name}')} AS {name}" for name in names)
        on_the_way = f"f.start > TIMESTAMPTZ '{start - DRIVE_MAX}' AND f.start < TIMESTAMPTZ '{end}'"
        return f"SELECT {listed} FROM world_{stream} d JOIN fleet f ON d.drive = f.drive WHERE {on_the_way}"


def chunks(first_day: date, days: int) -> Iterator[tuple[datetime, datetime]]:
    """The whole time, in pieces of CHUNK; the night after the last day belongs to it."""
    start = datetime.combine(first_day, time(), UTC)
    end = start + timedelta(days=days)
    while start < end:
        yield start, start + CHUNK
        start += CHUNK
