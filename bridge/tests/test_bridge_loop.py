"""The loop between a gateway and a Kafka that the test plays."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from smartcity.bridge import settings as limits
from smartcity.bridge.ledger import Ack, Ledger
from smartcity.bridge.loop import Loop
from smartcity.bridge.metrics import Metrics
from smartcity.bridge.outbound import Outbound
from smartcity.bridge.rate import RateLimit
from smartcity.bridge.route import RawRoute
from smartcity.contracts.receipts import decode_receipt

TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)
FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", True)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


QUEUE_FULL = KafkaError(KafkaError._QUEUE_FULL)
MOMENT = timedelta(milliseconds=1)
"""Messages with another moment of reception come from another read."""
ROUTES = (RawRoute(pattern="plant/#", kafka_topic="plant"),)


class Produced:
    """A record in a delivery report."""

    def __init__(self, topic: str, key: bytes | None, value: bytes) -> None:
        self._topic, self._key, self._value = topic, key, value

    def topic(self) -> str:
        return self._topic

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes:
        return self._value


class Gateway:
    """The MQTT side."""

    def __init__(self, ledger: Ledger) -> None:
        self.queue: deque[Any] = deque()
        self.connections = 0
        self.epoch = 0
        self.acked: list[int] = []
        self.published: list[tuple[str, bytes]] = []
        self.connected = False
        self.reading: list[bool] = []
        self._ledger = ledger

    def connect(self) -> None:
        self._new_epoch()
        self.connections += 1
        self.connected = True

    def _new_epoch(self) -> None:
        self.epoch += 1
        self._ledger.begin(self.epoch)

    def turn(self, timeout_s: float, *, reading: bool) -> None:
        self.reading.append(reading)

    def ack(self, ack: Ack) -> bool:
        if ack.epoch == self.epoch:
            self.acked += ack.packet_ids
        return ack.epoch == self.epoch

    def publish(self, topic: str, payload: bytes) -> bool:
        if self.connected:
            self.published.append((topic, payload))
        return self.connected

    def disconnect(self) -> None:
        if self.connected:
            self.connected = False
            self._new_epoch()

    def wants_write(self) -> bool:
        return False


class Kafka:
    """The producer's side: records wait until the test reports them."""

    def __init__(self, on_error: Callable[[KafkaError], None]) -> None:
        self.waiting: list[Callable[[Any, Any], None]] = []
        self.topics: list[str] = []
        self.values: list[bytes] = []
        self.room = 1_000_000
        self.raises: KafkaError | None = None
        """What the next `produce` refuses its record with."""

    def produce(self, topic: str, value: bytes, key: Any, partition: int, callback: Any, *_more: Any) -> None:
        if self.raises is not None:
            error, self.raises = self.raises, None
            raise KafkaException(error)
        if self.room == 0:
            raise BufferError
        self._take(topic, value, key, callback)

    def _take(self, topic: str, value: bytes, key: Any, callback: Any) -> None:
        self.room -= 1
        self.topics.append(topic)
        self.values.append(value)
        record = Produced(topic, key, value)
        self.waiting.append(lambda error, _record: callback(error, record))

    def produce_batch(self, topic: str, messages: list[dict[str, Any]], *, on_delivery: Any) -> int:
        """As confluent-kafka's: what does not fit is marked and not counted."""
        queued = 0
        for message in messages:
            if self.room == 0:
                message["_error"] = QUEUE_FULL
                continue
            queued += 1
            self._take(topic, message["value"], message["key"], on_delivery)
        return queued

    def poll(self, timeout: float) -> int:
        return 0

    def purge(self) -> None: ...

    def list_topics(self, *, timeout: float) -> Any: ...


class Rig:
    def __init__(self, samples: Any, *, rate_limit: float | None = None) -> None:
        self.samples = samples
        self.now = 0.0
        self.sequence = 0
        self.metrics = Metrics()
        self.kafkas: list[Kafka] = []
        ledger = Ledger()
        self.gateway = Gateway(ledger)
        self.outbound = Outbound(self._make_kafka, clock=lambda: self.now)
        self.loop = Loop(
            source=self.gateway,
            outbound=self.outbound,
            ledger=ledger,
            metrics=self.metrics,
            receipt_interval_s=0.2,
            rate_limit=rate_limit and RateLimit(per_s=rate_limit, burst=2, clock=lambda: self.now),
            clock=lambda: self.now,
        )
        self.gateway.connect()

    def _make_kafka(self, on_error: Callable[[KafkaError], None]) -> Kafka:
        self.kafkas.append(Kafka(on_error))
        return self.kafkas[-1]

    @property
    def kafka(self) -> Kafka:
        return self.kafkas[-1]

    def arrive(self, name: str = "gps", **changes: Any) -> None:
        self.sequence += 1
        values = {"properties": self.samples.properties(name, sequence=self.sequence), "packet_id": self.sequence}
        self.gateway.queue.append(self.samples.message(name, **(values | {"epoch": self.gateway.epoch} | changes)))

    def arrive_raw(self, payload: bytes = b"same", **changes: Any) -> None:
        self.arrive(topic="plant/line-1", payload=payload, properties=(), routes=ROUTES, **changes)

    def turn(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.loop.turn()

    def scrape(self) -> dict[tuple[str, str], float]:
        """Value by metric and stream, the reasons summed up."""
        values: dict[tuple[str, str], float] = {}
        for family in text_string_to_metric_families(generate_latest(self.metrics.registry).decode()):
            for sample in family.samples:
                key = (sample.name.removeprefix("smartcity_bridge_"), sample.labels.get("stream", ""))
                values[key] = values.get(key, 0) + sample.value
        return values

    def assert_conserved(self) -> None:
        now = self.scrape()
        streams = {stream for name, stream in now if name == "received_total"}
        for stream in streams:
            parts = [
                now.get((name, stream), 0)
                for name in ("delivered_total", "dead_lettered_total", "ignored_total", "in_flight")
            ]
            assert now["received_total", stream] == sum(parts), (stream, parts)


@pytest.fixture
def rig(samples: Any) -> Rig:
    return Rig(samples)


def test_a_puback_waits_for_kafka_and_for_those_before(rig: Rig) -> None:
    for read in range(3):
        rig.arrive(received_at=rig.samples.now + read * MOMENT)
    rig.turn()
    assert rig.gateway.acked == []
    rig.kafka.waiting[1](None, None)
    rig.turn()
    assert rig.gateway.acked == []
    rig.kafka.waiting[0](None, None)
    rig.turn()
    assert rig.gateway.acked == [1, 2]


def test_readings_of_one_read_are_acknowledged_together(rig: Rig) -> None:
    rig.arrive()
    rig.arrive("weather")
    rig.arrive(payload=b"junk")
    rig.turn()
    assert rig.kafka.topics == ["gps_data", "weather_data", "dead_letters"]
    for report in rig.kafka.waiting:
        assert rig.gateway.acked == []
        report(None, None)
        rig.turn()
    assert rig.gateway.acked == [1, 2, 3]
    assert rig.loop.counts.delivered == {"gps": 1, "weather": 1}
    assert rig.loop.counts.dead_lettered == {("gps", "payload_undecodable"): 1}
    rig.turn(1)
    assert json.loads(rig.gateway.published[0][1]) == {rig.samples.boot: [[1, 3]]}
    rig.assert_conserved()


@pytest.mark.parametrize("refused_at_once", [False, True])
def test_one_failed_reading_of_a_batch_is_tried_alone(rig: Rig, refused_at_once: bool) -> None:
    """Whether the producer refuses it or Kafka does: no PUBACK and no receipt for it, and none of the others' lost."""
    if refused_at_once:
        rig.kafka.raises = TIMED_OUT
    for _ in range(3):
        rig.arrive()
    rig.turn()
    errors = (None, None) if refused_at_once else (TIMED_OUT, None, None)
    for report, error in zip(rig.kafka.waiting[:], errors, strict=True):
        report(error, None)
    rig.turn(1)
    assert rig.gateway.acked == []
    assert rig.loop.counts.delivered == {"gps": 2}
    assert json.loads(rig.gateway.published[0][1]) == {rig.samples.boot: [[2, 3]]}
    rig.assert_conserved()
    rig.turn(limits.RETRY_MAX_S)
    assert b'"id":"%s.1"' % rig.samples.boot.encode() in rig.kafka.values[-1]
    rig.kafka.waiting[-1](None, None)
    rig.turn(1)
    assert rig.gateway.acked == [1, 2, 3]
    assert json.loads(rig.gateway.published[1][1]) == {rig.samples.boot: [[1, 1]]}


def test_equal_records_of_a_batch_fail_together(rig: Rig) -> None:
    """Two frames with the same bytes: a report cannot say whose it is, so neither gets a receipt for the other's."""
    rig.arrive("camera")
    rig.arrive("camera")
    rig.arrive("weather")
    rig.turn()
    for report, error in zip(rig.kafka.waiting[:3], (TIMED_OUT, None, None), strict=True):
        report(error, None)
    rig.turn(1)
    assert rig.loop.counts.delivered == {"weather": 1}
    rig.turn(limits.RETRY_MAX_S)
    assert rig.kafka.topics[3:] == ["traffic_data"] * 2
    rig.assert_conserved()


def test_ignored_messages_are_acknowledged_at_once_but_in_order(rig: Rig) -> None:
    rig.arrive(topic="devices/dev-1/status")
    rig.arrive()
    rig.arrive(retain=True)
    rig.turn()
    assert rig.gateway.acked == [1]
    rig.kafka.waiting[0](None, None)
    rig.turn(1)
    assert rig.gateway.acked == [1, 2, 3]
    assert rig.loop.counts.ignored == {"status": 1, "gps": 1}


def test_qos_0_is_produced_and_not_acknowledged(rig: Rig) -> None:
    rig.arrive(qos=0, packet_id=0)
    rig.turn()
    rig.kafka.waiting[0](None, None)
    rig.turn(1)
    assert (rig.gateway.acked, rig.loop.counts.delivered["gps"]) == ([], 1)


def test_a_late_confirmation_after_a_reconnect_acknowledges_nothing(rig: Rig) -> None:
    """The stale acknowledgement: packet id 1 is another message now."""
    rig.arrive(packet_id=1)
    rig.turn()
    rig.gateway.disconnect()
    rig.gateway.connect()
    rig.arrive(packet_id=1)
    rig.turn()
    rig.kafka.waiting[0](None, None)
    rig.turn()
    assert (rig.gateway.acked, rig.loop.counts.acknowledgements_void) == ([], 1)
    rig.kafka.waiting[1](None, None)
    rig.turn(1)
    assert rig.gateway.acked == [1]


def test_receipts_are_gathered_and_cover_dead_letters(rig: Rig) -> None:
    rig.arrive()
    rig.turn(1)
    rig.kafka.waiting[0](None, None)
    rig.turn(1)
    first = json.dumps({rig.samples.boot: [[1, 1]]}, separators=(",", ":")).encode()
    assert rig.gateway.published == [("receipts/dev-1", first)]
    rig.arrive(payload=b"junk")
    rig.arrive()
    rig.arrive(properties=())
    rig.turn(0.05)
    for report in rig.kafka.waiting[1:]:
        report(None, None)
    rig.turn(0.05)
    assert len(rig.gateway.published) == 1
    rig.turn(0.15)
    assert json.loads(rig.gateway.published[1][1]) == {rig.samples.boot: [[2, 3]]}


def test_no_receipt_before_kafka(rig: Rig) -> None:
    rig.arrive()
    rig.turn(1)
    rig.kafka.waiting[0](TIMED_OUT, None)
    rig.turn(1)
    assert rig.gateway.published == []


def test_a_receipt_that_cannot_be_sent_is_forgotten(rig: Rig) -> None:
    rig.arrive()
    rig.turn()
    rig.gateway.disconnect()
    rig.kafka.waiting[0](None, None)
    rig.turn(1)
    rig.gateway.connect()
    rig.turn(1)
    assert (rig.gateway.published, rig.loop.counts.receipts_dropped) == ([], 1)


def test_what_kafka_refuses_becomes_a_dead_letter_and_is_acknowledged_then(rig: Rig) -> None:
    rig.arrive()
    for _ in range(limits.REFUSALS_MAX):
        rig.turn()
        rig.turn(limits.RETRY_MAX_S)
        rig.kafka.waiting[-1](TOO_LARGE, None)
    rig.turn(limits.RETRY_MAX_S)
    assert rig.kafka.topics[-1] == "dead_letters"
    assert rig.gateway.acked == []
    rig.kafka.waiting[-1](None, None)
    rig.turn(1)
    assert rig.gateway.acked == [1]
    assert rig.loop.counts.dead_lettered == {("gps", "too_large"): 1}
    rig.assert_conserved()


def test_a_fatal_error_disconnects_without_acknowledging_and_loses_nothing(rig: Rig) -> None:
    rig.arrive()
    rig.turn()
    rig.kafka.waiting[0](FATAL, None)
    rig.turn()
    assert (len(rig.kafkas), rig.gateway.connected, rig.gateway.acked) == (2, False, [])
    rig.kafka.waiting[0](None, None)
    rig.turn(1)
    assert (rig.gateway.acked, rig.loop.counts.delivered["gps"]) == ([], 1)
    rig.gateway.connect()
    rig.arrive()
    rig.turn()
    rig.kafka.waiting[1](None, None)
    rig.turn(1)
    assert rig.gateway.acked == [2]


def test_a_fatal_error_in_a_batch_does_not_wait_for_its_other_reports(rig: Rig) -> None:
    rig.arrive()
    rig.arrive()
    rig.turn()
    rig.kafka.waiting[0](FATAL, None)
    rig.turn()
    assert (len(rig.kafkas), len(rig.kafka.waiting), rig.gateway.connected) == (2, 2, False)


def test_a_full_producer_stops_the_reading(rig: Rig) -> None:
    """What was taken with the last that fitted is held, in its order; the next read stays in the queue."""
    rig.kafka.room = 1
    for read in (0, 0, 0, 1):
        rig.arrive(received_at=rig.samples.now + read * MOMENT)
    rig.turn()
    rig.turn()
    assert rig.gateway.reading == [True, False]
    assert (len(rig.gateway.queue), rig.loop.counts.received["gps"]) == (1, 3)
    rig.kafka.room = 10
    rig.turn()
    rig.turn()
    assert rig.gateway.reading[-1] is True
    ids = [json.loads(value)["id"].rpartition(".")[2] for value in rig.kafka.values]
    assert ids == ["1", "2", "3", "4"]


def test_at_the_end_it_waits_for_kafka_and_leaves(rig: Rig) -> None:
    rig.arrive()
    turns = 0

    def stopping() -> bool:
        nonlocal turns
        turns += 1
        return turns > 1

    original = rig.gateway.turn

    def turn(timeout_s: float, *, reading: bool) -> None:
        original(timeout_s, reading=reading)
        if not reading:
            rig.kafka.waiting[0](None, None)

    rig.gateway.turn = turn  # type: ignore[method-assign]
    rig.loop.run(stopping)
    assert (rig.gateway.acked, rig.gateway.connected, len(rig.gateway.published)) == ([1], False, 1)
    rig.assert_conserved()


def test_at_the_end_it_does_not_wait_for_ever(rig: Rig) -> None:
    rig.arrive()
    rig.turn()

    def turn(timeout_s: float, *, reading: bool) -> None:
        rig.now += 1.0

    rig.gateway.turn = turn  # type: ignore[method-assign]
    rig.loop.run(lambda: True)
    assert limits.DRAIN_TIMEOUT_S <= rig.now <= limits.DRAIN_TIMEOUT_S + 2
    assert (rig.gateway.acked, rig.gateway.connected) == ([], False)


def raw(rig: Rig, count: int) -> None:
    for number in range(count):
        rig.arrive_raw(b"%d" % number)


def test_messages_of_a_raw_route_go_unchanged_and_are_acknowledged_together(rig: Rig) -> None:
    raw(rig, 3)
    rig.turn()
    assert rig.kafka.topics == ["plant"] * 3
    for _ in range(3):
        assert rig.gateway.acked == []
        rig.kafka.waiting.pop()(None, None)
        rig.turn()
    assert rig.gateway.acked == [1, 2, 3]
    assert rig.loop.counts.delivered == {"plant": 3}
    rig.turn(1)
    assert rig.gateway.published == []
    rig.assert_conserved()


def test_streams_and_raw_routes_keep_their_order(rig: Rig) -> None:
    raw(rig, 2)
    rig.arrive()
    raw(rig, 1)
    rig.turn()
    assert rig.kafka.topics == ["plant", "plant", "gps_data", "plant"]
    for report in rig.kafka.waiting[2:]:
        report(None, None)
    rig.turn()
    assert rig.gateway.acked == []
    for report in rig.kafka.waiting[:2]:
        report(None, None)
    rig.turn()
    assert rig.gateway.acked == [1, 2, 3, 4]


def test_one_failed_delivery_of_a_batch_is_tried_alone_and_not_acknowledged_with_it(rig: Rig) -> None:
    raw(rig, 3)
    rig.arrive()
    rig.turn()
    for report, error in zip(rig.kafka.waiting[:4], (None, TIMED_OUT, None, None), strict=True):
        report(error, None)
    rig.turn()
    assert rig.gateway.acked == []
    assert rig.loop.counts.delivered == {"plant": 2, "gps": 1}
    rig.assert_conserved()
    rig.turn(limits.RETRY_MAX_S)
    assert (len(rig.kafka.waiting), rig.outbound.retries) == (5, 1)
    rig.kafka.waiting[4](None, None)
    rig.turn()
    assert rig.gateway.acked == [1, 2, 3, 4]


def test_what_kafka_refuses_of_a_batch_becomes_a_dead_letter(rig: Rig) -> None:
    raw(rig, 2)
    rig.turn()
    rig.kafka.waiting[0](TOO_LARGE, None)
    rig.kafka.waiting[1](None, None)
    for _ in range(limits.REFUSALS_MAX - 1):
        rig.turn()
        rig.turn(limits.RETRY_MAX_S)
        rig.kafka.waiting[-1](TOO_LARGE, None)
    rig.turn()
    assert rig.kafka.topics == ["plant"] * (1 + limits.REFUSALS_MAX) + ["dead_letters"]
    assert rig.gateway.acked == []
    rig.kafka.waiting[-1](None, None)
    rig.turn()
    assert rig.gateway.acked == [1, 2]
    assert rig.loop.counts.dead_lettered == {("plant", "too_large"): 1}


def test_a_batch_that_is_partly_enqueued_waits_for_room(rig: Rig) -> None:
    rig.kafka.room = 2
    raw(rig, 4)
    rig.turn()
    assert (rig.kafka.topics, rig.outbound.room > 0) == (["plant"] * 2, False)
    rig.assert_conserved()
    for report in rig.kafka.waiting[:2]:
        report(None, None)
    rig.turn()
    assert rig.gateway.acked == []
    rig.kafka.room = 10
    rig.turn()
    for report in rig.kafka.waiting[2:]:
        report(None, None)
    rig.turn()
    assert (rig.gateway.acked, len(rig.outbound)) == ([1, 2, 3, 4], 0)


def test_after_a_fatal_error_a_batch_is_produced_anew(rig: Rig) -> None:
    raw(rig, 3)
    rig.turn()
    late = rig.kafka.waiting[1:]
    rig.kafka.waiting[0](None, None)
    rig.outbound._on_error(FATAL)
    rig.turn()
    assert (len(rig.kafkas), rig.kafka.topics) == (2, ["plant"] * 3)
    for report in late:
        report(None, None)
    rig.turn()
    assert rig.loop.counts.delivered == {}
    for report in rig.kafka.waiting:
        report(None, None)
    rig.turn()
    assert (rig.loop.counts.delivered, rig.gateway.acked) == ({"plant": 3}, [])
    rig.assert_conserved()


STEP = st.sampled_from(
    [
        "good",
        "bad",
        "raw",
        "raw",
        "raw",
        "raw qos0",
        "status",
        "unknown",
        "qos0",
        "other read",
        "camera",
        "refuse",
        "too large",
        "several",
        "confirm",
        "confirm",
        "fail",
        "fatal",
        "reconnect",
        "full",
        "room",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=60), st.randoms(use_true_random=False))
def test_everything_received_is_somewhere_at_all_times(samples: Any, steps: list[str], random: Any) -> None:
    rig = Rig(samples)
    arrivals: dict[str, Callable[[], None]] = {
        "good": rig.arrive,
        "bad": lambda: rig.arrive(payload=b"junk"),
        "status": lambda: rig.arrive(topic="devices/dev-1/status"),
        "unknown": lambda: rig.arrive(topic="devices/dev-1/colour"),
        "qos0": lambda: rig.arrive(qos=0, packet_id=0),
        "other read": lambda: rig.arrive(received_at=rig.samples.now + random.randrange(3) * MOMENT),
        "camera": lambda: rig.arrive("camera"),
        "raw": lambda: rig.arrive_raw(random.choice([b"same", b"other"])),
        "raw qos0": lambda: rig.arrive_raw(qos=0, packet_id=0),
    }
    for step in steps:
        if step in arrivals:
            arrivals[step]()
        elif step == "several":
            for _ in range(5):
                random.choice([rig.arrive, arrivals["raw"], arrivals["camera"], arrivals["bad"]])()
        elif step == "refuse":
            rig.kafka.raises = random.choice([TIMED_OUT, TOO_LARGE])
        elif step in ("confirm", "fail", "fatal", "too large"):
            error = {"confirm": None, "fail": TIMED_OUT, "fatal": FATAL, "too large": TOO_LARGE}[step]
            if rig.kafka.waiting:
                rig.kafka.waiting.pop(random.randrange(len(rig.kafka.waiting)))(error, None)
        elif step == "reconnect":
            rig.gateway.disconnect()
            rig.gateway.connect()
        else:
            rig.kafka.room = 0 if step == "full" else 100
        rig.turn(1.0)
        rig.assert_conserved()
    rig.kafka.room = 10_000
    for _ in range(20):
        for report in rig.kafka.waiting:
            report(None, None)
        rig.kafka.waiting.clear()
        rig.turn(limits.RETRY_MAX_S)
    rig.assert_conserved()
    assert len(rig.outbound) == 0
    assert sum(rig.loop.counts.received.values()) == rig.sequence


def test_a_reading_over_its_devices_limit_is_a_dead_letter_with_a_receipt(samples: Any) -> None:
    rig = Rig(samples, rate_limit=1)
    for _ in range(3):
        rig.arrive()
    rig.arrive(topic="devices/dev-2/gps", properties=())
    rig.turn()
    assert rig.kafka.topics == ["gps_data", "gps_data", "dead_letters", "gps_data"]
    for report in rig.kafka.waiting:
        report(None, None)
    rig.now += 1
    rig.turn()
    assert rig.loop.counts.dead_lettered == {("gps", "rate_limited"): 1}
    assert rig.gateway.acked == [1, 2, 3, 4]
    [(_, payload)] = rig.gateway.published
    assert [span for spans in decode_receipt(payload).values() for span in spans] == [(1, 3)]
    rig.arrive()
    rig.turn()
    assert rig.kafka.topics[4:] == ["gps_data"]
