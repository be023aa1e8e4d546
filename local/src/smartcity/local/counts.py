"""How many readings each stage holds, counted where they lie: the devices' log, Kafka, the lake's snapshots."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import DEAD_LETTERS_TABLE
from smartcity.contracts.topics import KAFKA_TOPICS

from .errors import ServiceError
from .verify.lake import Lake

KAFKA_TIMEOUT_S = 10.0
SQLITE_TIMEOUT_S = 10.0

Counts = dict[str, int]
"""By stream name, and `dead_letters` where the stage has them."""

_NAME_OF_TOPIC = {**{stream.kafka_topic: stream.name for stream in STREAMS}, DEAD_LETTERS_TABLE: DEAD_LETTERS_TABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """One look at all stages, counted from the beginning of the run that is watched."""

    generated: Counts
    pending: int
    """Readings in the outbox."""
    kafka: Counts
    lake: Counts


def since(counts: Counts, base: Counts) -> Counts:
    """What has come on top of `base`."""
    return {name: count - base.get(name, 0) for name, count in counts.items()}


class LogCounter:
    """Counts a growing device log; each look reads only what is new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last_rowid = 0
        self._counts: Counts = {stream.name: 0 for stream in STREAMS}

    def look(self) -> tuple[Counts, int]:
        """Readings by stream, and how many are pending. Zeros while there is no log yet."""
        pending = 0
        if self._path.exists():
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=SQLITE_TIMEOUT_S)) as db:
                try:
                    pending = self._read(db)
                except sqlite3.OperationalError as error:
                    if "no such table" not in str(error):  # The file is there before its tables are.
                        raise
        return dict(self._counts), pending

    def _read(self, db: sqlite3.Connection) -> int:
        sql = "SELECT stream, count(*), max(rowid) FROM log WHERE rowid > ? GROUP BY stream"
        last = self._last_rowid
        for stream, count, rowid in db.execute(sql, (self._last_rowid,)).fetchall():
            self._counts[stream] = self._counts.get(stream, 0) + count
            last = max(last, rowid)
        self._last_rowid = last
        return int(db.execute("SELECT count(*) FROM pending").fetchone()[0])


class KafkaCounter:
    """Counts records by the topics' end offsets."""

    def __init__(self, address: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": address, "group.id": "smartcity-counts", "enable.auto.commit": False}
        )

    def look(self) -> Counts:
        """End offsets by stream, and of the dead letters.

        Raises:
            ServiceError: Kafka does not answer.
        """
        counts: Counts = {}
        try:
            for topic in KAFKA_TOPICS:
                ends = [
                    self._consumer.get_watermark_offsets(
                        TopicPartition(topic.name, partition), timeout=KAFKA_TIMEOUT_S, cached=False
                    )
                    for partition in range(topic.partitions)
                ]
                counts[_NAME_OF_TOPIC[topic.name]] = sum(end[1] for end in ends if end)
        except KafkaException as error:
            raise ServiceError(f"Kafka does not tell its offsets: {error}; see smartcity status") from error
        return counts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()


def lake_counts(lake: Lake) -> Counts:
    """Rows by stream, and of the dead letters, as the snapshots' summaries say."""
    return lake.total_records()
