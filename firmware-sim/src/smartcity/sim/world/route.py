"""A contract's route as vehicles need it: distances in metres, headings, speeds that the road allows, lights, heights.

Everything is computed once per route and does not depend on the seed: the road is the same in every world.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
from array import array
from dataclasses import dataclass

from smartcity.contracts import routes

PREFIXES = {"waterloo-toronto": "wt", "london-birmingham": "lb"}
"""How device names of a route begin."""

PROFILE_STEP_M = 10.0
HEIGHT_STEP_M = 100.0
_BRAKING = 0.9  # m/s², with which the profile slows down ahead of a lower speed.
_SIDEWAYS_MAX = 2.0  # m/s² in a curve.
_TURN_SPEED = 6.0  # m/s through a corner of more than 60°.

# Speed limits in km/h by segment of the contract: (km into the segment, limit). 30, 40, 50 and 70 mph in Britain.
_LIMITS: dict[str, tuple[tuple[float, float], ...]] = {
    "Uptown Waterloo start": ((0.0, 50.0),),
    "King St (Waterloo-Kitchener)": ((0.0, 50.0),),
    "Hwy 8 King St - Hwy 401 exit 278 incl. ramp": ((0.0, 60.0), (1.5, 80.0)),
    "Hwy 401 exit 278 - Hwy 427": ((0.0, 100.0),),
    "Hwy 427 (401 ramp - Gardiner ramp)": ((0.0, 80.0), (0.8, 100.0)),
    "Gardiner Expressway - York St": ((0.0, 90.0), (13.6, 50.0)),
    "York St / Queen St to City Hall": ((0.0, 40.0),),
    "Central London - A40 Western Avenue - Greater London boundary": ((0.0, 48.28), (6.0, 64.37), (12.0, 80.47)),
    "A40 Denham - M40 J1-J16 - M42 J3A-J7 - M6 J4-J6 - A38(M) start": ((0.0, 112.65),),
    "A38(M) Aston Expressway - Birmingham centre": ((0.0, 80.47), (2.2, 48.28)),
}

# Stretches with traffic lights: (from km, to km, mean spacing in km).
_LIT = {
    "waterloo-toronto": ((0.2, 6.1, 0.5), (6.4, 7.6, 1.0), (108.95, 109.8, 0.35)),
    "london-birmingham": ((0.2, 6.0, 0.4), (6.5, 12.0, 1.4), (200.8, 202.2, 0.45)),
}

# Heights above sea level in m by km, read off the lie of the land; approximate, no survey.
_HEIGHTS = {
    "waterloo-toronto": (
        (0, 329), (6, 322), (14, 300), (20, 296), (35, 325), (45, 300), (50, 262), (56, 205), (66, 190),
        (78, 172), (86, 150), (94, 108), (98, 90), (109, 84), (110, 90),
    ),
    "london-birmingham": (
        (0, 24), (10, 40), (27, 48), (38, 95), (48, 165), (55, 225), (60, 130), (75, 85), (95, 72), (104, 112),
        (121, 98), (132, 130), (146, 62), (152, 70), (166, 135), (182, 98), (193, 92), (202, 138),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Road:
    """A route in metres. Lists are indexed by vertex unless they say otherwise."""

    name: str
    prefix: str
    route: routes.Route
    length_m: float
    left_hand: bool
    """Traffic keeps to the left."""
    distances: list[float]
    latitudes: list[float]
    longitudes: list[float]
    latitude_per_m: list[float]
    longitude_per_m: list[float]
    headings: list[float]
    """Degrees clockwise from north, of the piece that begins at the vertex."""
    profile: array[float]
    """Speed in m/s that limits, curves and comfortable braking allow, every PROFILE_STEP_M."""
    heights: array[float]
    """Metres above sea level every HEIGHT_STEP_M."""
    lights: tuple[float, ...]
    """Distances of the stop lines of traffic lights, with infinity at the end."""
    places: tuple[tuple[float, str], ...]
    """From which distance on a place is called what."""

    def place(self, distance_m: float) -> str:
        """The place at a distance, in words."""
        return next(words for start, words in reversed(self.places) if start <= max(distance_m, 0.0))

    def limit_kmh(self, distance_m: float) -> float:
        """The posted speed limit, in km/h."""
        return _limit_kmh(self.route, distance_m / 1000)

    def height(self, distance_m: float) -> tuple[float, float]:
        """Height above sea level in m, and gradient (rise over run)."""
        x = distance_m / HEIGHT_STEP_M
        i = min(int(x), len(self.heights) - 2)
        low, high = self.heights[i], self.heights[i + 1]
        return low + (high - low) * (x - i), (high - low) / HEIGHT_STEP_M


@functools.cache
def road(name: str) -> Road:
    """The road of a route.

    Raises:
        KeyError: there is no route of this name.
    """
    route = routes.route(name)
    distances = [km * 1000 for km in route.kms]
    latitude_per_m, longitude_per_m, headings = [], [], []
    for ((lat0, lon0), d0), ((lat1, lon1), d1) in itertools.pairwise(zip(route.points, distances, strict=True)):
        north, east = routes.metres_per_degree((lat0 + lat1) / 2)
        latitude_per_m.append((lat1 - lat0) / (d1 - d0))
        longitude_per_m.append((lon1 - lon0) / (d1 - d0))
        headings.append(math.degrees(math.atan2((lon1 - lon0) * east, (lat1 - lat0) * north)) % 360.0)
    return Road(
        name=name,
        prefix=PREFIXES[name],
        route=route,
        length_m=distances[-1],
        left_hand=name == "london-birmingham",
        distances=distances,
        latitudes=[point[0] for point in route.points],
        longitudes=[point[1] for point in route.points],
        latitude_per_m=latitude_per_m,
        longitude_per_m=longitude_per_m,
        headings=headings,
        profile=_profile(route, distances, headings),
        heights=_heights(name, distances[-1]),
        lights=_lights(name),
        places=_places(route),
    )


def _limit_kmh(route: routes.Route, km: float) -> float:
    segment = route.segment_at(km)
    return next(kmh for start, kmh in reversed(_LIMITS[segment.name]) if km >= segment.from_km + start or start == 0.0)


def _profile(route: routes.Route, distances: list[float], headings: list[float]) -> array[float]:
    """Limits, then curves, then braking ahead of both (one pass backwards: v² may grow by 2·a·step)."""
    count = int(distances[-1] / PROFILE_STEP_M) + 2
    speeds = array("d", (_limit_kmh(route, i * PROFILE_STEP_M / 1000) / 3.6 for i in range(count)))
    for i in range(1, len(headings)):
        turn = abs((headings[i] - headings[i - 1] + 180.0) % 360.0 - 180.0)
        if turn < 3.0:
            continue
        before, after = distances[i] - distances[i - 1], distances[i + 1] - distances[i]
        radius = min(before, after) / 2 / math.tan(math.radians(turn) / 2)
        speed = _TURN_SPEED if turn > 60.0 else max(math.sqrt(_SIDEWAYS_MAX * radius), _TURN_SPEED)
        at = round(distances[i] / PROFILE_STEP_M)
        speeds[at] = min(speeds[at], speed)
    for i in range(count - 2, -1, -1):
        speeds[i] = min(speeds[i], math.sqrt(speeds[i + 1] ** 2 + 2 * _BRAKING * PROFILE_STEP_M))
    return speeds


def _heights(name: str, length_m: float) -> array[float]:
    """The table of heights, rounded off between its rows, with the small waves that every road has."""
    table = _HEIGHTS[name]
    heights = array("d")
    for i in range(int(length_m / HEIGHT_STEP_M) + 2):
        km = i * HEIGHT_STEP_M / 1000
        (km0, low), (km1, high) = next(
            (pair for pair in itertools.pairwise(table) if pair[1][0] >= km), (table[-2], table[-1])
        )
        part = min(max((km - km0) / (km1 - km0), 0.0), 1.0)
        waves = 2.5 * math.sin(km * 2.1) + 1.5 * math.sin(km * 5.3 + 1.0)
        heights.append(low + (high - low) * part * part * (3 - 2 * part) + waves)
    return heights


def _lights(name: str) -> tuple[float, ...]:
    rng = random.Random(f"{name}:lights")
    found = []
    for start, end, spacing in _LIT[name]:
        km = start + spacing * rng.uniform(0.3, 0.8)
        while km < end:
            found.append(km * 1000)
            km += spacing * rng.uniform(0.7, 1.3)
    return (*found, math.inf)


def _places(route: routes.Route) -> tuple[tuple[float, str], ...]:
    places = [(segment.from_km, segment.name) for segment in route.segments]
    starts = [km for km, _ in places]
    for junction in routes.sites(route.name, "junction"):
        if min(abs(junction.route_km - start) for start in starts) < 0.1:
            continue
        way = junction.properties["road"]
        places.append((junction.route_km, f"{way}, past {junction.name.removeprefix(way).strip()}"))
    return tuple((km * 1000, words) for km, words in sorted(places))
