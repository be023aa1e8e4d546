"""When a fault applies: pure functions of plan, device and simulated time, so that no fault shifts another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Span = tuple[datetime, datetime]
"""Begin (inclusive) and end (exclusive), simulated time, UTC."""

When = datetime | timedelta
"""A time, or an offset from the world's start."""

_SECOND = timedelta(seconds=1)
_NEVER = datetime.max.replace(tzinfo=UTC)


def draw(*parts: object) -> float:
    """A number from 0 up to 1 that depends on these parts alone: each (seed, fault, device, time) has its own."""
    text = "\0".join(map(str, parts)).encode()
    return (int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 11) / (1 << 53)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Within `begin` to `end`; where `every` is given, once in each such interval, for `lasts`, at a seeded moment;
    and of the readings in that time a share of `probability`."""

    begin: When = timedelta(0)
    end: When | None = None
    every: timedelta | None = None
    lasts: timedelta | None = None
    probability: float = 1.0

    def anchored(self, start: datetime) -> Anchored:
        """The schedule in the simulated time of a world that starts then."""
        begin = start + self.begin if isinstance(self.begin, timedelta) else self.begin
        end = start + self.end if isinstance(self.end, timedelta) else self.end
        return Anchored(begin=begin, end=end or _NEVER, every=self.every, lasts=self.lasts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """A schedule in absolute simulated time."""

    begin: datetime
    end: datetime
    every: timedelta | None
    lasts: timedelta | None

    def spell(self, time: datetime, *key: object) -> Span | None:
        """The spell that this time lies in. `key` (seed, fault, device) decides where in each interval it begins."""
        if not self.begin <= time < self.end:
            return None
        if self.every is None or self.lasts is None:
            return self.begin, self.end
        interval = (time - self.begin) // self.every
        slack_s = (self.every - self.lasts) // _SECOND
        offset = timedelta(seconds=int(draw(*key, "spell", interval) * (slack_s + 1)))
        begin = self.begin + interval * self.every + offset
        return (begin, min(begin + self.lasts, self.end)) if begin <= time < begin + self.lasts else None
