"""What Spark tells of its query after each batch, as values: rates, durations, offsets, state. And who hears it.

Offsets are Kafka's: the next one to read. A partition's lag is the latest offset that Spark saw when it planned the
batch, less the offset that the batch ended at: what a batch limit made it leave behind. What has come since is not in
it; who can ask Kafka compares `ends` with Kafka's own (`smartcity status` does).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

_log = logging.getLogger(__name__)

Offsets = dict[str, dict[int, int]]
"""Offset by topic and partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """State that Spark keeps for one stateful operator of the query. Ours has none today."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One batch as Spark saw it. Rates are rows per second: `input` over the time since the last batch began,
    `processed` over the time that this one took."""

    batch_id: int
    rows: int
    input_rows_per_s: float
    processed_rows_per_s: float
    parts_s: Mapping[str, float]
    """Seconds by part of the batch, in Spark's names; `triggerExecution` is the whole."""
    ends: Offsets = field(default_factory=dict)
    latest: Offsets = field(default_factory=dict)
    operators: tuple[Operator, ...] = ()

    def lag(self) -> Offsets:
        """Records that the batch left unread, by topic and partition."""
        return {
            topic: {
                partition: max(0, self.latest.get(topic, {}).get(partition, end) - end)
                for partition, end in partitions.items()
            }
            for topic, partitions in self.ends.items()
        }


class Hearer(Protocol):
    """Whom a listener tells."""

    def reported(self, report: Report) -> None:
        """A batch ended."""

    def idled(self) -> None:
        """Kafka had nothing new."""

    def ended(self) -> None:
        """The query ended, in order or not."""


def read_report(document: Mapping[str, Any]) -> Report:
    """Spark's progress JSON (StreamingQueryProgress) as a report. Rates that Spark could not compute count as 0.

    Raises:
        KeyError, TypeError, ValueError: the document is none.
    """
    ends: Offsets = {}
    latest: Offsets = {}
    for source in document["sources"]:
        ends |= _offsets(source.get("endOffset"))
        latest |= _offsets(source.get("latestOffset"))
    return Report(
        batch_id=int(document["batchId"]),
        rows=int(document["numInputRows"]),
        input_rows_per_s=float(document.get("inputRowsPerSecond") or 0),
        processed_rows_per_s=float(document.get("processedRowsPerSecond") or 0),
        parts_s={name: milliseconds / 1000 for name, milliseconds in document["durationMs"].items()},
        ends=ends,
        latest=latest,
        operators=tuple(
            Operator(
                name=str(one["operatorName"]), rows=int(one["numRowsTotal"]), bytes=int(one.get("memoryUsedBytes") or 0)
            )
            for one in document.get("stateOperators", ())
        ),
    )


def _offsets(document: Any) -> Offsets:
    """Kafka's offsets as Spark writes them; none for a source that has no such."""
    if isinstance(document, str):
        document = json.loads(document)
    if not isinstance(document, Mapping):
        return {}
    return {
        str(topic): {int(partition): int(offset) for partition, offset in partitions.items()}
        for topic, partitions in document.items()
    }


class Listener(StreamingQueryListener):
    """Tells `hearer` of every batch. Spark calls it from a thread of its own, after the batch is committed, so that it
    delays no batch; what goes wrong in it is logged, and changes nothing for the query."""

    def __init__(self, hearer: Hearer) -> None:
        self._hearer = hearer

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802
        """The query's start waits for this, so nothing is done here."""

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802
        self._tell(lambda: self._hearer.reported(read_report(json.loads(event.progress.json))))

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: N802
        self._tell(self._hearer.idled)

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802
        self._tell(self._hearer.ended)

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception:
            _log.exception("what Spark told of its query was not understood: metrics keep their last values")
