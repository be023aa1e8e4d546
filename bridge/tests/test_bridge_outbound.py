"""The producer's side with a Kafka that fails on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from smartcity.bridge import settings as limits
from smartcity.bridge.message import Record
from smartcity.bridge.outbound import Flight, Outbound
from smartcity.contracts.reasons import Reason
from smartcity.contracts.topics import KAFKA_TOPICS

TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", True)


class Kafka:
    """A producer whose delivery reports the test decides."""

    def __init__(self, on_error: Callable[[KafkaError], None]) -> None:
        self.on_error = on_error
        self.produced: list[tuple[bytes, Callable[[Any, Any], None]]] = []
        self.room = 1_000
        self.raises: KafkaError | None = None
        self.purged = False
        self.topics = {topic.name: None for topic in KAFKA_TOPICS}

    def produce(self, topic: str, value: bytes, key: Any, partition: int, callback: Any, *_more: Any) -> None:
        if self.raises is not None:
            raise KafkaException(self.raises)
        if self.room == 0:
            raise BufferError("full")
        self.room -= 1
        self.produced.append((value, callback))

    def report(self, error: KafkaError | None = None) -> None:
        """For the oldest record."""
        self.produced.pop(0)[1](error, None)

    def poll(self, timeout: float) -> int:
        return 0

    def purge(self) -> None:
        self.purged = True

    def list_topics(self, *, timeout: float) -> Any:
        if self.raises is not None:
            raise KafkaException(self.raises)
        return self


class Rig:
    def __init__(self, samples: Any) -> None:
        self.samples = samples
        self.now = 0.0
        self.kafkas: list[Kafka] = []
        self.outbound = Outbound(self._make, clock=lambda: self.now)

    def _make(self, on_error: Callable[[KafkaError], None]) -> Kafka:
        self.kafkas.append(Kafka(on_error))
        return self.kafkas[-1]

    @property
    def kafka(self) -> Kafka:
        return self.kafkas[-1]

    def send(self, value: bytes, reason: Reason | None = None) -> Flight:
        record = Record(topic="gps_data", key=b"d", value=value, headers={}, reason=reason)
        flight = Flight(self.samples.message("gps"), record, None)
        self.outbound.send(flight)
        return flight

    def confirmed(self) -> list[bytes]:
        outcomes = self.outbound.poll()
        assert all(outcome.refused is None for outcome in outcomes)
        return [outcome.flight.record.value for outcome in outcomes]


@pytest.fixture
def rig(samples: Any) -> Rig:
    return Rig(samples)


def test_a_record_is_in_hand_until_kafka_confirms_it(rig: Rig) -> None:
    rig.send(b"a")
    assert (rig.confirmed(), len(rig.outbound)) == ([], 1)
    rig.kafka.report()
    assert (rig.confirmed(), len(rig.outbound)) == ([b"a"], 0)


def test_one_failed_delivery_is_produced_again_and_holds_up_no_other(rig: Rig) -> None:
    for value in (b"a", b"b", b"c"):
        rig.send(value)
    rig.kafka.report(TIMED_OUT)
    rig.kafka.report()
    rig.kafka.report()
    assert rig.confirmed() == [b"b", b"c"]
    assert (rig.kafka.produced, (rig.outbound.room > 0)) == ([], True)
    rig.now += limits.RETRY_MAX_S
    rig.outbound.poll()
    rig.kafka.report()
    assert (rig.confirmed(), rig.outbound.retries) == ([b"a"], 1)


def test_back_off_grows_to_its_limit(rig: Rig) -> None:
    rig.send(b"a")
    for expected_s in (1.0, 2.0, 4.0, 8.0, 10.0, 10.0):
        rig.kafka.report(TIMED_OUT)
        rig.outbound.poll()
        rig.now += expected_s - 0.001
        rig.outbound.poll()
        assert rig.kafka.produced == []
        rig.now += 0.001
        rig.outbound.poll()
        assert len(rig.kafka.produced) == 1


def test_a_full_buffer_is_back_pressure_and_keeps_the_order(rig: Rig) -> None:
    rig.kafka.room = 1
    for value in (b"a", b"b", b"c"):
        rig.send(value)
    assert not (rig.outbound.room > 0)
    rig.outbound.poll()
    assert [value for value, _ in rig.kafka.produced] == [b"a"]
    rig.kafka.room = 1
    rig.outbound.poll()
    assert not (rig.outbound.room > 0)
    rig.kafka.room = 5
    rig.outbound.poll()
    assert [value for value, _ in rig.kafka.produced] == [b"a", b"b", b"c"]
    assert rig.outbound.room > 0


def test_what_kafka_refuses_is_refused_only_when_it_is_itself_at_fault(rig: Rig) -> None:
    """Kafka fails a batch for one large record in it: each is tried alone before it is given up."""
    flight = rig.send(b"large")
    for attempt in range(1, limits.REFUSALS_MAX + 1):
        assert len(rig.kafka.produced) == 1, attempt
        rig.kafka.report(TOO_LARGE)
        outcomes = rig.outbound.poll()
        rig.now += limits.RETRY_MAX_S
        if attempt < limits.REFUSALS_MAX:
            assert outcomes == []
            rig.outbound.poll()
    assert [(outcome.flight, outcome.refused.reason) for outcome in outcomes if outcome.refused] == [
        (flight, Reason.TOO_LARGE)
    ]
    assert len(rig.outbound) == 0


def test_a_refusal_before_the_wire_is_the_same(rig: Rig) -> None:
    rig.kafka.raises = TOO_LARGE
    rig.send(b"huge")
    outcomes = []
    for _ in range(limits.REFUSALS_MAX):
        outcomes += rig.outbound.poll()
        rig.now += limits.RETRY_MAX_S
    assert [outcome.refused.reason for outcome in outcomes if outcome.refused] == [Reason.TOO_LARGE]


def test_a_dead_letter_is_never_given_up(rig: Rig) -> None:
    rig.send(b"dead", Reason.CHECKSUM_INVALID)
    for _ in range(3 * limits.REFUSALS_MAX):
        rig.kafka.report(TOO_LARGE)
        assert rig.outbound.poll() == []
        rig.now += limits.RETRY_MAX_S
        rig.outbound.poll()
    assert len(rig.outbound) == 1


@pytest.mark.parametrize("from_report", [True, False])
def test_after_a_fatal_error_everything_unconfirmed_is_produced_by_a_new_producer(rig: Rig, from_report: bool) -> None:
    for value in (b"a", b"b", b"c"):
        rig.send(value)
    rig.kafka.report()
    assert rig.confirmed() == [b"a"]
    if from_report:
        rig.kafka.report(FATAL)
    else:
        rig.kafka.on_error(FATAL)
    assert rig.confirmed() == []
    assert rig.outbound.fatal is not None
    assert not (rig.outbound.room > 0)
    late = rig.kafka.produced[-1][1]
    rig.outbound.rebuild()
    assert (rig.kafkas[0].purged, rig.outbound.fatal, rig.outbound.rebuilds) == (True, None, 1)
    assert [value for value, _ in rig.kafka.produced] == [b"b", b"c"]
    late(None, None)  # A report of the old producer counts no more: its fate is the new one's to tell.
    assert rig.confirmed() == []
    rig.kafka.report()
    rig.kafka.report()
    assert (rig.confirmed(), len(rig.outbound)) == ([b"b", b"c"], 0)


def test_what_is_missing_is_named(rig: Rig) -> None:
    assert rig.outbound.missing(1) is None
    del rig.kafka.topics["dead_letters"]
    assert rig.outbound.missing(1) == "Kafka: topics are missing: dead_letters"
    rig.kafka.raises = KafkaError(KafkaError._TRANSPORT)
    assert str(rig.outbound.missing(1)).startswith("Kafka: cannot be reached")
