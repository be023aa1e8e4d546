"""The pipeline's picture, worked out from what the parts answer. No I/O."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartcity.contracts.reasons import Reason
from smartcity.dashboard.flow import Histories, document, note
from smartcity.dashboard.flow_history import History, Latency, latency_of, read_samples
from smartcity.dashboard.flow_parts import Facts, Gateway, Part, parts, unread_records
from smartcity.dashboard.flow_probes import Answer, KafkaSeen, watched
from smartcity.dashboard.letters import Letter, Shelf, whole
from smartcity.dashboard.settings import (
    FLOW_WINDOW_S,
    LETTER_PROPERTIES_MAX,
    LETTER_SHOWN_BYTES_MAX,
    LETTERS_OF_A_REASON_MAX,
)

NOW = 1_000_000.0
BOUNDS_S = (0.0, 0.001, 0.01, 0.03, 0.1, 1.0, 5.0, 60.0)
OK = Answer(status=200, text="ok\n")
GONE = Answer(trouble="connection refused")


def gateway(**changes: Any) -> Gateway:
    online = {"online": 3, "offline": 0, "pending": 2, "refused": 0, "dropped": 0}
    return Gateway(**{"address": "127.0.0.1:1883", "trouble": None, "counts": {"gps": 5}, "devices": online} | changes)


def progress(**changes: Any) -> Answer:
    told = {
        "running": True,
        "last_batch": {"ended_at": NOW - 4, "records": 90, "seconds": 2.5},
        "offsets": {},
    } | changes
    return Answer(status=200, text=json.dumps(told))


def facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {
        "gateway": gateway(), "bridge_url": "http://b", "lake_url": "http://l", "kafka_address": "k:9092",
        "bridge": OK, "bridge_ready": OK, "kafka": KafkaSeen(brokers=1, ends={"gps_data": {0: 100, 1: 40}}),
        "lake": progress(), "s3_url": "http://s", "s3": OK, "aws_url": "http://a", "aws": OK,
    }  # fmt: skip
    return Facts(**values | changes)


def part(id_: str, given: Facts, logs: str | None = "var/log") -> Part:
    return next(each for each in parts(given, now=NOW, logs=logs) if each.id == id_)


def test_a_whole_pipeline_is_up_and_needs_no_words() -> None:
    found = parts(facts(), now=NOW, logs="var/log")
    assert [each.id for each in found] == ["devices", "mosquitto", "bridge", "kafka", "lake", "s3", "aws"]
    assert {each.state for each in found} == {"up"}
    assert {(each.reason, each.remedy) for each in found} == {(None, None)}


@pytest.mark.parametrize(
    ("id_", "changes", "state", "words"),
    [
        ("mosquitto", {"gateway": gateway(trouble="the gateway cannot be reached")}, "down", "The gateway cannot"),
        ("devices", {"gateway": gateway(trouble="away")}, "unknown", "heard through the gateway"),
        ("devices", {"gateway": gateway(devices={"online": 0, "offline": 0})}, "waiting", "No device has reported"),
        ("devices", {"gateway": gateway(devices={"online": 0, "offline": 4})}, "waiting", "All 4 devices"),
        ("bridge", {"bridge": GONE}, "down", "http://b (connection refused)"),
        ("bridge", {"bridge": Answer(status=503, text="the loop has not turned for 20 s\n")}, "down", "has not turned"),
        ("bridge", {"bridge_ready": Answer(status=503, text="Kafka: a\nMQTT: b\n")}, "waiting", "Kafka: a; MQTT: b."),
        ("bridge", {"bridge": None}, "unknown", None),
        ("kafka", {"kafka": KafkaSeen(trouble="timed out")}, "down", "k:9092 (timed out)"),
        ("kafka", {"kafka": KafkaSeen(brokers=2, missing=("gps_data/1",))}, "waiting", "gps_data/1"),
        ("lake", {"lake": GONE}, "down", "http://l"),
        ("lake", {"lake": progress(running=False)}, "waiting", "does not run yet"),
        ("lake", {"lake": Answer(status=200, text="<html>")}, "waiting", "does not run yet"),
        (
            "lake",
            {"lake": progress(last_batch={"ended_at": NOW - 61}, offsets={"gps_data": {"0": 90}})},
            "waiting",
            "ended 61 s ago, and records in Kafka that are unread: 10",
        ),
        ("s3", {"s3": GONE}, "down", "http://s"),
        ("s3", {"s3_url": None, "s3": None}, "unwatched", "not watched from here"),
        ("aws", {"aws": Answer(status=500)}, "down", "answers 500"),
    ],
)
def test_a_part_in_trouble_says_why(id_: str, changes: dict[str, Any], state: str, words: str | None) -> None:
    found = part(id_, facts(**changes))
    assert found.state == state
    assert words is None or words in (found.reason or "")


@pytest.mark.parametrize("id_", ["mosquitto", "bridge", "kafka", "lake", "s3", "aws"])
def test_a_part_that_is_down_says_what_to_do_with_and_without_a_local_stack(id_: str) -> None:
    dead = facts(
        gateway=gateway(trouble="x"), bridge=GONE, kafka=KafkaSeen(trouble="x"), lake=GONE, s3=GONE, aws=GONE
    )  # fmt: skip
    assert part(id_, dead).remedy == f"See var/log/{id_}.log; `smartcity up` starts it again."
    assert "var/log" not in (part(id_, dead, logs=None).remedy or "")


def test_an_idle_lake_is_up_however_long_ago_its_last_batch_was() -> None:
    idle = progress(last_batch={"ended_at": NOW - 900}, offsets={"gps_data": {"0": 100, "1": 40}})
    assert part("lake", facts(lake=idle)).state == "up"
    assert part("lake", facts(lake=progress(last_batch=None))).state == "up"


def test_unread_is_kafkas_end_less_what_was_read_and_never_below_zero() -> None:
    kafka = KafkaSeen(brokers=1, ends={"gps_data": {0: 100, 1: 40}, "else": {0: 9}})
    assert unread_records({"offsets": {"gps_data": {"0": 70, "1": 45}}}, kafka) == 30
    assert unread_records({"offsets": {}}, kafka) is None
    assert unread_records({"offsets": {"gps_data": {"0": 70}}}, KafkaSeen(trouble="x")) is None


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://127.0.0.1:4566/", "http://127.0.0.1:4566"),
        ("http://aws:4566", "http://aws:4566"),
        ("https://s3.eu-west-1.amazonaws.com", None),
        ("https://athena.cn-north-1.amazonaws.com.cn", None),
        (None, None),
        ("", None),
    ],
)
def test_only_endpoints_of_ones_own_are_asked(url: str | None, asked: str | None) -> None:
    assert watched(url) == asked


def histogram(values: list[float]) -> dict[float, float]:
    bounds = [*BOUNDS_S, math.inf]
    return {bound: float(sum(value <= bound for value in values)) for bound in bounds}


@settings(deadline=None)
@given(st.lists(st.floats(0.0005, 59.0), min_size=1, max_size=300))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float]) -> None:
    found = latency_of(histogram(values))
    assert (found.count, found.negative, found.beyond) == (len(values), 0, 0)
    assert sum(many for _, _, many in found.bars) == len(values)
    for share, told in ((0.5, found.p50_s), (0.99, found.p99_s)):
        true = float(np.quantile(values, share, method="inverted_cdf"))
        above = next(bound for bound in BOUNDS_S if true <= bound)
        below = max((bound for bound in BOUNDS_S if bound < true), default=0.0)
        assert told is not None
        assert below <= told <= above


def test_clocks_that_disagree_give_words_and_no_number() -> None:
    ahead = latency_of(histogram([-3.0] * 60 + [0.02] * 40))
    assert (ahead.p50_s, ahead.negative) == (None, 60)
    assert "60 % arrived before they were sent" in (note(ahead) or "")
    old = latency_of(histogram([86_400.0] * 99 + [0.02]))
    assert (old.p50_s, old.p99_s, old.beyond) == (None, None, 99)
    assert "replayed without --restamp" in (note(old) or "")
    assert note(latency_of(histogram([0.02] * 1000 + [-1.0]))) is None
    assert note(Latency(count=0)) is None


def test_history_rates_over_its_span_and_forgets_a_process_that_began_anew() -> None:
    history = History()
    assert history.rates("n_total", over_s=10) == {}
    for at in range(100):
        history.add(float(at), {("n_total", "a"): 5.0 * at, ("g",): 1.0})
    assert history.rates("n_total", over_s=10) == {("n_total", "a"): 5.0}
    assert history.grown("n_total") == {("n_total", "a"): 5.0 * FLOW_WINDOW_S}
    assert history.span_s == FLOW_WINDOW_S
    # A label that is new grew from nothing.
    history.add(100.0, {("n_total", "a"): 500.0, ("n_total", "b"): 7.0, ("g",): 0.0})
    assert history.grown("n_total", "b") == {("n_total", "b"): 7.0}
    history.add(101.0, {("n_total", "a"): 1.0})
    assert history.grown("n_total") == {("n_total", "a"): 0.0}
    history.add(102.0, {("n_total", "a"): 3.0})
    assert history.rates("n_total", over_s=10) == {("n_total", "a"): 2.0}


def test_a_counter_whose_sample_vanished_began_anew_too() -> None:
    history = History()
    history.add(0.0, {("n_total", "a"): 5.0})
    history.add(1.0, {("m_total",): 1.0})
    assert history.grown("m_total") == {("m_total",): 0.0}


def metrics(received: int, delivered: int, dead: int) -> str:
    return "\n".join(
        (
            "# TYPE smartcity_bridge_received counter",
            f'smartcity_bridge_received_total{{stream="gps"}} {received}',
            f'smartcity_bridge_received_total{{stream="status"}} {received}',
            "# TYPE smartcity_bridge_delivered counter",
            f'smartcity_bridge_delivered_total{{stream="gps"}} {delivered}',
            "# TYPE smartcity_bridge_dead_lettered counter",
            f'smartcity_bridge_dead_lettered_total{{stream="gps",reason="checksum_invalid"}} {dead}',
            "# TYPE smartcity_bridge_in_flight gauge",
            'smartcity_bridge_in_flight{stream="gps"} 4',
            "# TYPE smartcity_bridge_device_to_bridge_seconds histogram",
            f'smartcity_bridge_device_to_bridge_seconds_bucket{{stream="gps",le="0.01"}} {received}',
            f'smartcity_bridge_device_to_bridge_seconds_bucket{{stream="gps",le="+Inf"}} {received}',
            f'smartcity_bridge_device_to_bridge_seconds_count{{stream="gps"}} {received}',
            f'smartcity_bridge_device_to_bridge_seconds_sum{{stream="gps"}} {received / 100}',
            "",
        )
    )


def watched_for_20_s() -> Histories:
    histories = Histories()
    for at in range(21):
        histories.bridge.add(float(at), read_samples(metrics(40 * at, 38 * at, 2 * at)))
        histories.lake.add(
            float(at), read_samples(f'# TYPE lake_rows counter\nlake_rows_total{{table="gps"}} {30 * at}\n')
        )
        histories.gateway.add(float(at), {("readings", "gps"): 41.0 * at})
    return histories


def test_the_document_has_rates_per_hop_latencies_and_dead_letters() -> None:
    shown = document(facts(), watched_for_20_s(), now=NOW, logs=None)
    json.dumps(shown, allow_nan=False)
    assert [hop["per_s"] for hop in shown["hops"]] == [41, 40, 38, 30, 30, None]
    assert shown["hops"][1]["streams"] == {"gps": 40}
    first, second, third = shown["latency"]
    assert (first["count"], first["streams"]["gps"]["count"], first["over_s"]) == (800, 800, 20)
    assert first["p50_s"] == pytest.approx(0.005)
    assert (second["count"], third["count"]) == (0, 0)
    (dead,) = shown["dead_letters"]
    assert dead == {
        "reason": "checksum_invalid", "meaning": Reason.CHECKSUM_INVALID.meaning, "count": 40, "per_s": 2.0,
    }  # fmt: skip
    numbers = {each["id"]: {one["name"]: one["value"] for one in each["numbers"]} for each in shown["parts"]}
    assert numbers["bridge"]["in flight"] == 4
    assert numbers["devices"]["pending"] == 2


def test_a_hop_into_a_part_that_is_down_has_no_rate() -> None:
    shown = document(facts(bridge=GONE), watched_for_20_s(), now=NOW, logs=None)
    assert [hop["per_s"] for hop in shown["hops"]][:2] == [41, None]


def letter(**changes: Any) -> Letter:
    headers = {
        "reason": b"checksum_invalid", "detail": b"RMC", "mqtt_topic": b"devices/car-1/gps",
        "bridgetime": b"2026-11-21", "properties": b'[["id","x"]]', "payload_sha256": b"0" * 64,
    } | changes.pop("headers", {})  # fmt: skip
    values = {"partition": 0, "offset": 7, "kafka_time": None, "device": "car-1", "payload": b"$GP"} | changes
    return Letter(headers=tuple(headers.items()), **values)


def test_a_letter_is_shown_whole_but_bounded() -> None:
    pairs = json.dumps([["n", "v" * 5_000]] * (LETTER_PROPERTIES_MAX + 3)).encode()
    shown = whole(letter(payload=b"\xff" * 10_000, headers={"properties": pairs, "detail": b"<b>" + b"x" * 9_000}))
    assert shown["hex"] == "ff" * LETTER_SHOWN_BYTES_MAX
    assert (shown["bytes"], shown["stream"], shown["is_whole"]) == (10_000, "gps", False)
    assert (len(shown["properties"]), shown["properties_left_out"]) == (LETTER_PROPERTIES_MAX, 3)
    assert max(len(text) for pair in shown["properties"] for text in pair) <= 1_000
    assert len(shown["detail"]) <= 1_000
    assert shown["meaning"] == Reason.CHECKSUM_INVALID.meaning


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["reason", "detail", "mqtt_topic", "properties", "bridgetime"]), st.binary()))
def test_a_letter_of_a_foreign_producer_is_shown_too(headers: dict[str, bytes]) -> None:
    json.dumps(whole(letter(headers=headers)))
    json.dumps(whole(Letter(partition=0, offset=0, kafka_time=None, device=None, headers=(), payload=b"")))


def test_the_shelf_keeps_the_latest_of_each_reason() -> None:
    shelf = Shelf()
    shelf.put([letter(offset=0, headers={"reason": b"too_large", "bridgetime": b"2026-11-20"})])
    shelf.put([letter(offset=at) for at in range(1, 100)])
    first, second = shelf.shown()
    assert (first["reason"], second["reason"]) == ("checksum_invalid", "too_large")
    assert [each["offset"] for each in first["letters"]] == list(range(99, 99 - LETTERS_OF_A_REASON_MAX, -1))
    assert [each["offset"] for each in second["letters"]] == [0]


def test_invented_reasons_share_one_place() -> None:
    shelf = Shelf()
    shelf.put([letter(offset=at, headers={"reason": str(at).encode()}) for at in range(1_000)])
    assert len(shelf.shown()) == 33
    assert len(next(each for each in shelf.shown() if each["reason"] == "other")["letters"]) == LETTERS_OF_A_REASON_MAX
