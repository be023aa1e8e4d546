"""Traffic on a road: how many drive, and by how much traffic, weather and incidents slow them."""

from __future__ import annotations

import math

from .incidents import Incidents
from .noise import Noise
from .route import Road
from .weather import Conditions, solar_day_s

# Share of the road's capacity in use by hour of a working day, and at the weekend.
_WORKDAY = (0.10, 0.07, 0.06, 0.08, 0.18, 0.42, 0.74, 0.92, 0.88, 0.62, 0.52, 0.54,
            0.58, 0.57, 0.62, 0.78, 0.92, 0.95, 0.78, 0.52, 0.38, 0.30, 0.22, 0.15)  # fmt: skip
_WEEKEND = (0.16, 0.11, 0.08, 0.06, 0.07, 0.12, 0.20, 0.28, 0.38, 0.48, 0.56, 0.60,
            0.62, 0.62, 0.60, 0.60, 0.58, 0.54, 0.48, 0.42, 0.36, 0.30, 0.26, 0.20)  # fmt: skip
_LANE_CAPACITY = 1_900.0  # vehicles per hour and lane
_DAY_S = 86_400


def lanes(limit_kmh: float) -> int:
    """Lanes per direction, from what the limit says of the road."""
    return 3 if limit_kmh > 85 else 2


def weather_factor(conditions: Conditions) -> float:
    """How weather slows drivers: 1 when dry, about 0.9 in rain, 0.8 in heavy rain, less in snow and dense fog."""
    factor = 1.0 - 0.065 * math.sqrt(min(conditions.precipitation, 12.0))
    if conditions.condition == "snow":
        factor -= 0.12
    if conditions.visibility < 600:
        factor = min(factor, 0.72 + 0.25 * conditions.visibility / 600)
    return factor


class Traffic:
    """Demand by hour of the day, and a slowly drifting seeded congestion field along the road."""

    def __init__(self, road: Road, *, seed: int, incidents: Incidents) -> None:
        self.incidents = incidents
        self._road = road
        self._longitude = road.longitudes[len(road.longitudes) // 2]
        self._field = Noise(f"{seed}:traffic:{road.name}")

    def demand(self, seconds: float) -> float:
        """Share of the capacity that is in use, 0 … 1."""
        hour, part = divmod(solar_day_s(self._longitude, seconds) / 3600, 1.0)
        day = int((seconds + self._longitude * 240.0) // _DAY_S + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0.
        table = _WORKDAY if day < 5 else _WEEKEND
        low, high = table[int(hour)], table[(int(hour) + 1) % 24]
        return low + (high - low) * part

    def flow_factor(self, distance_m: float, seconds: float) -> float:
        """Speed of the flow as a share of the free speed, from 1 down to about 0.35."""
        wave = self._field.plane(distance_m / 7_000 + seconds / 5_000, seconds / 2_400)
        crowding = self.demand(seconds) * (0.56 + 0.46 * wave)
        return 1.0 - 0.62 * crowding * crowding

    def speed_factor(self, distance_m: float, seconds: float, conditions: Conditions) -> float:
        """All that slows a driver here and now, as a share of the free speed."""
        factor = self.flow_factor(distance_m, seconds) * weather_factor(conditions)
        return factor * self.incidents.speed_factor(distance_m)

    def density_per_km(self, distance_m: float, seconds: float, conditions: Conditions) -> float:
        """Vehicles per kilometre and direction: flow over speed."""
        limit = self._road.limit_kmh(distance_m)
        flow = _LANE_CAPACITY * lanes(limit) * self.demand(seconds)
        return flow / max(limit * self.speed_factor(distance_m, seconds, conditions), 12.0)
