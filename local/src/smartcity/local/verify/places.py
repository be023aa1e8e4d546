"""`contracts.routes.locate` for many positions: the same geometry, on the few segments that lie near."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from smartcity.contracts.routes import ON_ROUTE_MAX_M, ROUTE_NAMES, metres_per_degree, route

_CELL_DEGREES = 0.02
_MARGIN_DEGREES = 0.005
"""More than ON_ROUTE_MAX_M in both directions at any latitude of the routes (327 m at 54° N)."""

_Cell = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    route: str
    latitude0: float
    longitude0: float
    latitude1: float
    longitude1: float
    km0: float
    km1: float


def locate_near(latitude: float | None, longitude: float | None) -> tuple[str | None, float | None]:
    """Route and kilometre of a position; None for both without a position or beyond ON_ROUTE_MAX_M of every line."""
    if latitude is None or longitude is None:
        return None, None
    north, east = metres_per_degree(latitude)
    best: tuple[str | None, float | None] = (None, None)
    best_square = ON_ROUTE_MAX_M**2
    for s in _index().get(_cell(latitude, longitude), ()):
        ax, ay = (s.longitude0 - longitude) * east, (s.latitude0 - latitude) * north
        dx, dy = (s.longitude1 - s.longitude0) * east, (s.latitude1 - s.latitude0) * north
        square = dx * dx + dy * dy
        part = min(max(-(ax * dx + ay * dy) / square, 0.0), 1.0) if square else 0.0
        x, y = ax + part * dx, ay + part * dy
        if x * x + y * y < best_square or (best[0] is None and x * x + y * y == best_square):
            best_square = x * x + y * y
            best = (s.route, s.km0 + part * (s.km1 - s.km0))
    return best


def _cell(latitude: float, longitude: float) -> _Cell:
    return math.floor(latitude / _CELL_DEGREES), math.floor(longitude / _CELL_DEGREES)


@functools.cache
def _index() -> dict[_Cell, list[_Segment]]:
    index: dict[_Cell, list[_Segment]] = {}
    for segment in _segments():
        low = _cell(
            min(segment.latitude0, segment.latitude1) - _MARGIN_DEGREES,
            min(segment.longitude0, segment.longitude1) - _MARGIN_DEGREES,
        )
        high = _cell(
            max(segment.latitude0, segment.latitude1) + _MARGIN_DEGREES,
            max(segment.longitude0, segment.longitude1) + _MARGIN_DEGREES,
        )
        for i in range(low[0], high[0] + 1):
            for j in range(low[1], high[1] + 1):
                index.setdefault((i, j), []).append(segment)
    return index


def _segments() -> Iterator[_Segment]:
    for name in ROUTE_NAMES:
        line = route(name)
        for i in range(1, len(line.points)):
            (latitude0, longitude0), (latitude1, longitude1) = line.points[i - 1], line.points[i]
            yield _Segment(
                route=name,
                latitude0=latitude0,
                longitude0=longitude0,
                latitude1=latitude1,
                longitude1=longitude1,
                km0=line.kms[i - 1],
                km1=line.kms[i],
            )
