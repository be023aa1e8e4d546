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
from .ledger import Ack, Ledger
from .message import Message
from .metrics import Counts, Metrics, snapshot
from .outbound import Flight, Outbound
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
        while self._source.queue and self._outbound.accepting:
            self._take(self._source.queue.popleft())
        self._settle()
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

    def _take(self, message: Message) -> None:
        label = message.label
        self.counts.received[label] += 1
        ticket = self._ledger.receive(message.packet_id, message.epoch) if message.qos else None
        record = examine(message, self._new_foreign_id)
        flight = None if record is None else Flight(message, label, record, ticket)
        if flight is not None:
            self._outbound.send(flight)
            return
        self.counts.ignored[label] += 1
        if ticket is not None:
            self._acknowledge(self._ledger.settle(ticket))

    def _settle(self) -> None:
        for outcome in self._outbound.poll():
            flight = outcome.flight
            if outcome.refused is not None:
                flight.record = dead_letter(flight.message, outcome.refused)
                self._outbound.send(flight)
                continue
            record = flight.record
            if record.reason is None:
                self.counts.delivered[flight.label] += 1
            else:
                self.counts.dead_lettered[flight.label, record.reason.value] += 1
            self._observe(flight)
            if record.identity is not None:
                self._receipts.confirm(record.identity)
            if flight.ticket is not None:
                if flight.ticket.epoch != self._ledger.epoch:
                    self.counts.acknowledgements_void += 1
                self._acknowledge(self._ledger.settle(flight.ticket))

    def _acknowledge(self, acks: list[Ack]) -> None:
        for ack in acks:
            if self._source.ack(ack):
                self.counts.acknowledged += 1
            else:
                self.counts.acknowledgements_void += 1

    def _observe(self, flight: Flight) -> None:
        received_at = flight.message.received_at
        waited_s = (datetime.now(UTC) - received_at).total_seconds()
        self._metrics.bridge_to_kafka.labels(flight.label).observe(max(0.0, waited_s))
        if flight.record.sent_at is not None:
            way_s = (received_at - flight.record.sent_at).total_seconds()
            self._metrics.device_to_bridge.labels(flight.label).observe(max(0.0, way_s))

    def _send_receipts(self) -> None:
        for topic, payload in self._receipts.drain():
            if self._source.publish(topic, payload):
                self.counts.receipts_sent += 1
            else:
                self.counts.receipts_dropped += 1

    def _take_snapshot(self) -> None:
        self._metrics.latest = snapshot(
            self.counts,
            in_flight=(flight.label for flight in self._outbound.flights()),
            queued=len(self._source.queue),
            connections=self._source.connections,
            retries=self._outbound.retries,
            rebuilds=self._outbound.rebuilds,
        )
