"""What the loop generates from: the world, pulled along by the simulated clock.

A reading is pulled as soon as its time has come. Whether the run is at its end is looked for after each step of one
simulated second, whatever the speed and however the loop is interrupted: so a run's last reading depends on seed and
start alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from smartcity.contracts.streams import VEHICLE

from .observation import Observation
from .settings import Until

STEP = timedelta(seconds=1)


def step_ends(begin: datetime, end: datetime | None) -> datetime:
    """The last moment of the step that begins there."""
    last = begin + STEP - timedelta.resolution
    return last if end is None else min(last, end)


class World(Protocol):
    """What the simulator needs of a world; `smartcity.sim.world.city.City` is one."""

    @property
    def device_ids(self) -> Sequence[str]: ...
    @property
    def arrivals(self) -> Sequence[tuple[str, str, datetime]]:
        """Device, route and simulated time of each vehicle that has arrived."""

    @property
    def finished(self) -> bool:
        """Whether all vehicles have arrived."""

    def observe(self, until: datetime) -> Iterator[Observation]:
        """What happens up to and including this time, in order of (time, device, stream)."""

    def skip(self, until: datetime) -> None:
        """Lets the world go on to this time unobserved."""


class Source:
    """Pulls observations up to the clock's time. `now` is the simulated clock."""

    def __init__(
        self, world: World, *, begin: datetime, until: Until, end: datetime | None, now: Callable[[], datetime]
    ) -> None:
        self.world = world
        self.reached = begin
        """All observations up to this time have been pulled."""
        self.done = False
        self.behind = False
        """Whether the last pull ended before everything that was due had been pulled."""
        self.latest: dict[str, str] = {}
        """Metadata of each vehicle's last OBD reading, which names its latest fix: for progress alone."""
        self._until = until
        self._end = end
        self._now = now
        self._seen: Iterator[Observation] | None = None
        self._target = begin
        if isinstance(until, datetime):
            self._end = until if end is None else min(until, end)
        self._step = begin
        self._step_ends = step_ends(begin, self._end)
        self._look_for_end()

    @property
    def lag_s(self) -> float:
        """How far, in simulated seconds, the world is behind the clock."""
        return max(0.0, (self._now() - self.reached).total_seconds())

    def pull(self, *, readings_max: int, monotonic: Callable[[], float], budget_s: float) -> list[Observation]:
        """What is due, as far as the budget of real time and readings goes."""
        found: list[Observation] = []
        now = self._now()
        give_up_at = monotonic() + budget_s
        self.behind = True
        while len(found) < readings_max and monotonic() < give_up_at:
            if self._seen is None and not self._look(now):
                self.behind = False
                break
            assert self._seen is not None
            observation = next(self._seen, None)
            if observation is None:
                self._seen = None
                self.reached = self._target
                if self.reached >= self._step_ends:
                    self._end_step()
            else:
                found.append(observation)
                if observation.stream is VEHICLE and observation.metadata is not None:
                    self.latest[observation.device_id] = observation.metadata
        return found

    def _look(self, now: datetime) -> bool:
        """Whether there is more to see of the world by now; at most to the end of the step."""
        target = min(now, self._step_ends)
        if self.done or target <= self.reached:
            return False
        self._target = target
        self._seen = iter(self.world.observe(target))
        return True

    def _end_step(self) -> None:
        self._look_for_end()
        self._step += STEP
        self._step_ends = step_ends(self._step, self._end)

    def _look_for_end(self) -> None:
        if self._end is not None and self.reached >= self._end:
            self.done = True
        if self._until == "arrived" and self.world.finished:
            self.done = True
