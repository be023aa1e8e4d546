"""The one loop that owns all state: read, examine, produce, acknowledge, send receipts."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from . import settings as limits
from .dead_letters import dead_letter
from .examine import examine
from .ledger import Ack, Ledger, Ticket
from .message import Message, Reception
from .metrics import Counts, Metrics, snapshot
from .outbound import Batch, Flight, Outbound
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
        self._clock = clock
        self._new_foreign_id = new_foreign_id
        self._waited_of: Reception | None = None
        self._waited_s = 0.0

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
        reading = reading and self._outbound.accepting and len(self._source.queue) < limits.QUEUE_MESSAGES_MAX
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
        """Everything that was read, as far as the producer has room. Messages of one raw route that came one after the
        other go together."""
        queue, outbound = self._source.queue, self._outbound
        run: list[Message] = []
        while queue and outbound.accepting:
            message = queue.popleft()
            if message.route.raw_topic is None or message.retain:
                run = self._take_run(run)
                self._take(message)
            elif run and not _together(run[0], message):
                self._take_run(run)
                run = [message]
            else:
                run.append(message)
                if len(run) >= limits.BATCH_MESSAGES_MAX:
                    run = self._take_run(run)
        self._take_run(run)

    def _take_run(self, run: list[Message]) -> list[Message]:
        """An empty list, for the next run."""
        if run:
            first = run[0]
            self.counts.received[first.label] += len(run)
            packet_ids = [message.packet_id for message in run]
            ticket = self._ledger.receive(packet_ids, first.epoch) if first.qos else None
            self._outbound.send_batch(first.route.raw_topic or "", run, ticket)
        return []

    def _take(self, message: Message) -> None:
        label = message.route.label
        self.counts.received[label] += 1
        ticket = self._ledger.receive((message.packet_id,), message.epoch) if message.qos else None
        record = examine(message, self._new_foreign_id)
        if record is not None:
            self._outbound.send(Flight(message, label, record, ticket))
            return
        self.counts.ignored[label] += 1
        if ticket is not None:
            self._ledger.settle(ticket)

    def _settle(self) -> None:
        """Book what Kafka has decided."""
        outcomes = self._outbound.poll()
        batches = self._outbound.delivered()
        if not outcomes and not batches:
            return
        now, self._waited_of = datetime.now(UTC), None
        for outcome in outcomes:
            flight = outcome.flight
            if outcome.refused is not None:
                flight.record = dead_letter(flight.message, outcome.refused)
                self._outbound.send(flight)
            else:
                self._confirm(flight, now)
        for batch in batches:
            self._confirm_batch(batch, now)

    def _confirm(self, flight: Flight, now: datetime) -> None:
        record, label, reception = flight.record, flight.label, flight.message.reception
        if record.reason is None:
            self.counts.delivered[label] += 1
        else:
            self.counts.dead_lettered[label, record.reason.value] += 1
        self._observe(label, reception, now, 1)
        if record.sent_at is not None:
            self._metrics.device_to_bridge.observe(label, (reception.at - record.sent_at).total_seconds())
        if record.identity is not None:
            self._receipts.confirm(record.identity)
        if flight.ticket is not None:
            self._settle_ticket(flight.ticket, 1)

    def _confirm_batch(self, batch: Batch, now: datetime) -> None:
        first = batch.messages[0]
        self.counts.delivered[first.label] += len(batch.messages)
        self._observe(first.label, first.reception, now, len(batch.messages))
        if batch.ticket is not None:
            self._settle_ticket(batch.ticket, len(batch.messages))

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

    def _observe(self, label: str, reception: Reception, now: datetime, count: int) -> None:
        if reception is not self._waited_of:
            self._waited_of, self._waited_s = reception, (now - reception.at).total_seconds()
        self._metrics.bridge_to_kafka.observe(label, self._waited_s, count)

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
    """Whether two messages of raw routes may share a ticket and a call of the producer."""
    return (
        one.route.raw_topic == other.route.raw_topic
        and one.qos == other.qos
        and one.epoch == other.epoch
        and one.reception is other.reception
    )
