"""The dead-letter topic, read from its end. The consumer joins no group and commits nothing: no trace in Kafka."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import (
    OFFSET_INVALID,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from smartcity.contracts.envelope import format_time
from smartcity.contracts.topics import DEAD_LETTERS_TOPIC

from .errors import LettersError
from .flow_probes import SILENT, kafka_options, kafka_words
from .letters import Letter, Shelf
from .settings import LETTERS_LOOKED_AT_MAX, LETTERS_TIMEOUT_S

_AT_ONCE = 100
_POLL_S = 0.2
_BUFFER_KIB = 8 * 1024
"""Of the consumer: letters may have three megabytes each."""


class Letters:
    """Reads letters for pages. Its methods block, one at a time."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._lock = threading.Lock()
        self._admin: AdminClient | None = None
        self._consumer: Consumer | None = None
        self._shelf = Shelf()
        self._next: dict[int, int] = {}
        """Offset to go on at, by partition."""

    def latest(self) -> list[dict[str, Any]]:
        """The latest of each reason among the newest LETTERS_LOOKED_AT_MAX. Reads what has come since the last call.

        Raises:
            LettersError: Kafka does not answer.
        """
        with self._lock:
            try:
                self._go_on()
            except KafkaException as error:
                raise self._away(error) from error
            return self._shelf.shown()

    def letter(self, partition: int, offset: int) -> Letter | None:
        """The letter at a place; None where there is none (any more).

        Raises:
            LettersError: Kafka does not answer.
        """
        with self._lock:
            try:
                first, end = self._bounds().get(partition, (0, 0))
                if not first <= offset < end:
                    return None
                self._client.assign([TopicPartition(DEAD_LETTERS_TOPIC, partition, offset)])
                deadline = time.monotonic() + LETTERS_TIMEOUT_S
                while time.monotonic() < deadline:
                    for record in self._client.consume(1, timeout=_POLL_S):
                        if record.error() is not None:
                            raise KafkaException(record.error())
                        return read_letter(record) if record.offset() == offset else None
                raise LettersError(f"Kafka at {self._kafka} did not give the letter within {LETTERS_TIMEOUT_S:g} s")
            except KafkaException as error:
                raise self._away(error) from error
            finally:
                if self._consumer is not None:
                    self._consumer.unassign()

    def close(self) -> None:
        with self._lock:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None

    @property
    def _client(self) -> Consumer:
        if self._consumer is None:
            only_here = {
                "group.id": "smartcity-dashboard",  # Asked for by the library; without `subscribe` nobody joins it.
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": _BUFFER_KIB,
            }
            self._consumer = Consumer(kafka_options(self._kafka) | only_here, logger=SILENT)
        return self._consumer

    def _go_on(self) -> None:
        ends: dict[int, int] = {}
        starts: list[TopicPartition] = []
        for partition, (first, end) in sorted(self._bounds().items()):
            if end < self._next.get(partition, 0):  # The topic was made anew.
                self._shelf.clear()
                self._next.clear()
            start = max(self._next.get(partition, 0), first, end - LETTERS_LOOKED_AT_MAX)
            if start < end:
                ends[partition] = end
                starts.append(TopicPartition(DEAD_LETTERS_TOPIC, partition, start))
        if starts:
            self._read(starts, ends)

    def _read(self, starts: list[TopicPartition], ends: dict[int, int]) -> None:
        """Put what lies between on the shelf, as far as the time allows; the next call goes on there."""
        deadline = time.monotonic() + LETTERS_TIMEOUT_S
        self._client.assign(starts)
        try:
            while ends and time.monotonic() < deadline:
                letters = []
                for record in self._client.consume(_AT_ONCE, timeout=_POLL_S):
                    if record.error() is not None:
                        raise KafkaException(record.error())
                    letters.append(letter := read_letter(record))
                    self._next[letter.partition] = letter.offset + 1
                self._shelf.put(letters)
                # Offsets may have holes, so the position counts and not the last record.
                for place in self._client.position([TopicPartition(DEAD_LETTERS_TOPIC, number) for number in ends]):
                    if place.offset != OFFSET_INVALID and place.offset >= ends.get(place.partition, 0):
                        self._next[place.partition] = place.offset
                        ends.pop(place.partition, None)
        finally:
            self._client.unassign()

    def _bounds(self) -> dict[int, tuple[int, int]]:
        """First and end offset of each partition. A consumer's own `get_watermark_offsets` knows no partition that is
        not assigned at the moment, so an administrator is asked."""
        if self._admin is None:
            self._admin = AdminClient(kafka_options(self._kafka), logger=SILENT)
        found = self._admin.list_topics(DEAD_LETTERS_TOPIC, timeout=LETTERS_TIMEOUT_S).topics.get(DEAD_LETTERS_TOPIC)
        if found is None or found.error is not None:
            raise LettersError(f"Kafka at {self._kafka} has no topic {DEAD_LETTERS_TOPIC}")
        places = [TopicPartition(DEAD_LETTERS_TOPIC, number) for number in found.partitions]
        asked = [
            self._admin.list_offsets(dict.fromkeys(places, which), request_timeout=LETTERS_TIMEOUT_S)
            for which in (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]
        ]
        first, end = ({place.partition: each.result().offset for place, each in one.items()} for one in asked)
        return {partition: (first[partition], end[partition]) for partition in end}

    def _away(self, error: KafkaException) -> LettersError:
        return LettersError(f"Kafka at {self._kafka} cannot be read: {kafka_words(error)}")


def read_letter(record: Any) -> Letter:
    """A consumed record as a letter."""
    kind, at_ms = record.timestamp()
    key = record.key()
    return Letter(
        partition=record.partition(),
        offset=record.offset(),
        kafka_time=None if kind == TIMESTAMP_NOT_AVAILABLE else format_time(datetime.fromtimestamp(at_ms / 1000, UTC)),
        device=None if key is None else key.decode("utf-8", "replace")[:100],
        headers=tuple((name, value or b"") for name, value in record.headers() or ()),
        payload=record.value() or b"",
    )
