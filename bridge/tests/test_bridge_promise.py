"""Loop, outbound and ledger as a state machine, between a gateway and a Kafka that fail in every way that they can.

The model knows what Kafka has stored. Whatever happens, a PUBACK leaves in receive order and only for a message that is
stored (as its record or as a dead letter), a receipt names only stored readings, counters conserve; and once everything
works again, every message that the gateway accepted, and did not itself forget, is stored and acknowledged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from smartcity.bridge import settings as limits
from smartcity.bridge.ledger import Ack, Ledger
from smartcity.bridge.loop import Loop
from smartcity.bridge.metrics import Metrics
from smartcity.bridge.outbound import Outbound
from smartcity.bridge.route import RawRoute
from smartcity.contracts.receipts import decode_receipt

from .loop_rig import Produced

WINDOW = 12
ROUTES = (RawRoute(pattern="plant/#", kafka_topic="plant"),)
QUEUE_FULL = KafkaError(KafkaError._QUEUE_FULL)
TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", True)
PURGED = KafkaError(KafkaError._PURGE_INFLIGHT)


class Waiting(Produced):
    """A record in the producer, and whose message it is."""

    def __init__(self, topic: str, key: bytes | None, value: bytes, headers: dict[str, bytes], report: Any) -> None:
        super().__init__(topic, key, value)
        self.report = report
        identity = headers.get("ce_id", value).decode()
        self.number = int(identity.rpartition(".")[2])


class Kafka:
    """One producer. What it has stored is the model's; `waiting` is reported when the machine decides so."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.waiting: list[Waiting] = []

    def produce(self, topic: str, value: bytes, key: Any, partition: int, callback: Any, *more: Any) -> None:
        if self._model.refusals:
            raise KafkaException(self._model.refusals.pop())
        if not self._model.room:
            raise BufferError
        self._model.room -= 1
        self.waiting.append(Waiting(topic, key, value, more[-1], callback))

    def produce_batch(self, topic: str, messages: list[dict[str, Any]], *, on_delivery: Any) -> int:
        queued = 0
        for message in messages:
            try:
                self.produce(topic, message["value"], message["key"], -1, on_delivery, None, 0, {})
                queued += 1
            except BufferError:
                message["_error"] = QUEUE_FULL
            except KafkaException as error:
                message["_error"] = error.args[0]
        return queued

    def poll(self, timeout: float) -> int:
        return 0

    def purge(self) -> None: ...

    def list_topics(self, *, timeout: float) -> Any: ...


class Gateway:
    """Packet ids are used again as soon as they are free; what is unacknowledged comes again on the next connection."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.queue: deque[Any] = deque()
        self.connections = 0
        self.epoch = 0
        self.connected = False
        self.on_turn: Callable[[], None] = lambda: None

    def connect(self) -> None:
        self._begin()
        self.connected = True
        self.connections += 1

    def _begin(self) -> None:
        self.epoch += 1
        self._model.ledger.begin(self.epoch)

    def turn(self, timeout_s: float, *, reading: bool) -> None:
        self.on_turn()

    def ack(self, ack: Ack) -> bool:
        if not self.connected or ack.epoch != self.epoch:
            return False
        for packet_id in ack.packet_ids:
            assert packet_id == next(iter(self._model.in_flight)), "a PUBACK out of order"
            number = self._model.in_flight.pop(packet_id)
            assert number in self._model.settled, "a PUBACK for a message that Kafka does not have"
            self._model.acknowledged.add(number)
        return True

    def publish(self, topic: str, payload: bytes) -> bool:
        for spans in decode_receipt(payload).values():
            for first, last in spans:
                assert set(range(first, last + 1)) <= self._model.settled, "a receipt for what Kafka does not have"
        return self.connected

    def disconnect(self) -> None:
        if self.connected:
            self.connected = False
            self._model.waiting = [*self._model.in_flight.values(), *self._model.waiting]
            self._model.in_flight.clear()
            self._begin()

    def wants_write(self) -> bool:
        return False


KIND = st.sampled_from(["weather", "weather", "junk", "raw", "raw", "status", "qos0"])


class Model(RuleBasedStateMachine):
    def __init__(self, samples: Any) -> None:
        super().__init__()
        self.samples = samples
        self.kinds: dict[int, str] = {}
        self.waiting: list[int] = []
        """With the gateway, not on the way."""
        self.in_flight: dict[int, int] = {}
        """Message by packet id, in sending order: what the gateway waits for on this connection."""
        self.settled: set[int] = set()
        """Stored by Kafka, or a status message, which needs no record."""
        self.acknowledged: set[int] = set()
        self.forgotten: set[int] = set()
        self.reads = 0
        self.now = 0.0
        self.room = 1_000
        self.refusals: list[KafkaError] = []
        self.start()

    def start(self) -> None:
        """A bridge process; an older one is gone with all that it had in hand."""
        self.kafkas: list[Kafka] = []
        self.ledger = Ledger()
        self.gateway = Gateway(self)
        self.metrics = Metrics()

        def make(_on_error: Callable[[KafkaError], None]) -> Kafka:
            self.kafkas.append(Kafka(self))
            return self.kafkas[-1]

        self.outbound = Outbound(make, clock=lambda: self.now)
        self.loop = Loop(
            source=self.gateway, outbound=self.outbound, ledger=self.ledger, metrics=self.metrics,
            receipt_interval_s=0.2, clock=lambda: self.now,
        )  # fmt: skip
        self.gateway.connect()

    @property
    def kafka(self) -> Kafka:
        return self.kafkas[-1]

    # The gateway.

    @rule(kinds=st.lists(KIND, min_size=1, max_size=5), turning=st.booleans())
    def accept(self, kinds: list[str], turning: bool) -> None:
        for kind in kinds:
            number = len(self.kinds) + 1
            self.kinds[number] = kind
            if kind != "qos0":
                self.waiting.append(number)
            elif self.gateway.connected:
                self._deliver(number, 0)
        self.one_read()
        if turning:
            self.loop.turn()

    def one_read(self) -> None:
        """The gateway sends what its window allows; the bridge reads it at once."""
        self.reads += 1
        while self.gateway.connected and self.waiting and len(self.in_flight) < WINDOW:
            packet_id = next(one for one in range(1, WINDOW + 1) if one not in self.in_flight)
            self.in_flight[packet_id] = self.waiting.pop(0)
            self._deliver(self.in_flight[packet_id], packet_id)

    def _deliver(self, number: int, packet_id: int) -> None:
        kind = self.kinds[number]
        changes: dict[str, Any] = {"properties": self.samples.properties("weather", sequence=number)}
        if kind == "junk":
            changes["payload"] = b"junk"
        elif kind == "raw":
            changes = {"topic": "plant/line", "payload": b"%d" % number, "properties": (), "routes": ROUTES}
        elif kind == "status":
            changes["topic"] = "devices/dev-1/status"
            self.settled.add(number)
        at = self.samples.now + timedelta(milliseconds=self.reads)
        message = self.samples.message(
            "weather", qos=int(packet_id > 0), packet_id=packet_id, epoch=self.gateway.epoch, received_at=at, **changes
        )
        self.gateway.queue.append(message)

    @rule(data=st.data())
    def something_breaks(self, data: st.DataObject) -> None:
        """One rule, so that most steps are of the flow."""
        data.draw(
            st.sampled_from(
                [
                    self.gateway.disconnect,
                    self.gateway_dies_and_forgets,
                    self.kill_and_restart,
                    self.stop_and_restart,
                ]
            )
        )()

    def gateway_dies_and_forgets(self) -> None:
        self.gateway.disconnect()
        self.forgotten.update(self.waiting)
        self.waiting.clear()
        self.gateway.connect()

    @precondition(lambda self: not self.gateway.connected)
    @rule()
    def connect(self) -> None:
        self.gateway.connect()
        self.one_read()

    # Kafka.

    @precondition(lambda self: self.kafka.waiting)
    @rule(
        data=st.data(),
        count=st.integers(1, 6),
        fate=st.sampled_from(["stored", "stored", "stored", "late", "lost", "too large", "too large", "fatal"]),
        turning=st.booleans(),
    )
    def report(self, data: st.DataObject, count: int, fate: str, turning: bool) -> None:
        """`late`: Kafka has stored it, and the producer says that the time was up."""
        for _ in range(min(count, len(self.kafka.waiting))):
            record = self.kafka.waiting.pop(data.draw(st.integers(0, len(self.kafka.waiting) - 1)))
            if fate in ("stored", "late"):
                self.settled.add(record.number)
            error = {"late": TIMED_OUT, "lost": TIMED_OUT, "too large": TOO_LARGE, "fatal": FATAL}.get(fate)
            record.report(error, record)
        if turning:
            self.turn(limits.RETRY_MAX_S)

    @precondition(lambda self: any(kafka.waiting for kafka in self.kafkas[:-1]))
    @rule()
    def a_former_producer_reports(self) -> None:
        for kafka in self.kafkas[:-1]:
            for record in kafka.waiting:
                record.report(PURGED, record)
            kafka.waiting.clear()

    @rule(room=st.sampled_from([0, 1, 3, 1_000]))
    def the_buffer_has_room(self, room: int) -> None:
        self.room = room

    @rule(error=st.sampled_from([TIMED_OUT, TOO_LARGE, FATAL]))
    def the_producer_refuses_the_next(self, error: KafkaError) -> None:
        self.refusals = [error]

    # The bridge.

    @rule(seconds=st.sampled_from([0.0, 0.3, limits.RETRY_MAX_S]))
    def turn(self, seconds: float) -> None:
        self.now += seconds
        self.loop.turn()

    def kill_and_restart(self) -> None:
        self.gateway.disconnect()
        self.start()

    def stop_and_restart(self) -> None:
        """With a Kafka that works, all that is in hand is confirmed, and acknowledged where its connection stands."""
        self._heal_kafka()
        self.gateway.on_turn = self._confirm_all
        in_hand = set(self.in_flight.values()) if self.gateway.connected and self.outbound.fatal is None else set()
        self.loop.run(lambda: True)
        assert len(self.outbound) == 0
        assert in_hand <= self.acknowledged or self.outbound.rebuilds
        self.start()

    def _heal_kafka(self) -> None:
        self.room, self.refusals = 1_000_000, []

    def _confirm_all(self) -> None:
        self.now += 0.5
        for record in self.kafka.waiting:
            self.settled.add(record.number)
            record.report(None, record)
        self.kafka.waiting.clear()

    @invariant()
    def counters_conserve(self) -> None:
        counts, in_flight = self.loop.counts, self.outbound.labels()
        assert sum(in_flight.values()) == len(self.outbound)
        for label, received in counts.received.items():
            dead = sum(count for (stream, _), count in counts.dead_lettered.items() if stream == label)
            parts = (counts.delivered[label], dead, counts.ignored[label], in_flight[label])
            assert received == sum(parts), (label, received, parts)

    def teardown(self) -> None:
        """Everything works again."""
        self._heal_kafka()
        for _ in range(8 * limits.REFUSALS_MAX + 2 * len(self.kinds)):
            if not self.gateway.connected:
                self.gateway.connect()
            self.one_read()
            self._confirm_all()
            self.now += limits.RETRY_MAX_S
            self.loop.turn()
            self.counters_conserve()
        assert not self.waiting
        assert not self.in_flight
        accepted = {number for number, kind in self.kinds.items() if kind != "qos0"}
        assert accepted - self.forgotten <= self.settled & self.acknowledged
        assert (len(self.outbound), len(self.ledger)) == (0, 0)


def test_no_failure_loses_or_falsely_acknowledges(samples: Any) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Model(samples), settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
