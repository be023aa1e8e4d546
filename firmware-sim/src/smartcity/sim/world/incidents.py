"""Incidents along a road and their life: reported, responding, resolved."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .route import Road

RESPONDERS = 3
"""Responders per route; incidents go round them."""

_MEAN_GAP_S = 1_500.0  # Poisson process: one incident in 25 minutes per route on average.
_REACH_BEHIND_M = 1_500.0
_REACH_AHEAD_M = 250.0

# Type: (weight, lowest and highest severity, sentences).
_KINDS: dict[str, tuple[float, int, int, tuple[str, ...]]] = {
    "accident": (5, 2, 5, ("Two vehicles collided, one lane closed", "Rear-end collision, debris on the road",
                           "Vehicle left the road after losing grip", "Collision of several cars, queues building")),
    "breakdown": (4, 1, 2, ("Vehicle stopped on the shoulder with its hazard lights on", "Lorry with a flat tyre",
                            "Vehicle without power in the nearside lane")),
    "fire": (1, 3, 5, ("Smoke from an engine compartment", "Trailer brakes on fire")),
    "medical": (2, 2, 4, ("Driver unwell, ambulance requested", "Passenger with chest pain")),
    "police": (2, 1, 3, ("Vehicle stopped by police on the shoulder", "Unsecured load on the carriageway")),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident. Times are seconds since 1970."""

    id: str
    type: str
    severity: int
    distance_m: float
    latitude: float
    longitude: float
    location: str
    description: str
    responder: int
    """1 … RESPONDERS."""
    reported: int
    responding: int
    resolved: int


@dataclass(order=True, slots=True)
class Step:
    """A step in an incident's life, in order of time."""

    seconds: int
    number: int
    status: str = field(compare=False)
    incident: Incident = field(compare=False)


class Incidents:
    """The incidents of one road, made as time goes on. `active` are those reported and not yet resolved."""

    def __init__(self, road: Road, *, seed: int, start: int, watched: tuple[float, ...] = ()) -> None:
        """`watched` are distances of cameras: the first incident happens before one of them."""
        self.active: list[Incident] = []
        self._road = road
        self._watched = watched
        self._rng = random.Random(f"{seed}:incidents:{road.name}")
        self._count = 0
        self._steps: list[Step] = []
        # The first one comes early and where vehicles will still pass, so that one drive meets a whole life.
        self._next = start + self._rng.randint(180, 720)

    def advance(self, seconds: int) -> list[Step]:
        """The steps that are due up to a time, oldest first."""
        while self._next <= seconds:
            self._add(self._next, self._pick(), self._where())
            self._next += 1 + round(self._rng.expovariate(1 / _MEAN_GAP_S))
        due = []
        while self._steps and self._steps[0].seconds <= seconds:
            step = heapq.heappop(self._steps)
            if step.status == "reported":
                self.active.append(step.incident)
            elif step.status == "resolved":
                self.active.remove(step.incident)
            due.append(step)
        return due

    def break_down(self, seconds: int, distance_m: float) -> Incident:
        """A vehicle of this world broke down at a place; its first step is due at `seconds`."""
        return self._add(seconds, "breakdown", distance_m)

    def speed_factor(self, distance_m: float) -> float:
        """By how much incidents ahead (or just passed) slow a vehicle: 1 is not at all."""
        factor = 1.0
        for incident in self.active:
            ahead = incident.distance_m - distance_m
            if -_REACH_AHEAD_M < ahead < _REACH_BEHIND_M:
                factor = min(factor, 1.0 - 0.13 * incident.severity)
        return factor

    def _where(self) -> float:
        """Anywhere; but the first incident in the middle of the route, in view of a camera."""
        length = self._road.length_m
        if self._count:
            return self._rng.uniform(0.02, 0.98) * length
        middle = [at for at in self._watched if 0.15 * length < at < 0.5 * length]
        return self._rng.choice(middle) + 60.0 if middle else self._rng.uniform(0.15, 0.5) * length

    def _pick(self) -> str:
        return self._rng.choices(list(_KINDS), weights=[kind[0] for kind in _KINDS.values()])[0]

    def _add(self, reported: int, kind: str, distance_m: float) -> Incident:
        rng, road = self._rng, self._road
        _, least, most, sentences = _KINDS[kind]
        severity = rng.randint(least, most)
        responding = reported + rng.randint(180, 480)
        self._count += 1
        latitude, longitude = road.route.point_at(distance_m / 1000)
        incident = Incident(
            id=f"{road.prefix}-{datetime.fromtimestamp(reported, tz=UTC):%Y%m%dT%H%M%S}-{self._count:03d}",
            type=kind,
            severity=severity,
            distance_m=distance_m,
            latitude=round(latitude, 6),
            longitude=round(longitude, 6),
            location=f"{road.place(distance_m)} (km {distance_m / 1000:.1f})",
            description=rng.choice(sentences),
            responder=(self._count - 1) % RESPONDERS + 1,
            reported=reported,
            responding=responding,
            resolved=responding + rng.randint(300, 700) + 90 * severity,
        )
        for number, status in enumerate(("reported", "responding", "resolved")):
            heapq.heappush(
                self._steps,
                Step(getattr(incident, status), self._count * 3 + number, status, incident),
            )
        return incident
