"""The one loop that owns all state: read, examine, produce, acknowledge, send receipts."""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from smartcity.contracts.reasons import Reason

from . import settings as limits
from .dead_letters import dead_letter
from .errors import Reject
from .examine import examine
from .ledger import Ack, Ledger, Ticket
from .message import Message, Record
from .metrics import Counts, Metrics, snapshot
from .outbound import Outbound
from .rate import RateLimit
from .receipts import Receipts

log = logging.getLogger(__name__)

_IDLE_S = 0.1
_BUSY_S = 0.005
"""While Kafka owes reports: how long to wait for the gateway before asking Kafka's side again."""
_SNAPSHOT_S = 0.2


class Source(Protocol):
    """What the loop uses of `Inbound`; tests bring their own."""

    @property
    def queue(self) -> Queue: ...
    @property
    def connections(self) -> int: ...
    def turn(self, timeout_s: float, *, reading: bool) -> None: ...
    def ack(self, ack: Ack) -> bool: ...
    def publish(self, topic: str, payload: bytes) -> bool: ...
    def disconnect(self) -> None: ...
    def wants_write(self) -> bool: ...


class Queue(Protocol):
    """A deque of messages, read from the left."""

    def __len__(self) -> int: ...
    def popleft(self) -> Message: ...
    def __getitem__(self, index: int, /) -> Message: ...


class Loop:
    """Wires the stages. `ledger` must be the one whose `begin` the source calls."""

    def __init__(
        self,
        *,
        source: Source,
        outbound: Outbound,
        ledger: Ledger,
        metrics: Metrics,
        receipt_interval_s: float,
        rate_limit: RateLimit | None = None,
        clock: Callable[[], float] = time.monotonic,
        new_foreign_id: Callable[[], str] = lambda: f"foreign-{uuid.uuid4().hex}",
    ) -> None:
        self.counts = Counts()
        self.turned_at = clock()
        """When the loop last turned, for `/healthz`."""
        self._source = source
        self._outbound = outbound
        self._ledger = ledger
        self._metrics = metrics
        self._receipts = Receipts()
        self._receipt_interval_s = receipt_interval_s
        self._receipts_at = 0.0
        self._snapshot_at = 0.0
        self._rate_limit = rate_limit
        self._clock = clock
        self._new_foreign_id = new_foreign_id

    def run(self, stopping: Callable[[], bool]) -> None:
        """Turn until told to stop, then finish what is in hand (`DRAIN_TIMEOUT_S` at most) and leave in order."""
        while not stopping():
            self.turn()
        deadline = self._clock() + limits.DRAIN_TIMEOUT_S
        while (self._outbound or self._source.queue) and self._clock() < deadline:
            self.turn(reading=False)
        self._send_receipts()
        while self._source.wants_write() and self._clock() < deadline:
            self._source.turn(_BUSY_S, reading=False)
        if self._outbound:
            log.warning("%d messages were not confirmed in time; the gateway sends them again", len(self._outbound))
        self._source.disconnect()
        self._take_snapshot()

    def turn(self, *, reading: bool = True) -> None:
        """Once round: everything that can be done now, waiting at most a tenth of a second."""
        reading = reading and self._outbound.room > 0 and len(self._source.queue) < limits.QUEUE_MESSAGES_MAX
        self._source.turn(self._timeout_s(), reading=reading)
        self._take_queue()
        self._settle()
        self._acknowledge()
        if self._outbound.fatal is not None:
            self._source.disconnect()
            self._outbound.rebuild()
        now = self._clock()
        if self._receipts and now >= self._receipts_at:
            self._send_receipts()
            self._receipts_at = now + self._receipt_interval_s
        if now >= self._snapshot_at:
            self._take_snapshot()
            self._snapshot_at = now + _SNAPSHOT_S
        self.turned_at = now

    def _timeout_s(self) -> float:
        if self._outbound or self._source.queue:
            return _BUSY_S
        if self._receipts:
            return min(_IDLE_S, max(0.0, self._receipts_at - self._clock()))
        return _IDLE_S

    def _take_queue(self) -> None:
        """Everything that was read, as far as the producer has room."""
        queue, outbound = self._source.queue, self._outbound
        while queue and (room := outbound.room):
            first = queue.popleft()
            if first.ignored:
                self._ignore(first)
                continue
            batch = [first]
            while queue and len(batch) < min(room, limits.BATCH_MESSAGES_MAX) and _together(first, queue[0]):
                batch.append(queue.popleft())
            self._take(batch)

    def _take(self, batch: list[Message]) -> None:
        """Messages that came in one read go to Kafka, and are acknowledged, together."""
        self.counts.received.update([message.route.label for message in batch])
        first = batch[0]
        ticket = None
        if first.qos:
            ticket = self._ledger.receive([message.packet_id for message in batch], first.epoch)
        records: list[Record] = []
        if first.route.raw_topic is None:
            new_foreign_id = self._new_foreign_id
            limited = self._limited if self._rate_limit is not None else None
            records = [(limited and limited(message)) or examine(message, new_foreign_id) for message in batch]
        self._outbound.send_batch(batch, records, ticket)

    def _limited(self, message: Message) -> Record | None:
        """The dead letter of a message over its device's limit."""
        device, limit = message.route.device, self._rate_limit
        if device is None or limit is None or limit.admits(device):
            return None
        return dead_letter(message, Reject(Reason.RATE_LIMITED, f"more than {limit} from {device}"))

    def _ignore(self, message: Message) -> None:
        label = message.label
        self.counts.received[label] += 1
        self.counts.ignored[label] += 1
        if message.qos:
            self._ledger.settle(self._ledger.receive((message.packet_id,), message.epoch))

    def _settle(self) -> None:
        """Book what Kafka has decided."""
        outcomes = self._outbound.poll()
        now = datetime.now(UTC)
        for batch in self._outbound.delivered():
            self._confirm(batch.messages, batch.records, batch.ticket, now)
        for outcome in outcomes:
            flight = outcome.flight
            if outcome.refused is not None:
                flight.record = dead_letter(flight.message, outcome.refused)
                self._outbound.send(flight)
            else:
                self._confirm([flight.message], [flight.record], flight.ticket, now)

    def _confirm(self, messages: list[Message], records: list[Record], ticket: Ticket | None, now: datetime) -> None:
        """Kafka has these messages, which came in one read."""
        at = messages[0].reception.at
        labels = Counter([message.route.label for message in messages])
        waited_s = (now - at).total_seconds()
        for label, count in labels.items():
            self._metrics.bridge_to_kafka.observe(label, waited_s, count)
        sent: dict[str, list[float]] = {}
        confirm = self._receipts.confirm
        for message, record in zip(messages, records, strict=bool(records)):
            label = message.route.label
            if record.reason is not None:
                self.counts.dead_lettered[label, record.reason.value] += 1
                labels[label] -= 1
            if record.identity is not None:
                confirm(record.identity)
            if record.sent_at is not None:
                sent.setdefault(label, []).append((at - record.sent_at).total_seconds())
        for label, seconds in sent.items():
            self._metrics.device_to_bridge.observe_each(label, seconds)
        self.counts.delivered += labels
        if ticket is not None:
            self._settle_ticket(ticket, len(messages))

    def _settle_ticket(self, ticket: Ticket, count: int) -> None:
        if ticket.epoch != self._ledger.epoch:
            self.counts.acknowledgements_void += count
        self._ledger.settle(ticket, count)

    def _acknowledge(self) -> None:
        ack = self._ledger.due()
        if ack is None:
            return
        if self._source.ack(ack):
            self.counts.acknowledged += len(ack.packet_ids)
        else:
            self.counts.acknowledgements_void += len(ack.packet_ids)

    def _send_receipts(self) -> None:
        for topic, payload in self._receipts.drain():
            if self._source.publish(topic, payload):
                self.counts.receipts_sent += 1
            else:
                self.counts.receipts_dropped += 1

    def _take_snapshot(self) -> None:
        self._metrics.latest = snapshot(
            self.counts,
            in_flight=self._outbound.labels(),
            queued=len(self._source.queue),
            connections=self._source.connections,
            retries=self._outbound.retries,
            rebuilds=self._outbound.rebuilds,
        )


def _together(one: Message, other: Message) -> bool:
    """Whether two messages may share a ticket."""
    return (
        one.reception is other.reception
        and one.epoch == other.epoch
        and one.qos == other.qos
        and one.route.raw_topic == other.route.raw_topic
        and not other.ignored
    )
