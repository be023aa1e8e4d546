"""Kafka's side: an idempotent producer, and every record in hand until Kafka has confirmed it."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer

from smartcity.contracts.limits import DEAD_LETTER_RECORD_BYTES_MAX
from smartcity.contracts.reasons import Reason
from smartcity.contracts.topics import KAFKA_TOPICS

from . import settings as limits
from .cluster import ASK_EVERY_S, ASK_TIMEOUT_S, Cluster
from .errors import Reject
from .ledger import Ticket
from .message import Message, Record
from .settings import Settings

log = logging.getLogger(__name__)

_REFUSED = {
    KafkaError.MSG_SIZE_TOO_LARGE: Reason.TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE: Reason.TOO_LARGE,
    KafkaError.INVALID_RECORD: Reason.CONTRACT_VIOLATION,
}
"""Errors that lie in a record and not in Kafka's state."""
_ABANDONED = frozenset({KafkaError._FATAL, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})


class Sink(Protocol):
    """What is used of `confluent_kafka.Producer`; tests bring their own."""

    def produce(  # noqa: PLR0917 - reading keywords takes the producer as long as all else it does with a record
        self,
        topic: str,
        value: bytes,
        key: bytes | None,
        partition: int,
        callback: Callable[[KafkaError | None, Any], None],
        on_delivery: None,
        timestamp: int,
        headers: Any,
        /,
    ) -> None: ...
    def produce_batch(
        self, topic: str, messages: list[dict[str, Any]], *, on_delivery: Callable[[KafkaError | None, Any], None]
    ) -> int: ...
    def poll(self, timeout: float) -> int: ...
    def purge(self) -> None: ...
    def list_topics(self, *, timeout: float) -> Any: ...


class Flight(msgspec.Struct, eq=False):
    """A message on its way into Kafka alone."""

    message: Message
    record: Record
    ticket: Ticket | None
    """None for QoS 0, which nobody acknowledges."""
    attempts: int = 0


class Batch(msgspec.Struct, eq=False):
    """Messages on their way into Kafka that share a ticket and are reported by counting."""

    messages: list[Message]
    records: list[Record]
    """Of each message; empty where all of them belong to one raw route, and go unchanged."""
    ticket: Ticket | None
    unreported: int
    failed: dict[tuple[str, bytes | None, bytes], KafkaError]
    """By topic, key and value of the record. Equal records cannot be told apart, so they fail together."""


class Outcome(msgspec.Struct, frozen=True, eq=False):
    """Kafka has confirmed a flight's record, or (`refused`) will never take it."""

    flight: Flight
    refused: Reject | None


class Outbound:
    """Flights until their outcome. Failed deliveries are produced again, one by one, with back-off; a fatal error waits
    in `fatal` for `rebuild`, which produces everything that is unconfirmed anew. Messages come in batches; what
    fails in one becomes a flight of its own, and the others of the batch are confirmed without it."""

    def __init__(
        self,
        make_sink: Callable[[Callable[[KafkaError], None]], Sink],
        *,
        more_topics: tuple[str, ...] = (),
        cluster: Cluster | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._asked_at = -ASK_EVERY_S
        self.fatal: str | None = None
        self.retries = 0
        self.rebuilds = 0
        self._make_sink = make_sink
        self._topics = (*(topic.name for topic in KAFKA_TOPICS), *more_topics)
        self._clock = clock
        self._flights: dict[Flight, None] = {}
        self._batches: dict[Batch, None] = {}
        self._batched = 0
        """Messages in `_batches`."""
        self._complete: list[Batch] = []
        """Kafka has reported on every message of them."""
        self._delivered: list[Batch] = []
        self._held: deque[Flight] = deque()
        self._later: list[tuple[float, int, Flight]] = []
        self._order = itertools.count()
        self._reports: deque[tuple[int, Flight, KafkaError | None]] = deque()
        self._generation = 0
        self._sink = make_sink(self._on_error)

    def __len__(self) -> int:
        return len(self._flights) + self._batched

    def labels(self) -> Counter[str]:
        """How many messages Kafka has not yet confirmed, by label."""
        counts = Counter(flight.message.label for flight in self._flights)
        for batch in self._batches:
            counts.update([message.route.label for message in batch.messages])
        return counts

    @property
    def room(self) -> int:
        """How many messages may be taken from the gateway: none while the producer's buffer is full or dead, or it is
        not known whose Kafka it is."""
        if self._held or self.fatal is not None or (self._cluster is not None and not self._cluster.known):
            return 0
        return max(0, limits.PRODUCER_QUEUE_MESSAGES_MAX - len(self))

    def send(self, flight: Flight) -> None:
        """Produce a flight's record; also again, with another record."""
        self._flights[flight] = None
        self._produce(flight)

    def send_batch(self, messages: list[Message], records: list[Record], ticket: Ticket | None) -> None:
        """Produce the messages' records, or (no records) the payloads of one raw route unchanged. Those that Kafka has
        confirmed come from `delivered`."""
        batch = Batch(messages, records, ticket, len(messages), {})
        report = self._reporter(batch)
        errors = self._produce_records(records, report) if records else self._produce_raw(messages, report)
        if errors:
            self._split(batch, errors)
            batch.unreported = len(batch.messages)
        if batch.messages:
            self._batches[batch] = None
            self._batched += len(batch.messages)

    def _reporter(self, batch: Batch) -> Callable[[KafkaError | None, Any], None]:
        generation = self._generation

        def report(error: KafkaError | None, record: Any) -> None:
            if error is not None:
                batch.failed[record.topic(), record.key(), record.value() or b""] = error
                self._on_error(error)
            batch.unreported -= 1
            if not batch.unreported and generation == self._generation:
                self._complete.append(batch)

        return report

    def _produce_records(
        self, records: list[Record], report: Callable[[KafkaError | None, Any], None]
    ) -> list[KafkaError | None]:
        """What kept each record out of the producer's buffer; nothing where all are in it."""
        produce = self._sink.produce
        errors: dict[int, KafkaError] = {}
        for at, record in enumerate(records):
            try:
                produce(record.topic, record.value, record.key, -1, report, None, 0, record.headers)
            except BufferError:  # Those behind it wait with it, in their order.
                full = KafkaError(KafkaError._QUEUE_FULL)
                errors |= dict.fromkeys(range(at, len(records)), full)
                break
            except KafkaException as error:
                errors[at] = error.args[0]
        return [errors.get(at) for at in range(len(records))] if errors else []

    def _produce_raw(
        self, messages: list[Message], report: Callable[[KafkaError | None, Any], None]
    ) -> list[KafkaError | None]:
        """As `_produce_records`, in one call."""
        topic = messages[0].route.raw_topic or ""
        records: list[dict[str, Any]] = [{"value": message.payload, "key": message.route.key} for message in messages]
        try:
            queued = self._sink.produce_batch(topic, records, on_delivery=report)
        except KafkaException as error:
            return [error.args[0]] * len(messages)
        return [] if queued == len(messages) else [record.get("_error") for record in records]

    def _split(self, batch: Batch, errors: list[KafkaError | None]) -> None:
        """Messages that the producer or Kafka did not take go on alone; the batch keeps the others."""
        messages, records = batch.messages, _records_of(batch)
        for message, record, error in zip(messages, records, errors, strict=True):
            if error is None:
                continue
            flight = Flight(message, record, batch.ticket)
            self._flights[flight] = None
            if error.code() == KafkaError._QUEUE_FULL:
                self._held.append(flight)
            else:
                flight.attempts = 1
                self._reports.append((self._generation, flight, error))
        batch.messages = [message for message, error in zip(messages, errors, strict=True) if error is None]
        if batch.records:
            batch.records = [record for record, error in zip(records, errors, strict=True) if error is None]

    def delivered(self) -> list[Batch]:
        """Batches that Kafka has reported on by the last `poll`, reduced to the messages that it has."""
        delivered, self._delivered = self._delivered, []
        return delivered

    def _close_batches(self) -> None:
        for batch in self._complete:
            del self._batches[batch]
            self._batched -= len(batch.messages)
            if batch.failed:
                records = _records_of(batch)
                self._split(batch, [batch.failed.get((one.topic, one.key, one.value)) for one in records])
            if batch.messages:
                self._delivered.append(batch)
        self._complete.clear()

    def poll(self) -> list[Outcome]:
        """Serve the producer, produce what is due, and give what has been decided since the last call."""
        self._sink.poll(0)
        if self._cluster is not None:
            self._require(self._cluster)
        self._close_batches()
        for _ in range(len(self._held)):
            if self._held and not self._produce(self._held.popleft(), front=True):
                break
        now = self._clock() if self._later else 0.0
        while self._later and self._later[0][0] <= now:
            self._produce(heapq.heappop(self._later)[2])
        outcomes: list[Outcome] = []
        reports, flights = self._reports, self._flights
        while reports:
            generation, flight, error = reports.popleft()
            if generation != self._generation or flight not in flights:
                continue
            if error is None:
                del flights[flight]
                outcomes.append(Outcome(flight, None))
            else:
                outcomes += self._fail(flight, error)
        return outcomes

    def _require(self, cluster: Cluster) -> None:
        """Before anything is confirmed: it is the right Kafka that has reported."""
        if not cluster.known and self._clock() >= self._asked_at + ASK_EVERY_S:
            with contextlib.suppress(KafkaException):  # It is away; nothing is taken from the gateway meanwhile.
                cluster.answered(self._sink.list_topics(timeout=ASK_TIMEOUT_S).cluster_id)
            self._asked_at = self._clock()
        cluster.require()

    def rebuild(self) -> None:
        """A new producer in place of one that met a fatal error; all unconfirmed records are produced anew.

        What the old one had on the way may have been written already: duplicates, which the lake removes.
        """
        log.error("the Kafka producer met a fatal error (%s): building a new one", self.fatal)
        self._generation += 1
        self.rebuilds += 1
        self._sink.purge()
        self._sink = self._make_sink(self._on_error)
        self.fatal = None
        if self._cluster is not None:
            self._cluster.known = False
        self._held.clear()
        self._later.clear()
        self._reports.clear()
        for flight in self._flights:
            self._produce(flight)
        batches, self._batches, self._batched, self._complete = list(self._batches), {}, 0, []
        for batch in batches:
            self.send_batch(batch.messages, batch.records, batch.ticket)

    def missing(self, timeout_s: float) -> str | None:
        """What stands in the way of producing, or None. Blocks up to `timeout_s`; may be called from another thread."""
        try:
            topics = self._sink.list_topics(timeout=timeout_s).topics
        except KafkaException as error:
            return f"Kafka: cannot be reached ({error.args[0].str()})"
        absent = [name for name in self._topics if name not in topics]
        return f"Kafka: topics are missing: {', '.join(absent)}" if absent else None

    def _produce(self, flight: Flight, *, front: bool = False) -> bool:
        generation, record, reports = self._generation, flight.record, self._reports

        def report(error: KafkaError | None, _message: object) -> None:
            reports.append((generation, flight, error))

        try:
            self._sink.produce(record.topic, record.value, record.key, -1, report, None, 0, record.headers)
        except BufferError:
            (self._held.appendleft if front else self._held.append)(flight)
            return False
        except KafkaException as error:
            report(error.args[0], None)
        flight.attempts += 1
        return True

    def _fail(self, flight: Flight, error: KafkaError) -> list[Outcome]:
        if error.fatal():
            self._on_error(error)
        if error.fatal() or error.code() in _ABANDONED:
            return []  # Stays in hand for `rebuild`.
        reason = _REFUSED.get(error.code())
        if reason is not None and flight.attempts >= limits.REFUSALS_MAX and flight.record.reason is None:
            del self._flights[flight]
            flight.attempts = 0
            return [Outcome(flight, Reject(reason, f"Kafka refuses the record: {error.str()}"))]
        self.retries += 1
        delay_s = min(limits.RETRY_MIN_S * 2 ** min(flight.attempts, 10), limits.RETRY_MAX_S)
        if flight.attempts == 1 or self.retries % 1000 == 0:
            log.warning("Kafka did not take a record of %s (%s): producing it again", flight.record.topic, error.str())
        heapq.heappush(self._later, (self._clock() + delay_s, next(self._order), flight))
        return []

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self.fatal = error.str()


def _records_of(batch: Batch) -> list[Record]:
    """Those of a raw route are made only when one of them must go alone."""
    return batch.records or [
        Record(topic=message.route.raw_topic or "", key=message.route.key, value=message.payload, headers={})
        for message in batch.messages
    ]


def producer_factory(settings: Settings) -> Callable[[Callable[[KafkaError], None]], Sink]:
    """Makes producers for `Outbound`. Options that matter are explicit; their meaning is in librdkafka's manual."""

    def make(on_error: Callable[[KafkaError], None]) -> Sink:
        return Producer(
            {
                "bootstrap.servers": settings.kafka,
                "client.id": settings.client_id,
                "enable.idempotence": True,
                "acks": "all",
                "message.max.bytes": DEAD_LETTER_RECORD_BYTES_MAX,
                "queue.buffering.max.messages": limits.PRODUCER_QUEUE_MESSAGES_MAX,
                "queue.buffering.max.kbytes": limits.PRODUCER_QUEUE_KIB_MAX,
                "linger.ms": limits.LINGER_MS,
                "delivery.timeout.ms": limits.DELIVERY_TIMEOUT_S * 1000,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",  # As Java's: every producer puts a device into the same partition.
                "reconnect.backoff.max.ms": 2_000,
                "socket.keepalive.enable": True,
                "error_cb": on_error,
            },
            logger=logging.getLogger("librdkafka"),
        )

    return make
