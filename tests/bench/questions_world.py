"""What the layouts are filled with: a few whole drives and some days of roadside from the simulator's own world.

Payloads are decoded by the bridge's decoders, so values are as coarse as NMEA and OBD-II write them. Frames are not
drawn: only their metadata reaches a table, and a size is made up. `questions_rows.py` makes a fleet of the drives.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from smartcity.bridge.decode.document import decode_document
from smartcity.bridge.decode.nmea import decode_nmea
from smartcity.bridge.decode.obd import decode_obd
from smartcity.contracts.fields import Column, Kind, columns
from smartcity.contracts.routes import ROUTE_NAMES, locate, route
from smartcity.contracts.streams import CAMERA, EMERGENCY, GPS, VEHICLE, WEATHER, Stream
from smartcity.contracts.tables import frame_key
from smartcity.sim.observation import Observation
from smartcity.sim.world.city import City, CitySettings

SEED = 20261121
DRIVES_START_HOUR = 7
FRAME_INTERVAL_S = 300
ARROW = {
    Kind.STRING: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.TIMESTAMP: pa.timestamp("us", "UTC"),
    Kind.STRINGS: pa.list_(pa.field("element", pa.string(), nullable=False)),
}
Rows = list[dict[str, Any]]
World = dict[str, Any]
"""Arrow tables by stream."""


def arrow_schema(wanted: tuple[Column, ...]) -> Any:
    """Columns of a contract, or of a table, as an Arrow schema."""
    return pa.schema(pa.field(column.name, ARROW[column.kind], nullable=column.nullable) for column in wanted)


def drives(first_day: date, per_route: int) -> dict[str, Any]:
    """Whole drives, every second of them, as Arrow tables `gps` and `vehicle` with the contract's payload columns and
    `drive` (its number), `second` (of the drive, from 0), `route` and `route_km`."""
    start = datetime.combine(first_day, time(DRIVES_START_HOUR), UTC)
    settings = CitySettings(
        seed=SEED, start=start, routes=ROUTE_NAMES, vehicles=per_route, streams=(GPS.name, VEHICLE.name)
    )
    city = City(settings)
    found: dict[str, dict[str, Rows]] = {GPS.name: defaultdict(list), VEHICLE.name: defaultdict(list)}
    while not city.finished:
        for observation in city.observe(city.time + timedelta(minutes=10)):
            found[observation.stream.name][observation.device_id].append(_moving(observation))
    places = {device: _places(device, readings) for device, readings in found[GPS.name].items()}
    return {stream.name: _drive_table(stream, found[stream.name], places) for stream in (GPS, VEHICLE)}


def _moving(observation: Observation) -> dict[str, Any]:
    decode = decode_nmea if observation.stream is GPS else decode_obd
    values = decode(observation.payload) | json.loads(observation.metadata or "{}")
    return values | {"timestamp": observation.time}


def _places(device: str, readings: Rows) -> dict[datetime, dict[str, Any]]:
    """Route and distance along it by time: the OBD poll of a second names the receiver's fix of that second."""
    name, at, found = _route_of(device), 0, {}
    for reading in readings:
        km, at = _along(name, reading["latitude"], reading["longitude"], at)
        found[reading["timestamp"]] = {"route": name, "route_km": km}
    return found


def _drive_table(stream: Stream, of_devices: dict[str, Rows], places: dict[str, dict[datetime, dict[str, Any]]]) -> Any:
    rows = []
    for number, (device, readings) in enumerate(sorted(of_devices.items())):
        begin = readings[0]["timestamp"]
        for reading in readings:
            second = round((reading["timestamp"] - begin).total_seconds())
            rows.append(reading | places[device][reading["timestamp"]] | {"drive": number, "second": second})
    payload = [each for each in columns(stream.contract) if each.rules.carrier in ("payload", "metadata")]
    schema = arrow_schema(tuple(payload))
    for field in (("drive", pa.int64()), ("second", pa.int64()), ("route", pa.string()), ("route_km", pa.float64())):
        schema = schema.append(pa.field(*field))
    return pa.Table.from_pylist(rows, schema=schema)


@functools.cache
def _route_of(device: str) -> str:
    """By the prefix of the simulator's device names."""
    return {"wt": "waterloo-toronto", "lb": "london-birmingham"}[device.split("-", 1)[0]]


def _along(name: str, latitude: float, longitude: float, hint: int) -> tuple[float, int]:
    """Distance along a route in km, looked for near the point where the last one was: `Route.project` looks at all."""
    near, first = _neighbourhood(name, max(hint - 3, 0))
    km, _ = near.project(latitude, longitude)
    at = first
    while at < len(route(name).kms) - 1 and route(name).kms[at + 1] <= km:
        at += 1
    return km, at


@functools.cache
def _neighbourhood(name: str, first: int) -> tuple[Any, int]:
    whole = route(name)
    piece = slice(first, first + 12)
    return (
        type(whole)(
            name=name, points=whole.points[piece], kms=whole.kms[piece], segments=whole.segments,
            attribution=whole.attribution,
        ),
        first,
    )  # fmt: skip


def make_world(first_day: date, days: int, *, per_route: int, frame_interval_s: int = FRAME_INTERVAL_S) -> World:
    """Drives and roadside, by stream. The roadside's tables have the contract's columns with `route` and `route_km`,
    in order of event time."""
    tables: dict[str, list[Any]] = defaultdict(list)
    with ProcessPoolExecutor(2) as pool:
        driven = pool.submit(drives, first_day, per_route)
        given = [(first_day + timedelta(days=n), frame_interval_s) for n in range(days)]
        for found in pool.map(_roadside_day, given):
            for name, table in found.items():
                tables[name].append(table)
        return driven.result() | {name: pa.concat_tables(found) for name, found in tables.items()}


def _roadside_day(given: tuple[date, int]) -> dict[str, Any]:
    """One day is a world of its own: an incident of the last hour stays open."""
    day, frame_interval_s = given
    start = datetime.combine(day, time(), UTC)
    settings = CitySettings(
        seed=SEED + day.toordinal(), start=start, routes=ROUTE_NAMES, vehicles=0, frame_interval_s=frame_interval_s,
        streams=(CAMERA.name, WEATHER.name, EMERGENCY.name),
    )  # fmt: skip
    rows: dict[str, Rows] = {CAMERA.name: [], WEATHER.name: [], EMERGENCY.name: []}
    sequences: dict[str, int] = defaultdict(int)
    with patch("smartcity.sim.sensors.camera.snapshot", lambda _scene: b""):
        for observation in City(settings).observe(start + timedelta(days=1) - timedelta(microseconds=1)):
            sequences[observation.device_id] += 1
            boot = hashlib.sha256(f"{observation.device_id} {day}".encode()).hexdigest()[:16]
            envelope = {
                "id": f"{boot}.{sequences[observation.device_id]}", "device_id": observation.device_id,
                "timestamp": observation.time,
            }  # fmt: skip
            rows[observation.stream.name].append(_DECODE[observation.stream.name](observation) | envelope)
    return {stream.name: _roadside_table(stream, rows[stream.name]) for stream in (CAMERA, WEATHER, EMERGENCY)}


def _frame(observation: Observation) -> dict[str, Any]:
    sha256 = hashlib.sha256(f"{observation.device_id} {observation.time}".encode()).hexdigest()
    made_up = {"frame_sha256": sha256, "snapshot": frame_key(sha256), "frame_bytes": 14_000 + int(sha256[:3], 16)}
    return json.loads(observation.metadata or "{}") | made_up | {"frame_width": 480, "frame_height": 270}


def _document(observation: Observation) -> dict[str, Any]:
    return decode_document(observation.payload)


_DECODE: dict[str, Callable[[Observation], dict[str, Any]]] = {
    CAMERA.name: _frame,
    WEATHER.name: _document,
    EMERGENCY.name: _document,
}


def _roadside_table(stream: Stream, rows: Rows) -> Any:
    schema = arrow_schema(columns(stream.contract))
    schema = schema.append(pa.field("route", pa.string())).append(pa.field("route_km", pa.float64()))
    return pa.Table.from_pylist(list(_placed(rows)), schema=schema)


def _placed(rows: Rows) -> Iterator[dict[str, Any]]:
    place = functools.lru_cache(maxsize=10_000)(locate)
    for row in rows:
        name, km = place(row["latitude"], row["longitude"]) or (None, None)
        yield row | {"route": name, "route_km": km}
