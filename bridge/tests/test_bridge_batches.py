"""Batches of messages that go to Kafka unchanged, for raw routes."""

from __future__ import annotations

from smartcity.bridge import settings as limits

from .loop_rig import FATAL, TIMED_OUT, TOO_LARGE, Rig


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
