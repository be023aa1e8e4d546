"""Which readings the tables certainly do not hold yet: a filter before the look-up, kept in the driver's memory.

Ids are `<boot>.<sequence>`, and the sequences of a boot follow one another across all its streams, so what has been
seen of a boot is a few intervals. A reading outside them is in no table. One inside them *may* be in its table: that
is for the look-up to say. So the intervals may hold too much, never too little.

They hold whatever the tables hold of certain days (`days`), read from the tables when a day is first touched. A reading
that is sent again has the same event time, and thus is found on the same day.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAYS_MAX = 8
"""Days that are held at once, the newest: one that is older than all of them is left to the look-up."""

BOOT_BYTES = 400
"""What Python takes for a boot beside its intervals: two entries of dictionaries, a name, a number, an array's head."""

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """The ids of some readings, an entry for each in every array."""

    boots: Integers
    """Number of the boot in `names`; -1 for an id that is not `<boot>.<sequence>`."""
    names: list[str]
    sequences: Integers
    days: Integers
    """Day of the event time, counted from 1970-01-01 UTC."""


class Seen:
    """Intervals of sequences by boot, and the days that they answer for."""

    def __init__(self, days_max: int = DAYS_MAX) -> None:
        self.days: set[int] = set()
        self.snapshots: dict[str, int | None] = {}
        """By table: its snapshot when it was last read or written here; what another writer adds later is not seen."""
        self._days_max = days_max
        self._intervals: dict[str, Integers] = {}
        """By boot: first and last sequences of each interval, ascending; shape (n, 2)."""
        self._newest_day: dict[str, int] = {}

    def forget(self) -> None:
        """Know nothing, after a failure or another writer's commit."""
        self.days.clear()
        self.snapshots.clear()
        self._intervals.clear()
        self._newest_day.clear()

    @property
    def intervals(self) -> int:
        return sum(len(found) for found in self._intervals.values())

    @property
    def bytes(self) -> int:
        """About: what the intervals take, and their boots' names and places."""
        return 16 * self.intervals + BOOT_BYTES * len(self._intervals)

    def missing_days(self, touched: Iterable[int]) -> list[int]:
        """Those of the touched days that are to be read from the tables before `suspects` is asked."""
        newest = sorted(self.days | set(touched), reverse=True)[: self._days_max]
        return [day for day in newest if day not in self.days]

    def cover(self, days: Iterable[int], found: Mapping[str, tuple[Integers, int]]) -> None:
        """Take in everything that the tables hold of some days: by boot, its intervals and the newest day of them.

        The oldest days may be let go for them.
        """
        for boot, (intervals, newest_day) in found.items():
            self._add(boot, intervals, newest_day)
        self.days = set(sorted({*self.days, *days}, reverse=True)[: self._days_max])
        for boot in [boot for boot, newest in self._newest_day.items() if newest < min(self.days)]:
            del self._newest_day[boot], self._intervals[boot]

    def suspects(self, ids: Ids) -> Flags:
        """True where a reading may be in a table already, or stands twice in `ids`."""
        flags = (ids.boots < 0) | ~np.isin(ids.days, np.fromiter(self.days, np.int64))
        order, groups = _by_boot(ids)
        for start, end in groups:
            rows = order[start:end]
            sequences = ids.sequences[rows]
            twice = sequences[1:] == sequences[:-1]
            if twice.any():
                flags[rows[1:][twice]] = flags[rows[:-1][twice]] = True
            held = self._intervals.get(ids.names[ids.boots[rows[0]]])
            if held is not None and sequences[0] <= held[-1, 1]:
                flags[rows] |= _inside(sequences, held)
        return flags

    def add(self, ids: Ids) -> None:
        """The tables hold these readings now."""
        order, groups = _by_boot(ids)
        for start, end in groups:
            rows = order[start:end]
            boot = ids.names[ids.boots[rows[0]]]
            self._add(boot, runs(ids.sequences[rows]), int(ids.days[rows].max()))

    def _add(self, boot: str, intervals: Integers, day: int) -> None:
        held = self._intervals.get(boot)
        self._intervals[boot] = intervals if held is None else merge(held, intervals)
        self._newest_day[boot] = max(day, self._newest_day.get(boot, day))


def _by_boot(ids: Ids) -> tuple[Integers, list[tuple[int, int]]]:
    """Rows with a boot, in the order of boot and sequence, and where in that order each boot begins and ends."""
    order = np.lexsort((ids.sequences, ids.boots))
    boots = ids.boots[order]
    edges = np.flatnonzero(np.diff(boots)) + 1
    bounds = [0, *edges.tolist(), len(boots)] if len(boots) else [0]
    return order, [(a, b) for a, b in itertools.pairwise(bounds) if boots[a] >= 0]


def _inside(sequences: Integers, intervals: Integers) -> Flags:
    at = np.searchsorted(intervals[:, 0], sequences, side="right") - 1
    found: Flags = (at >= 0) & (sequences <= intervals[at, 1])
    return found


def runs(ascending: Integers) -> Integers:
    """The intervals that ascending numbers, some of them repeated, make up."""
    edges = np.flatnonzero(np.diff(ascending) > 1)
    firsts = np.concatenate((ascending[:1], ascending[edges + 1]))
    lasts = np.concatenate((ascending[edges], ascending[-1:]))
    return np.stack((firsts, lasts), axis=1)


def merge(held: Integers, more: Integers) -> Integers:
    """The union of two lists of intervals, ascending; those that touch or overlap are one."""
    both = np.concatenate((held, more))
    if more[0, 0] <= held[-1, 1]:
        both = both[np.argsort(both[:, 0], kind="stable")]
    lasts = np.maximum.accumulate(both[:, 1])
    begins = np.flatnonzero(both[1:, 0] > lasts[:-1] + 1) + 1
    firsts = both[np.concatenate(([0], begins)), 0]
    ends = lasts[np.concatenate((begins - 1, [len(both) - 1]))]
    return np.stack((firsts, ends), axis=1)
