"""What the driver tells: Prometheus metrics and its health, over HTTP."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .batch import Outcome
from .delays import KafkaToCommit
from .listener import Report
from .pages import Page, metrics_page
from .tables import TABLES

BATCH_SECONDS = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60, 120)
"""Bounds of the histogram of whole batches."""

RECORDS_PER_S_OVER = 60.0
"""The rate that `document` tells is a mean over this long."""


class Progress:
    """What this driver has done, and whether its query runs: metrics, and one document. Safe to read from another
    thread.

    Three speak to it: `batch.py`'s outcomes say what was committed (`completed`), Spark's listener what a batch took
    and where in Kafka it ended (`reported`, `idled`, `ended`), and whoever keeps state says how much (`set_state`).
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.running = False
        self.last: Outcome | None = None
        self.batches = 0
        self._started = time.time()
        self._last_at: float | None = None
        self._report: Report | None = None
        self._recent: deque[tuple[float, int]] = deque()
        self._add_committed()
        self._add_seen()
        self._add_state()

    def _add_committed(self) -> None:
        registry = self.registry
        self._rows = Counter("lake_rows", "Rows committed", ["table"], registry=registry)
        self._duplicates = Counter("lake_duplicates", "Repeated records removed", ["table"], registry=registry)
        self._batches = Counter("lake_batches", "Batches completed", registry=registry)
        self._last_time = Gauge("lake_last_batch_timestamp_seconds", "End of the last batch", registry=registry)
        self._last_duration = Gauge("lake_last_batch_duration_seconds", "How long it took", registry=registry)
        self._last_records = Gauge("lake_last_batch_records", "Kafka records in it", registry=registry)
        self._delays = KafkaToCommit()
        registry.register(self._delays)
        running = Gauge("lake_query_running", "1 while the query runs, else 0", registry=registry)
        running.set_function(lambda: float(self.running))
        for table in TABLES:
            self._rows.labels(table.name)
            self._duplicates.labels(table.name)

    def _add_seen(self) -> None:
        registry, place = self.registry, ["topic", "partition"]
        self._input = Gauge(
            "lake_input_rows_per_second", "Kafka records per second since the batch before", registry=registry
        )
        self._processed = Gauge(
            "lake_processed_rows_per_second", "Kafka records per second of the last batch's own time", registry=registry
        )
        self._seconds = Histogram(
            "lake_batch_seconds", "Whole batches, planning to commit", buckets=BATCH_SECONDS, registry=registry
        )
        self._parts = Gauge(
            "lake_last_batch_part_seconds", "The last batch by part, in Spark's names", ["part"], registry=registry
        )
        self._lag = Gauge(
            "lake_lag_records",
            "Kafka records that the last batch left unread, as it was planned",
            place,
            registry=registry,
        )
        self._end = Gauge("lake_read_offset", "Kafka offset that is read next", place, registry=registry)

    def _add_state(self) -> None:
        registry = self.registry
        self._intervals = Gauge(
            "lake_state_intervals", "Intervals of ids that the look-up of duplicates keeps", registry=registry
        )
        self._state_bytes = Gauge("lake_state_bytes", "Memory of those intervals", registry=registry)
        self._operator_rows = Gauge(
            "lake_operator_state_rows", "Rows of state of Spark's own operators", ["operator"], registry=registry
        )
        self._operator_bytes = Gauge(
            "lake_operator_state_bytes", "Memory of that state", ["operator"], registry=registry
        )

    def completed(self, outcome: Outcome) -> None:
        """All tables have the batch."""
        for table, rows in outcome.rows.items():
            self._rows.labels(table).inc(rows)
        for table, rows in outcome.duplicates.items():
            self._duplicates.labels(table).inc(rows)
        self._delays.add(outcome.delays)
        now = time.time()
        self.batches += 1
        self._batches.inc()
        self._last_time.set(now)
        self._last_duration.set(outcome.seconds)
        self._last_records.set(outcome.records)
        self._recent.append((now, outcome.records))
        while self._recent[0][0] < now - RECORDS_PER_S_OVER:
            self._recent.popleft()
        self._last_at = now
        self.last = outcome

    def reported(self, report: Report) -> None:
        """Spark has committed the batch to its checkpoint."""
        self._input.set(report.input_rows_per_s)
        self._processed.set(report.processed_rows_per_s)
        self._seconds.observe(report.parts_s.get("triggerExecution", 0))
        for part, seconds in report.parts_s.items():
            self._parts.labels(part).set(seconds)
        for gauge, offsets in ((self._lag, report.lag()), (self._end, report.ends)):
            for topic, partitions in offsets.items():
                for partition, value in partitions.items():
                    gauge.labels(topic, str(partition)).set(value)
        for operator in report.operators:
            self._operator_rows.labels(operator.name).set(operator.rows)
            self._operator_bytes.labels(operator.name).set(operator.bytes)
        self._report = report

    def idled(self) -> None:
        """Kafka had nothing that was not read."""
        self.ended()
        report = self._report
        for topic, partitions in (report.ends if report else {}).items():
            for partition in partitions:
                self._lag.labels(topic, str(partition)).set(0)

    def ended(self) -> None:
        """Nothing is read at the moment; what was left unread still is."""
        self._input.set(0)
        self._processed.set(0)

    def set_state(self, intervals: int, bytes: int) -> None:
        """Size of what the driver remembers of ids that the tables hold."""
        self._intervals.set(intervals)
        self._state_bytes.set(bytes)

    def health(self) -> dict[str, object]:
        """`status` is `running` while the query runs, else `starting`."""
        last = None
        if self.last is not None:
            last = {"id": self.last.batch_id, "records": self.last.records, "seconds": round(self.last.seconds, 3)}
        return {"status": "running" if self.running else "starting", "last_batch": last}

    def document(self) -> dict[str, object]:
        """What `/progress` answers. Offsets are those that are read next, by topic and partition; `left` is what the
        last batch left unread. Times are seconds since 1970; without a batch yet, there is neither."""
        last, report = self.last, self._report
        now = time.time()
        over_s = min(RECORDS_PER_S_OVER, max(now - self._started, 1.0))
        recent = sum(records for at, records in list(self._recent) if at > now - over_s)
        batch = None
        if last is not None:
            batch = {
                "id": last.batch_id,
                "ended_at": self._last_at,
                "records": last.records,
                "seconds": round(last.seconds, 3),
                "rows": dict(last.rows),
                "duplicates": dict(last.duplicates),
            }
        return {
            "running": self.running,
            "batches": self.batches,
            "last_batch": batch,
            "records_per_s": round(recent / over_s, 3),
            "parts_s": dict(report.parts_s) if report else {},
            "offsets": report.ends if report else {},
            "left": report.lag() if report else {},
        }

    def pages(self) -> Mapping[str, Page]:
        """`/metrics`, `/progress` and `/healthz` (503 until the query runs), for `pages.serve`."""
        return {
            "/metrics": metrics_page(self.registry),
            "/progress": lambda: (200, "application/json", json.dumps(self.document()).encode()),
            "/healthz": lambda: (200 if self.running else 503, "application/json", json.dumps(self.health()).encode()),
        }
