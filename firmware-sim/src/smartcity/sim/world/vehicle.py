"""A vehicle on its journey: 1 Hz dynamics along a road. Distances in m, speeds in m/s, times in seconds since 1970."""

from __future__ import annotations

import random
from collections.abc import Callable

from .engine import Engine
from .incidents import Incidents
from .models import MODELS, Model
from .route import HEIGHT_STEP_M, PROFILE_STEP_M, Road
from .traffic import Traffic
from .weather import Conditions, Weather

ACCELERATION_MAX = 2.5
BRAKING_MAX = 3.5
_FLOW_REFRESH_S = 5
_WEATHER_REFRESH_S = 60
_CYCLE_S, _RED_S = 80, 34
_FAULTS = (("P0301",), ("P0171",), ("P0301", "P0300"), ("P0420",))
_ELECTRIC_FAULTS = (("P0A80",), ("P0AA6",))
_FAULT_SHARE = 0.08


class Vehicle:
    """One vehicle. `step` advances it by a second; the attributes say where it is and how it moves.

    Acceleration stays within -BRAKING_MAX … ACCELERATION_MAX, and the distance covered in a second is the mean of the
    speeds at its ends, so that the speed is the derivative of the track. Vehicles do not see each other: traffic acts
    on them through `Traffic`, and lights and incidents stop or slow them.

    It departs `hundredth` hundredths of a second after the begin of a second, and all its seconds, as its sensors
    count them, begin that late. What acts on it is looked up at the begin.
    """

    __slots__ = (
        "_breakdown_m", "_driver", "_engine_read", "_factor", "_flow_at", "_held_until", "_light", "_phase", "_rng",
        "_traffic", "_weather", "_weather_at", "acceleration", "arrived", "conditions", "depart_at", "distance",
        "engine", "hundredth", "index", "latitude", "longitude", "model", "name", "noise_at", "on_break_down",
        "piece", "place", "road", "running", "speed", "trouble_codes", "year",
    )  # fmt: skip

    def __init__(
        self,
        *,
        name: str,
        index: int,
        road: Road,
        traffic: Traffic,
        weather: Weather,
        seed: int,
        depart_at: int,
        hundredth: int,
        engine_read: bool = True,
    ) -> None:
        """Nothing that moves depends on the engine: without a reader (`engine_read`) it is not computed."""
        rng = random.Random(f"{seed}:vehicle:{name}")
        self._rng = rng
        self._traffic, self._weather = traffic, weather
        self.name, self.index, self.road, self.hundredth = name, index, road, hundredth
        self.model: Model = MODELS[(index + random.Random(f"{seed}:fleet:{road.name}").randrange(5)) % len(MODELS)]
        self.year = rng.randint(*self.model.years)
        self.engine = Engine(self.model, rng)
        self.noise_at = rng.uniform(0.0, 1000.0)
        self._engine_read = engine_read
        self.depart_at = depart_at
        self.running = False
        self.arrived = False
        self.on_break_down: Callable[[int, float], int] | None = None
        """Told time and place of a breakdown; answers until when the vehicle stands."""
        self._phase = random.Random(f"{seed}:lights:{road.name}").randrange(_CYCLE_S)
        self._reset()

    def _reset(self) -> None:
        rng = self._rng
        self.arrived = False
        self.distance = self.speed = self.acceleration = 0.0
        self.piece = self.place = self._light = 0
        self._driver = min(max(rng.gauss(1.05, 0.04), 0.94), 1.13)
        self._flow_at = self._weather_at = self._held_until = 0
        self._factor = 1.0
        self.trouble_codes: tuple[str, ...] = ()
        self._breakdown_m = self.road.length_m * (rng.uniform(0.2, 0.8) if rng.random() < _FAULT_SHARE else 2.0)
        self.latitude, self.longitude = self.road.route.points[0]
        self.conditions: Conditions | None = None

    def depart(self, seconds: int) -> None:
        """Start the engine at the origin."""
        self._reset()
        self.running = True
        self._look_around(seconds)
        assert self.conditions is not None
        self.engine.start(self.conditions.temperature)

    def step(self, seconds: int) -> bool:
        """Drive the second that ends at `seconds`. True if the vehicle has arrived and stands."""
        if seconds >= self._flow_at:
            self._look_around(seconds)
        road, speed, distance = self.road, self.speed, self.distance
        acceleration = self._accelerate(seconds, speed, distance)
        faster = max(speed + acceleration, 0.0)
        self.acceleration = faster - speed
        self.distance = distance = distance + (speed + faster) / 2
        self.speed = faster
        piece, distances = self.piece, road.distances
        while piece < len(distances) - 2 and distance >= distances[piece + 1]:
            piece += 1
        self.piece = piece
        past = distance - distances[piece]
        self.latitude = road.latitudes[piece] + past * road.latitude_per_m[piece]
        self.longitude = road.longitudes[piece] + past * road.longitude_per_m[piece]
        while road.lights[self._light] < distance:
            self._light += 1
        if self._engine_read:
            i = int(distance / HEIGHT_STEP_M)
            heights = road.heights
            grade = (heights[i + 1] - heights[i]) / HEIGHT_STEP_M
            self.engine.step(faster, self.acceleration, grade, self.conditions.temperature)  # type: ignore[union-attr]
        return faster == 0.0 and distance > road.length_m - 8.0

    def _accelerate(self, seconds: int, speed: float, distance: float) -> float:
        """What the driver does this second: towards the speed that all allow, smoothly, and stopping where needed."""
        road, profile = self.road, self.road.profile
        here = profile[int(distance / PROFILE_STEP_M)]
        ahead = profile[min(int((distance + speed * 1.6) / PROFILE_STEP_M), len(profile) - 1)]
        target = min((here if here < ahead else ahead) * self._factor, self.model.speed_max)
        room = road.length_m - 2.0 - distance
        light = road.lights[self._light] - distance
        if light < 150.0 and self._is_red(seconds) and speed * speed < 6.0 * light:
            room = min(room, light)
        if distance >= self._breakdown_m and not self.trouble_codes and self.on_break_down is not None:
            self.trouble_codes = self._rng.choice(_ELECTRIC_FAULTS if self.model.fuel_type == "electric" else _FAULTS)
            self._held_until = self.on_break_down(seconds, distance + 120.0)
        wanted = 0.4 * (target - speed)
        wanted = min(max(wanted, -1.8, self.acceleration - 1.2), self.model.acceleration, self.acceleration + 1.0)
        if seconds < self._held_until:
            return max(min(wanted, -1.5), -speed)
        if room < 150.0:
            if room < 3.0 and speed < 3.2:
                return -speed
            needed = speed * speed / (2.0 * max(room, 1.0))
            if needed > 0.7:
                return max(min(wanted, -needed), -BRAKING_MAX)
        return wanted

    def _is_red(self, seconds: int) -> bool:
        return (seconds + self._phase + 31 * self._light) % _CYCLE_S < _RED_S

    def _look_around(self, seconds: int) -> None:
        if seconds >= self._weather_at or self.conditions is None:
            self.conditions = self._weather.at(self.latitude, self.longitude, seconds)
            self._weather_at = seconds + _WEATHER_REFRESH_S
        self._flow_at = seconds + _FLOW_REFRESH_S
        self._factor = self._driver * self._traffic.speed_factor(self.distance, seconds, self.conditions)
        if self.trouble_codes:
            self._factor = min(self._factor, 0.8)
        places = self.road.places
        while self.place < len(places) - 1 and places[self.place + 1][0] <= self.distance:
            self.place += 1


def stand_by(incidents: Incidents) -> Callable[[int, float], int]:
    """What happens when a vehicle breaks down: an incident is reported, help comes, and it limps on."""

    def report(seconds: int, distance_m: float) -> int:
        incident = incidents.break_down(seconds + 20, distance_m)
        return incident.responding + 60

    return report
