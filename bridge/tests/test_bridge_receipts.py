"""Receipts that the loop sends to devices, and when."""

from __future__ import annotations

import json
from typing import Any

from smartcity.contracts.receipts import decode_receipt

from .loop_rig import TIMED_OUT, Rig


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
