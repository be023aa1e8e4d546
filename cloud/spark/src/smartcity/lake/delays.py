"""How long records waited: from the time that Kafka has of each (the bridge's clock, when it handed the record over) to
the moment when the table that it belongs to was committed. Counted per batch, in arrays.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from .seen import Integers

BOUNDS_S = (
    0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 17.0, 20.0, 25.0,
    30.0, 45.0, 60.0, 120.0, 300.0, 900.0, 3600.0,
)  # fmt: skip
"""Upper bounds, both ends of a trigger of ten seconds in steps of one. Up to zero: two clocks that disagree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """Records by bound, those beyond the last one at the end, and the sum of all that are above zero, in seconds."""

    counts: Integers
    sum_s: float


def delays_of(kafka_us: Integers, committed_at_s: float) -> Delays:
    """Delays of records by their Kafka times (microseconds since 1970), all committed at one moment (seconds)."""
    waited = committed_at_s - kafka_us / 1e6
    counts = np.bincount(np.searchsorted(BOUNDS_S, waited), minlength=len(BOUNDS_S) + 1)
    return Delays(counts=counts, sum_s=float(waited[waited > 0].sum()))


class KafkaToCommit(Collector):
    """The histogram by table. prometheus_client's own takes one value at a time, 3 µs each."""

    def __init__(self) -> None:
        self._counts: dict[str, Integers] = {}
        self._sums: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, delays: Mapping[str, Delays]) -> None:
        """A batch's, by table."""
        with self._lock:
            for table, one in delays.items():
                self._counts[table] = one.counts + self._counts.get(table, 0)
                self._sums[table] = one.sum_s + self._sums.get(table, 0.0)

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        family = HistogramMetricFamily(
            "lake_kafka_to_commit_seconds",
            "From a record's time in Kafka to its table's commit, repeated records included",
            labels=("table",),
        )
        names = [*map(str, BOUNDS_S), "+Inf"]
        with self._lock:
            for table, counts in self._counts.items():
                family.add_metric(
                    (table,), list(zip(names, np.cumsum(counts).tolist(), strict=True)), self._sums[table]
                )
        yield family
