"""A lake of random rows by the contract: what two engines must answer alike, whatever it says about the city."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from typing import Any

from smartcity.aws.marts import register_marts
from smartcity.aws.prepare import prepare
from smartcity.aws.settings import Settings
from smartcity.contracts.fields import Column, Kind
from smartcity.contracts.marts import MARTS
from smartcity.contracts.routes import ROUTE_NAMES
from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import lake_columns

from .conftest import Endpoints
from .lake_files import by_day, catalog_of, write_mart, write_table

ROWS = 3_000
DAYS = 3
ONE_DAY = dt.timedelta(days=1)
NULL_SHARE = 0.1
LAST_HOUR_SHARE = 0.5
EDGES = tuple(dt.timedelta(hours=hours) for hours in (0, 1, 24, 48))
MARGIN = dt.timedelta(minutes=10)
"""Nothing lies this near to now, or to where a query's hours before now begin: two engines ask at two moments."""
CHOICES: dict[str, Sequence[str]] = {
    "route": ROUTE_NAMES,
    "status": ("reported", "responding", "resolved"),
    "type": ("accident", "fire", "breakdown"),
    "condition": ("clear", "rain", "snow"),
    "fuel_type": ("petrol", "diesel", "electric"),
    "device_id": tuple(f"device-{n}" for n in range(12)),
    "incident_id": tuple(f"incident-{n}" for n in range(400)),
}
"""Texts of a column; others are one of a few words."""
RANGES: dict[str, tuple[float, float]] = {
    "latitude": (43.3, 43.8),
    "longitude": (-80.6, -79.3),
    "route_km": (0.0, 40.0),
    "km": (0, 40),
    "run_time": (0, 4_000),
}
"""Numbers of a column; others lie between 0 and 100."""


def fill(settings: Settings, endpoints: Endpoints, now: dt.datetime, seed: int) -> None:
    """Tables and marts with ROWS rows each, over DAYS days up to now's, a file each. Half lie in the last hour."""
    rng = random.Random(seed)
    clients = {name: endpoints.client(name) for name in ("s3", "glue", "athena")}
    prepare(settings, **clients)
    catalog = catalog_of(settings, endpoints)
    for stream in STREAMS:
        days = by_day(_rows(rng, lake_columns(stream), now), "timestamp")
        write_table(catalog, settings, stream, *days.values())
    for mart in MARTS:
        write_mart(clients["s3"], settings, mart, _rows(rng, mart.columns, now))
    register_marts(settings, s3=clients["s3"], glue=clients["glue"])


def _rows(rng: random.Random, columns: Sequence[Column], now: dt.datetime) -> list[dict[str, Any]]:
    return [{column.name: _value(rng, column, now) for column in columns} for _ in range(ROWS)]


def _moment(rng: random.Random, now: dt.datetime) -> dt.datetime:
    midnight = dt.datetime.combine(now.date() + dt.timedelta(days=1), dt.time(), dt.UTC)
    while True:
        before, span = (now, dt.timedelta(hours=1)) if rng.random() < LAST_HOUR_SHARE else (midnight, DAYS * ONE_DAY)
        found = before - dt.timedelta(milliseconds=rng.randint(1, span // dt.timedelta(milliseconds=1)))
        if all(abs(now - edge - found) > MARGIN for edge in EDGES):
            return found


def _value(rng: random.Random, column: Column, now: dt.datetime) -> Any:  # noqa: PLR0911
    if column.nullable and rng.random() < NULL_SHARE:
        return None
    low, high = RANGES.get(column.name, (0, 100))
    match column.kind:
        case Kind.STRING:
            return rng.choice(CHOICES.get(column.name, ("a", "b", "ç")))
        case Kind.INTEGER:
            return rng.randint(int(low), int(high))
        case Kind.NUMBER:
            return low + (high - low) * rng.random() ** 2
        case Kind.BOOLEAN:
            return rng.random() < 0.5
        case Kind.TIMESTAMP:
            return _moment(rng, now)
        case Kind.STRINGS:
            return [rng.choice("ab")] * rng.randint(0, 2)
        case Kind.BYTES:
            return rng.randbytes(4)
