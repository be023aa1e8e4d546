"""The loop between a gateway and a Kafka that the test plays: what is acknowledged when, and that nothing falls out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartcity.bridge import settings as limits

from .loop_rig import FATAL, MOMENT, TIMED_OUT, TOO_LARGE, Rig


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
