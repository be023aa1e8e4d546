"""Counters over the last minute, and what their growth means: rates, and quantiles from a histogram's buckets. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from .settings import FLOW_WINDOW_S

Key = tuple[str, ...]
"""A sample's name, then its labels' values in the order of the labels' names."""
Values = Mapping[Key, float]


def read_samples(text: str) -> dict[Key, float]:
    """The samples of a Prometheus exposition.

    Raises:
        ValueError: it is none.
    """
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class History:
    """Samples of one process, from `FLOW_WINDOW_S` ago until now. A counter that fell says that the process began anew;
    what was before is forgotten. Times are seconds that never go back."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, Values]] = deque()

    def add(self, at: float, values: Values) -> None:
        if self._kept and any(values.get(key, 0.0) < was for key, was in self._counters()):
            self._kept.clear()
        self._kept.append((at, values))
        # One sample that is as old as the window stays: what grew since then is what the window shows.
        while len(self._kept) > 2 and self._kept[1][0] <= at - FLOW_WINDOW_S:
            self._kept.popleft()

    def clear(self) -> None:
        self._kept.clear()

    @property
    def latest(self) -> Values:
        return self._kept[-1][1] if self._kept else {}

    @property
    def span_s(self) -> float:
        """How long it has been watched, the window at most."""
        return self._kept[-1][0] - self._kept[0][0] if self._kept else 0.0

    def grown(self, *key: str) -> dict[Key, float]:
        """By how much the samples whose key begins so have grown over the window; without those that were not there."""
        if not self._kept:
            return {}
        before, now = self._kept[0][1], self._kept[-1][1]
        # A label that is new counts from zero, as Prometheus' own counters do at a process' first message.
        return {each: value - before.get(each, 0.0) for each, value in now.items() if each[: len(key)] == key}

    def rates(self, *key: str, over_s: float) -> dict[Key, float]:
        """Growth per second over the last `over_s` (the newest sample and the last one that is as old)."""
        if len(self._kept) < 2:
            return {}
        at, now = self._kept[-1]
        since, before = next((one for one in reversed(self._kept) if one[0] <= at - over_s), self._kept[0])
        return {
            each: (value - before.get(each, 0.0)) / (at - since)
            for each, value in now.items()
            if each[: len(key)] == key
        }

    def _counters(self) -> list[tuple[Key, float]]:
        return [(key, value) for key, value in self._kept[-1][1].items() if key[0].endswith(("_total", "_count"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """What a histogram says of so many messages. A quantile is None where it lies outside the bounds: below zero (two
    clocks disagree) or beyond the last one."""

    count: int
    p50_s: float | None = None
    p99_s: float | None = None
    negative: int = 0
    """Received before they were sent, by the clocks of two machines."""
    beyond: int = 0
    """Longer than the last bound."""
    bound_s: float = 0.0
    """That bound."""
    bars: tuple[tuple[float, float, int], ...] = ()
    """Lower and upper bound in seconds, and how many lie between, for a picture."""


def latency_of(cumulative: Mapping[float, float]) -> Latency:
    """Quantiles of what grew in each bucket, by upper bound; `inf` is the whole. Within a bucket, linear."""
    bounds = sorted(cumulative)
    total = cumulative.get(math.inf, 0.0)
    if total <= 0:
        return Latency(count=0)
    counts = [
        cumulative[bound] - (cumulative[before] if before is not None else 0.0) for before, bound in _pairs(bounds)
    ]
    finite = [bound for bound in bounds if bound != math.inf]
    bars = [
        (before if before is not None else 0.0, bound, round(count))
        for (before, bound), count in zip(_pairs(bounds), counts, strict=True)
        if bound != math.inf and bound > 0
    ]
    return Latency(
        count=round(total),
        p50_s=_quantile(0.5, bounds, counts),
        p99_s=_quantile(0.99, bounds, counts),
        negative=round(sum(count for bound, count in zip(bounds, counts, strict=True) if bound <= 0)),
        beyond=round(counts[-1]),
        bound_s=finite[-1] if finite else 0.0,
        bars=tuple(bars),
    )


def _pairs(bounds: Sequence[float]) -> list[tuple[float | None, float]]:
    return list(zip([None, *bounds[:-1]], bounds, strict=True))


def _quantile(share: float, bounds: Sequence[float], counts: Sequence[float]) -> float | None:
    rank, seen = share * sum(counts), 0.0
    for (before, bound), count in zip(_pairs(bounds), counts, strict=True):
        if count and seen + count >= rank:
            if bound <= 0 or bound == math.inf:
                return None
            low = before or 0.0
            return min(bound, low + (bound - low) * (rank - seen) / count)
        seen += count
    return None
