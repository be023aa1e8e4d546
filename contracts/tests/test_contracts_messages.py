"""Topics, receipts, status, fields: what travels beside the readings."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartcity.contracts.fields import Kind, columns, nullable, required
from smartcity.contracts.limits import (
    DEAD_LETTER_RECORD_BYTES_MAX,
    DEVICE_NAME_PATTERN,
    MQTT_PACKET_BYTES_MAX,
    RECEIPT_RANGES_MAX,
    STREAM_RECORD_BYTES_MAX,
)
from smartcity.contracts.reasons import Reason
from smartcity.contracts.receipts import ReceiptError, coalesce, decode_receipt, encode_receipts
from smartcity.contracts.status import Status, StatusError, decode_status
from smartcity.contracts.streams import STREAMS, WEATHER, Stream
from smartcity.contracts.tables import dead_letter_columns, frame_key, lake_columns
from smartcity.contracts.topics import (
    KAFKA_TOPICS,
    parse_device_topic,
    reading_topic,
    receipt_topic,
    status_topic,
    stream_of_topic,
)

BOOT = "0123456789abcdef"
devices = st.from_regex(DEVICE_NAME_PATTERN, fullmatch=True)
boots = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
spans = st.tuples(st.integers(1, 10**9), st.integers(0, 10**6)).map(lambda pair: (pair[0], sum(pair)))


# Topics


@given(devices, st.sampled_from(STREAMS))
def test_a_reading_topic_leads_back_to_device_and_stream(device: str, stream: Stream) -> None:
    assert stream_of_topic(reading_topic(device, stream)) == (device, stream)


@given(devices)
def test_status_is_of_the_device_but_no_stream(device: str) -> None:
    assert parse_device_topic(status_topic(device)) == (device, "status")
    assert stream_of_topic(status_topic(device)) is None


@given(devices)
def test_receipts_lie_outside_what_the_bridge_hears(device: str) -> None:
    assert parse_device_topic(receipt_topic(device)) is None
    assert not receipt_topic(device).startswith("devices/")


@pytest.mark.parametrize(
    "topic", ["devices/a/b/gps", "devices//gps", "devices/A/gps", f"devices/{'a' * 33}/gps", "devices/a/gps\n", "gps"]
)
def test_other_topics_belong_to_no_device(topic: str) -> None:
    assert stream_of_topic(topic) is None


def test_sizes_nest_and_reach_kafka() -> None:
    assert MQTT_PACKET_BYTES_MAX < STREAM_RECORD_BYTES_MAX < DEAD_LETTER_RECORD_BYTES_MAX
    limits = {topic.name: int(topic.configs()["max.message.bytes"]) for topic in KAFKA_TOPICS}
    assert limits.pop("dead_letters") == DEAD_LETTER_RECORD_BYTES_MAX
    assert limits == {stream.kafka_topic: STREAM_RECORD_BYTES_MAX for stream in STREAMS}


# Receipts


@given(st.lists(st.integers(1, 200)))
def test_coalesced_ranges_hold_exactly_the_sequences(sequences: list[int]) -> None:
    ranges = coalesce(sequences)
    assert [n for first, last in ranges for n in range(first, last + 1)] == sorted(set(sequences))
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(ranges))


@given(st.dictionaries(boots, st.lists(spans, min_size=1, max_size=20), max_size=5))
def test_receipts_read_back_as_they_were(confirmed: dict[str, list[tuple[int, int]]]) -> None:
    read: dict[str, list[tuple[int, int]]] = {}
    for payload in encode_receipts(confirmed):
        for boot, ranges in decode_receipt(payload).items():
            read.setdefault(boot, []).extend(ranges)
    assert read == confirmed


def test_long_receipts_are_split() -> None:
    many = [(2 * n, 2 * n) for n in range(1, 2 * RECEIPT_RANGES_MAX + 2)]
    parts = [decode_receipt(payload) for payload in encode_receipts({BOOT: many})]
    assert [len(part[BOOT]) for part in parts] == [RECEIPT_RANGES_MAX, RECEIPT_RANGES_MAX, 1]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"a": 1}',
        b'{"a": [1]}',
        b'{"a": [[1]]}',
        b'{"a": [[2, 1]]}',
        b'{"a": [[0, 1]]}',
        b'{"a": [["1", "2"]]}',
    ],
)
def test_what_is_no_receipt_is_refused(payload: bytes) -> None:
    with pytest.raises(ReceiptError):
        decode_receipt(payload)


# Status

statuses = st.builds(
    Status,
    state=st.sampled_from(["online", "offline"]),
    boot=boots,
    sequence=st.integers(0),
    pending=st.integers(0),
    refused=st.integers(0),
    dropped=st.integers(0),
    time=st.just("") | st.just("2026-11-21T08:00:00.000000Z"),
)


@given(statuses)
def test_status_reads_back_as_it_was(status: Status) -> None:
    assert decode_status(status.encode()) == status


def test_status_of_a_newer_device_is_understood() -> None:
    payload = b'{"state":"online","boot":"0123456789abcdef","sequence":1,"battery":0.5}'
    assert decode_status(payload) == Status(state="online", boot=BOOT, sequence=1)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'"online"',
        b'{"state":"online"}',
        b'{"state":"asleep","boot":"0","sequence":1}',
        b'{"state":"online","boot":0,"sequence":1}',
        b'{"state":"online","boot":"0","sequence":"1"}',
        b'{"state":"online","boot":"0","sequence":1,"pending":-1}',
    ],
)
def test_what_is_no_status_is_refused(payload: bytes) -> None:
    with pytest.raises(StatusError):
        decode_status(payload)


# Fields, tables, reasons


def test_columns_read_kind_null_and_rules() -> None:
    found = {column.name: column for column in columns(WEATHER.contract)}
    assert found["temperature"].kind is Kind.NUMBER
    assert found["temperature"].rules.unit == "°C"
    assert not found["temperature"].nullable
    assert found["pressure"].nullable
    assert found["timestamp"].kind is Kind.TIMESTAMP


def test_a_field_without_rules_or_with_a_strange_type_is_named() -> None:
    @dataclass
    class Bare:
        speed: float

    @dataclass
    class Strange:
        where: str = required("Where")
        speed: complex | None = nullable("Speed")

    with pytest.raises(TypeError, match=r"Bare\.speed has no rules"):
        columns(Bare)
    with pytest.raises(TypeError, match=r"Strange\.speed has the type"):
        columns(Strange)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_lake_columns_have_a_key_a_time_and_no_double(stream: Stream) -> None:
    names = [column.name for column in lake_columns(stream)]
    assert names[:3] == ["id", "device_id", "timestamp"]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


def test_every_number_of_a_stream_is_bounded_or_says_why() -> None:
    unbounded = [
        f"{stream.name}.{column.name}"
        for stream in STREAMS
        for column in columns(stream.contract)
        if column.kind in (Kind.NUMBER, Kind.INTEGER) and (column.rules.minimum is None or column.rules.maximum is None)
    ]
    # A frame's size is bounded by the packet's.
    assert unbounded == ["camera.frame_bytes"]


def test_reasons_are_codes_with_a_meaning() -> None:
    assert Reason("checksum_invalid") is Reason.CHECKSUM_INVALID
    assert str(Reason.TOO_LARGE) == Reason.TOO_LARGE.value == "too_large"
    assert all(reason.meaning.endswith(".") for reason in Reason)
    width = next(column.rules.length_max for column in dead_letter_columns() if column.name == "reason")
    assert width is not None
    assert all(len(reason) <= width for reason in Reason)


def test_frames_spread_over_folders() -> None:
    assert frame_key("ab" * 32) == f"frames/ab/{'ab' * 32}.jpg"
