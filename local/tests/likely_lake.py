"""A small lake that looks like the city's: three days of traffic, weather, incidents and frames, made by formulas.

What is drawn of it can be looked at; what is asked of it has one answer. Nothing in it comes from a device.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator
from typing import Any

from smartcity.aws.marts import register_marts
from smartcity.aws.prepare import prepare
from smartcity.aws.settings import Settings
from smartcity.contracts.fields import Column, Kind
from smartcity.contracts.marts import MARTS
from smartcity.contracts.routes import ROUTE_NAMES, route, sites
from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import lake_columns

from .conftest import Endpoints
from .lake_files import Rows, catalog_of, write_mart, write_table

HOURS = 72
KM_STEP = 4
VEHICLES = ("car-1", "car-2", "truck-3", "van-4", "bus-5")
FUELS = ("petrol", "diesel", "electric", "diesel", "electric")
WEATHER = ("clear", "clouds", "rain", "rain", "clouds", "clear")
TYPES = ("accident", "breakdown", "fire", "medical")
STATUSES = ("resolved", "responding", "resolved", "reported")
HOUR = dt.timedelta(hours=1)
JPEG_KEY = f"frames/ab/{'ab' * 32}.jpg"
JPEG = b"\xff\xd8\xff\xe0 a frame"
_PLAIN: dict[Kind, Any] = {Kind.STRING: "-", Kind.INTEGER: 1, Kind.NUMBER: 1.0, Kind.STRINGS: [], Kind.BOOLEAN: True}


def fill(settings: Settings, endpoints: Endpoints, now: dt.datetime, *, marts: bool = True) -> None:
    """The tables, and the marts where they are wanted: rows of the HOURS full hours before `now`'s."""
    clients = {name: endpoints.client(name) for name in ("s3", "glue", "athena")}
    prepare(settings, **clients)
    start = now.replace(minute=0, second=0, microsecond=0) - HOURS * HOUR
    catalog = catalog_of(settings, endpoints)
    for stream in STREAMS:
        rows = ROWS.get(stream.name, _none)(start)
        write_table(catalog, settings, stream, _filled(rows, lake_columns(stream), now))
    clients["s3"].put_object(Bucket=settings.bucket, Key=JPEG_KEY, Body=JPEG)
    if not marts:
        return
    for mart in MARTS:
        write_mart(clients["s3"], settings, mart, _filled(ROWS[mart.name](start), mart.columns, now))
    register_marts(settings, s3=clients["s3"], glue=clients["glue"])


def _filled(rows: Iterable[dict[str, Any]], wanted: tuple[Column, ...], now: dt.datetime) -> Rows:
    given = {each.name: _PLAIN.get(each.kind, now) for each in wanted if not each.nullable}
    return [given | row for row in rows]


def _none(start: dt.datetime) -> Iterator[dict[str, Any]]:
    yield from ()


def _hours(start: dt.datetime) -> Iterator[dt.datetime]:
    return (start + number * HOUR for number in range(HOURS))


def _weather(at: dt.datetime) -> str:
    return WEATHER[(at.day * 4 + at.hour // 6) % len(WEATHER)]


def speed_at(name: str, km: float, at: dt.datetime) -> float:
    """km/h: slower in the rush hours, in town, in rain."""
    length = route(name).length_km
    rush = sum(math.exp(-(((at.hour - peak) / 1.8) ** 2)) for peak in (8, 17))
    town = math.exp(-(((length - km) / 14) ** 2)) + 0.6 * math.exp(-((km / 9) ** 2))
    free = 108 - 45 * min(1.0, town)
    wet = 0.86 if _weather(at) == "rain" else 1.0
    return free * wet * (1 - 0.5 * rush * (0.35 + 0.65 * min(1.0, town))) + 3 * math.sin(km * 0.7 + at.hour)


def _speed_by_km(start: dt.datetime) -> Iterator[dict[str, Any]]:
    for at in _hours(start):
        for name in ROUTE_NAMES:
            for km in range(0, int(route(name).length_km), KM_STEP):
                yield {
                    "slot_at": at,
                    "route": name,
                    "km": km,
                    "readings": 20 + (km + at.hour) % 9,
                    "mean_speed_km_h": speed_at(name, km, at),
                }


def _weather_speed(start: dt.datetime) -> Iterator[dict[str, Any]]:
    for at in _hours(start):
        for name in ROUTE_NAMES:
            yield {
                "slot_at": at,
                "route": name,
                "condition": _weather(at),
                "readings": 60,
                "mean_speed_km_h": speed_at(name, 50, at),
            }


def _gps(start: dt.datetime) -> Iterator[dict[str, Any]]:
    for at in list(_hours(start))[-20:]:
        for number, vehicle in enumerate(VEHICLES):
            name = ROUTE_NAMES[number % 2]
            for step in range(6):
                km = (number * 23 + at.hour * 17 + step * 5) % int(route(name).length_km)
                latitude, longitude = route(name).point_at(km)
                speed = speed_at(name, km, at) * (0.8 if vehicle.startswith(("truck", "bus")) else 1.0)
                yield {
                    "timestamp": at + step * dt.timedelta(minutes=8),
                    "device_id": vehicle,
                    "latitude": latitude,
                    "longitude": longitude,
                    "route": name,
                    "route_km": float(km),
                    "speed": speed,
                }


def _stations() -> Iterator[tuple[str, float, float]]:
    for name in ROUTE_NAMES:
        for site in sites(name, "weather_station")[:3]:
            yield site.name, site.latitude, site.longitude


def _reports(start: dt.datetime) -> Iterator[dict[str, Any]]:
    for at in _hours(start):
        for number, (place, latitude, longitude) in enumerate(_stations()):
            wave = math.sin((at.hour - 9) / 24 * 2 * math.pi)
            yield {
                "timestamp": at,
                "device_id": f"weather-{number}",
                "location": place,
                "latitude": latitude,
                "longitude": longitude,
                "temperature": 6 + 5 * wave - 1.4 * number,
                "condition": _weather(at),
                "precipitation": 1.6 - 0.2 * number if _weather(at) == "rain" else 0.0,
                "air_quality_index": 38 + 9 * number + 14 * max(0.0, wave) + at.day % 3,
            }


def _incidents(start: dt.datetime) -> Iterator[dict[str, Any]]:
    """An incident every three hours: number, type, furthest status, first step, place."""
    for number, at in enumerate(list(_hours(start))[::3]):
        name = ROUTE_NAMES[number % 2]
        km = float((number * 37) % int(route(name).length_km))
        latitude, longitude = route(name).point_at(km)
        yield {
            "incident_id": f"incident-{number}",
            "first_step_at": at,
            "type": TYPES[(number * number + number // 3) % len(TYPES)],
            "status": STATUSES[number % len(STATUSES)],
            "severity": 1 + number % 5,
            "response_s": 240.0 + 35 * (number % 11) if number % 4 != 3 else None,
            "clearance_s": 1_500.0 + 90 * (number % 7) if number % 2 == 0 else None,
            "latitude": latitude,
            "longitude": longitude,
            "route": name,
            "route_km": km,
            "location": f"kilometre {km:.0f} of {name}",
        }


def _emergency(start: dt.datetime) -> Iterator[dict[str, Any]]:
    for each in _incidents(start):
        steps = {"reported": 1, "responding": 2, "resolved": 3}[each["status"]]
        for number, status in enumerate(("reported", "responding", "resolved")[:steps]):
            at = each["first_step_at"] + number * dt.timedelta(minutes=10)
            yield {**each, "status": status, "timestamp": at, "device_id": "responder-1"}


def _journeys(start: dt.datetime) -> Iterator[dict[str, Any]]:
    for number, at in enumerate(list(_hours(start))[::2]):
        which = number % len(VEHICLES)
        name = ROUTE_NAMES[which % 2]
        length = route(name).length_km
        yield {
            "started_at": at,
            "device_id": VEHICLES[which],
            "vehicle_id": VEHICLES[which],
            "make": ("Ford", "Toyota", "Volvo", "Renault", "BYD")[which],
            "model": ("Focus", "Corolla", "FH", "Kangoo", "K9")[which],
            "fuel_type": FUELS[which],
            "route": name,
            "distance_km": length,
            "duration_s": 3600 * length / 74,
            "mean_speed_km_h": 74.0,
            "stops": number % 4,
            "fuel_used": length * (0.09, 0.08, 0.17, 0.12, 0.21)[which],
        }


def _cameras(start: dt.datetime) -> Iterator[dict[str, Any]]:
    for at in _hours(start):
        for number, site in enumerate(sites("waterloo-toronto", "camera")):
            rush = sum(math.exp(-(((at.hour - peak) / 2) ** 2)) for peak in (8, 17))
            yield {
                "slot_at": at + number * HOUR / 4,
                "device_id": f"camera-{number}",
                "camera_id": f"C{number + 1}",
                "location": site.name,
                "route": "waterloo-toronto",
                "frames": 720 - 9 * number,
                "counted_frames": 720 - 9 * number,
                "mean_vehicle_count": 2 + number + 7 * rush,
                "last_snapshot": JPEG_KEY,
            }


def _city(start: dt.datetime) -> Iterator[dict[str, Any]]:
    for at in _hours(start):
        speeds = [speed_at(name, km, at) for name in ROUTE_NAMES for km in range(0, 100, 10)]
        reports = [each["air_quality_index"] for each in _reports(at) if each["timestamp"] == at]
        yield {
            "slot_at": at,
            "readings": 52_000 + 4_000 * (at.hour % 5),
            "mean_speed_km_h": sum(speeds) / len(speeds),
            "worst_air_quality_index": max(reports),
        }


ROWS = {
    "gps": _gps,
    "weather": _reports,
    "emergency": _emergency,
    "journeys": _journeys,
    "speed_by_km": _speed_by_km,
    "weather_speed": _weather_speed,
    "incident_response": _incidents,
    "camera_activity": _cameras,
    "city_hours": _city,
}
"""By the names of streams and marts; a stream that is not here stays empty."""
