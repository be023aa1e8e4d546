"""The simulated clock: `speed` times real time, from a start in the past, and never ahead of real time.

    simulated = min(start + (wall - anchor) * speed, wall)

Once it reaches now, it goes on at real time. It never runs backwards, even where the wall clock is set back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

DEFAULT_HORIZON = timedelta(hours=6)
"""How much simulated time a default start leaves before the clock reaches now: longer than any drive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Where simulated and wall time were tied together. Times are UTC, `speed` is simulated per real seconds."""

    start: datetime
    wall: datetime
    speed: float

    def simulated(self, wall: datetime) -> datetime:
        """Simulated time at a wall-clock time."""
        return min(self.start + (wall - self.wall) * self.speed, wall)


def default_start(wall: datetime, speed: float) -> datetime:
    """The latest whole minute from which the horizon passes at this speed before the clock reaches now.

    At speed 1 the simulated time is the real one, to the second: there is no past to make up for.
    """
    if speed <= 1:
        return wall.replace(microsecond=0)
    start = wall - DEFAULT_HORIZON * (1 - 1 / speed)
    return start.replace(second=0, microsecond=0)


class Clock:
    """Simulated time over an injected wall clock (UTC)."""

    def __init__(self, anchor: Anchor, wall_clock: Callable[[], datetime]) -> None:
        self.anchor = anchor
        self._wall_clock = wall_clock
        self._last = anchor.start

    def now(self) -> datetime:
        """Simulated time, UTC."""
        self._last = max(self._last, self.anchor.simulated(self._wall_clock()))
        return self._last
