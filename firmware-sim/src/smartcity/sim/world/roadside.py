"""What stands beside the roads: cameras (four real sites, the others placed by us), and weather stations.

A camera's place is published for four cameras on the Gardiner Expressway (`placed_by` operator). Every other stretch of
ten kilometres has one that this simulator placed; its id, location and metadata say so.
"""

from __future__ import annotations

import functools
import json
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

from smartcity.contracts import routes

from ..sensors.camera import Passing, Scene
from .incidents import Incident
from .route import Road
from .traffic import Traffic, lanes
from .vehicle import Vehicle
from .weather import Conditions, Weather, sun_elevation

VIEW_M = 230.0
"""How far ahead of a camera vehicles are counted."""
_INCIDENT_VIEW_M = 400.0
_STRETCH_KM = 10.0
_SLOT_M = 10.0
_KINDS = ("car",) * 13 + ("van",) * 3 + ("truck",) * 3 + ("bus",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSite:
    """A camera beside a road."""

    device_id: str
    camera_id: str
    location: str
    latitude: float
    longitude: float
    distance_m: float
    placed_by: str
    """`operator` for a real camera's published place, `simulator` where we put it."""


@functools.cache
def camera_sites(road: Road) -> tuple[CameraSite, ...]:
    """The real cameras of a road, and one in the middle of each ten kilometres without one; in order of distance."""
    real = routes.sites(road.name, "camera")
    found: list[tuple[float, str, str, routes.Site | None]] = [
        (site.route_km, str(site.properties["camera_id"]), site.name, site) for site in real
    ]
    for stretch in range(math.ceil(road.route.length_km / _STRETCH_KM)):
        start, end = stretch * _STRETCH_KM, min((stretch + 1) * _STRETCH_KM, road.route.length_km)
        if not any(start <= site.route_km < end for site in real):
            km = round((start + end) / 2, 1)
            words = f"{road.place(km * 1000)} (km {km:g}, placed by the simulator)"
            found.append((km, f"sim-{road.prefix}-{km:g}", words, None))
    cameras = []
    for number, (km, camera_id, words, published) in enumerate(sorted(found, key=lambda camera: camera[0]), 1):
        latitude, longitude = (published.latitude, published.longitude) if published else road.route.point_at(km)
        cameras.append(
            CameraSite(
                device_id=f"{road.prefix}-cam-{number:02d}",
                camera_id=camera_id,
                location=words,
                latitude=round(latitude, 6),
                longitude=round(longitude, 6),
                distance_m=km * 1000,
                placed_by="operator" if published else "simulator",
            )
        )
    return tuple(cameras)


def camera_metadata(site: CameraSite, scene: Scene) -> str:
    """The contract's metadata of a frame, as compact JSON with sorted keys."""
    return json.dumps(
        {
            "camera_id": site.camera_id,
            "latitude": site.latitude,
            "location": site.location,
            "longitude": site.longitude,
            "placed_by": site.placed_by,
            "vehicle_count": len(scene.vehicles),
        },
        separators=(",", ":"),
    )


def scene_before(
    site: CameraSite,
    *,
    road: Road,
    traffic: Traffic,
    weather: Weather,
    vehicles: Iterable[Vehicle],
    seed: int,
    seconds: int,
    size: tuple[int, int],
    utc: str,
) -> Scene:
    """What a camera sees at a second. A pure function of the world's state."""
    conditions = weather.at(site.latitude, site.longitude, seconds)
    limit = road.limit_kmh(site.distance_m)
    rng = random.Random(f"{seed}:{site.device_id}:{seconds}")
    density = traffic.density_per_km(site.distance_m, seconds, conditions)
    seen = _ours(site, vehicles)
    for incident in traffic.incidents.active:
        seen += _involved(site, incident, seconds)
    for away in (True, False):
        seen += _others(rng, density, lanes(limit), away, [one for one in seen if one.away is away])
    urban = limit < 95 and (road.prefix == "wt" or limit < 85)
    return Scene(
        name=site.device_id,
        caption=f"{utc[:10]} {utc[11:19]} UTC  {site.device_id}  {site.location.partition(' (')[0]}",
        seconds=seconds,
        width=size[0],
        height=size[1],
        bend=random.Random(f"{site.device_id}:bend").uniform(-4e-4, 4e-4),
        urban=urban,
        left_hand=road.left_hand,
        lanes=lanes(limit),
        sun_elevation=sun_elevation(site.latitude, site.longitude, seconds),
        condition=conditions.condition,
        rain_mm_h=conditions.precipitation,
        visibility_m=conditions.visibility,
        cloud=conditions.cloud,
        vehicles=tuple(seen),
    )


def _ours(site: CameraSite, vehicles: Iterable[Vehicle]) -> list[Passing]:
    """The simulated vehicles that are in view now."""
    near = site.distance_m + 18.0
    return [
        Passing(
            distance_m=vehicle.distance - site.distance_m,
            lane=vehicle.index % 2,
            away=True,
            kind=vehicle.model.vehicle_type,
            paint=vehicle.index,
            ours=True,
        )
        for vehicle in vehicles
        if vehicle.running and near <= vehicle.distance <= site.distance_m + VIEW_M
    ]


def _involved(site: CameraSite, incident: Incident, seconds: int) -> list[Passing]:
    """The vehicles of an incident in view: one or two that stand, and a responder once one is there."""
    ahead = incident.distance_m - site.distance_m
    if not 0.0 <= ahead <= _INCIDENT_VIEW_M:
        return []
    at = min(max(ahead, 34.0), 95.0)  # The operator zooms in.
    standing = 2 if incident.type == "accident" else 1
    seen = [
        Passing(distance_m=at + 9.0 * i, lane=-1 if incident.severity < 3 else 0, away=True, kind="car",
                paint=incident.severity + i, beacon="hazard")
        for i in range(standing)
    ]  # fmt: skip
    if seconds >= incident.responding:
        seen.append(Passing(distance_m=at - 11.0, lane=-1, away=True, kind="van", paint=5, beacon="emergency"))
    return seen


def _others(rng: random.Random, density: float, lane_count: int, away: bool, taken: list[Passing]) -> list[Passing]:
    """Background traffic of one direction: as many as the density says, each in a place of its own."""
    slots = [
        (lane, 22.0 + _SLOT_M * step)
        for lane in range(lane_count)
        for step in range(int((VIEW_M - 22.0) / _SLOT_M))
        if not any(one.lane == lane and abs(one.distance_m - 22.0 - _SLOT_M * step) < 16.0 for one in taken)
    ]
    expected = density * VIEW_M / 1000
    count = min(max(round(rng.gauss(expected, math.sqrt(expected))), 0), len(slots) // 2)
    return [
        Passing(
            distance_m=distance + rng.uniform(0.0, 3.0),
            lane=lane,
            away=away,
            kind=rng.choice(_KINDS) if lane == 0 else "car",
            paint=rng.randrange(8),
        )
        for lane, distance in rng.sample(slots, count)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSite:
    """A weather station near a road (an aerodrome's)."""

    device_id: str
    location: str
    latitude: float
    longitude: float


@functools.cache
def station_sites(road: Road) -> tuple[StationSite, ...]:
    """The weather stations along a road."""
    return tuple(
        StationSite(
            device_id=f"{road.prefix}-wx-{site.properties['icao'].lower()}",
            location=site.name,
            latitude=site.latitude,
            longitude=site.longitude,
        )
        for site in routes.sites(road.name, "weather_station")
    )


def station_values(
    site: StationSite, conditions: Conditions, demand: float, seed: int, seconds: int
) -> dict[str, object]:
    """The contract's fields of a report. Air quality worsens with traffic and still air, and rain washes it."""
    rng = random.Random(f"{seed}:{site.device_id}:{seconds}")
    air = 18.0 + 62.0 * demand * (1.25 - min(conditions.wind_speed, 30.0) / 40.0) + rng.uniform(-3.0, 3.0)
    air *= 0.65 if conditions.precipitation else 1.0
    return {
        "air_quality_index": round(air, 0),
        "condition": conditions.condition,
        "humidity": conditions.humidity,
        "latitude": site.latitude,
        "location": site.location,
        "longitude": site.longitude,
        "precipitation": conditions.precipitation,
        "pressure": conditions.pressure,
        "temperature": conditions.temperature,
        "visibility": conditions.visibility,
        "wind_direction": conditions.wind_direction,
        "wind_speed": conditions.wind_speed,
    }
