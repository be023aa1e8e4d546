"""The two routes and the sites along them, from `data/` (sources and licences: `data/SOURCES.md`).

Distances are kilometres on the WGS 84 ellipsoid, summed along the line. Neighbouring points lie within kilometres of
each other, so plane geometry with the local radii of curvature is exact to centimetres.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

ROUTE_NAMES = ("waterloo-toronto", "london-birmingham")
WGS84_SEMI_MAJOR_AXIS_M = 6_378_137.0
WGS84_ECCENTRICITY_SQUARED = 0.00669437999014
ON_ROUTE_MAX_M = 250.0
"""A position further from every line than this belongs to no route."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A named stretch of a route. `real` is False where the geometry is approximated."""

    name: str
    from_km: float
    to_km: float
    real: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A junction, camera or weather station near a route. `offset_m` is its distance from the line."""

    kind: str
    name: str
    route: str
    route_km: float
    offset_m: float
    latitude: float
    longitude: float
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A line from origin to destination: vertices `(latitude, longitude)` and their distance from the origin in km."""

    name: str
    points: tuple[tuple[float, float], ...]
    kms: tuple[float, ...]
    segments: tuple[Segment, ...]
    attribution: str

    @property
    def length_km(self) -> float:
        return self.kms[-1]

    def point_at(self, km: float) -> tuple[float, float]:
        """Latitude and longitude at a distance from the origin; clamped to the ends."""
        km = min(max(km, 0.0), self.length_km)
        i = min(bisect.bisect_right(self.kms, km), len(self.kms) - 1)
        span = self.kms[i] - self.kms[i - 1]
        part = (km - self.kms[i - 1]) / span if span else 0.0
        (lat0, lon0), (lat1, lon1) = self.points[i - 1], self.points[i]
        return lat0 + (lat1 - lat0) * part, lon0 + (lon1 - lon0) * part

    def segment_at(self, km: float) -> Segment:
        """The named stretch that contains a distance."""
        for segment in self.segments:
            if km <= segment.to_km:
                return segment
        return self.segments[-1]

    def project(self, latitude: float, longitude: float) -> tuple[float, float]:
        """Nearest point of the line: its distance from the origin in km, and how far off the position lies in m.

        Exact to centimetres within a kilometre of the line.
        """
        north, east = metres_per_degree(latitude)
        best_km, best_square = 0.0, math.inf
        for i in range(1, len(self.points)):
            (lat0, lon0), (lat1, lon1) = self.points[i - 1], self.points[i]
            ax, ay = (lon0 - longitude) * east, (lat0 - latitude) * north
            dx, dy = (lon1 - lon0) * east, (lat1 - lat0) * north
            part, square = nearest_part(ax, ay, dx, dy)
            if square < best_square:
                best_square = square
                best_km = self.kms[i - 1] + part * (self.kms[i] - self.kms[i - 1])
        return best_km, math.sqrt(best_square)


def nearest_part(ax: float, ay: float, dx: float, dy: float) -> tuple[float, float]:
    """Where on a segment from (ax, ay) along (dx, dy), in m, it is nearest to the origin: the part of its length up to
    there, and the squared distance in m²."""
    length_square = dx * dx + dy * dy
    part = min(max(-(ax * dx + ay * dy) / length_square, 0.0), 1.0) if length_square else 0.0
    x, y = ax + part * dx, ay + part * dy
    return part, x * x + y * y


def metres_per_degree(latitude: float) -> tuple[float, float]:
    """Length of a degree of latitude and of longitude at a latitude, in metres (WGS 84 radii of curvature)."""
    sine = math.sin(math.radians(latitude))
    w = 1 - WGS84_ECCENTRICITY_SQUARED * sine * sine
    meridional = WGS84_SEMI_MAJOR_AXIS_M * (1 - WGS84_ECCENTRICITY_SQUARED) / w**1.5
    normal = WGS84_SEMI_MAJOR_AXIS_M / math.sqrt(w)
    return math.radians(meridional), math.radians(normal) * math.cos(math.radians(latitude))


def distance_km(latitude0: float, longitude0: float, latitude1: float, longitude1: float) -> float:
    """Distance between two points within a few tens of kilometres of each other."""
    north, east = metres_per_degree((latitude0 + latitude1) / 2)
    return math.hypot((latitude1 - latitude0) * north, (longitude1 - longitude0) * east) / 1000


@functools.cache
def route(name: str) -> Route:
    """A route by name.

    Raises:
        KeyError: there is no route of this name; the message lists those there are.
    """
    if name not in ROUTE_NAMES:
        raise KeyError(f"no route {name!r}: choose one of {', '.join(ROUTE_NAMES)}")
    feature = _read(f"{name}.geojson")["features"][0]
    points = tuple((lat, lon) for lon, lat in feature["geometry"]["coordinates"])
    kms = [0.0]
    for (lat0, lon0), (lat1, lon1) in itertools.pairwise(points):
        kms.append(kms[-1] + distance_km(lat0, lon0, lat1, lon1))
    properties = feature["properties"]
    segments = tuple(
        Segment(name=s["name"], from_km=s["from_km"], to_km=s["to_km"], real=s["geometry"] == "real")
        for s in properties["segments"]
    )
    return Route(name=name, points=points, kms=tuple(kms), segments=segments, attribution=properties["attribution"])


@functools.cache
def sites(route_name: str, kind: str) -> tuple[Site, ...]:
    """Sites of a kind (`junction`, `camera`, `weather_station`) along a route, ordered by distance from its origin."""
    found = [site for site in _sites() if site.route == route_name and site.kind == kind]
    return tuple(sorted(found, key=lambda site: site.route_km))


def locate(latitude: float, longitude: float) -> tuple[str, float] | None:
    """The route whose line is nearest and the distance along it in km; None beyond ON_ROUTE_MAX_M of every line."""
    nearest = min(
        ((*route(name).project(latitude, longitude), name) for name in ROUTE_NAMES), key=lambda found: found[1]
    )
    km, off_m, name = nearest
    return (name, km) if off_m <= ON_ROUTE_MAX_M else None


def _sites() -> Iterator[Site]:
    own = {"kind", "name", "route", "route_km", "offset_m"}
    for feature in _read("sites.geojson")["features"]:
        properties = feature["properties"]
        longitude, latitude = feature["geometry"]["coordinates"]
        yield Site(
            **{name: properties[name] for name in own},
            latitude=latitude,
            longitude=longitude,
            properties={name: value for name, value in properties.items() if name not in own},
        )


def _read(name: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath("data", name).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
