"""The short way gives what the thorough way gives, byte for byte, or leaves the decision to it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartcity.bridge.examine import thorough_record
from smartcity.bridge.express import express_record
from smartcity.bridge.message import Message, Record
from smartcity.bridge.publish import user_properties
from smartcity.bridge.route import make_route
from smartcity.bridge.stamp import read_stamp
from smartcity.contracts.envelope import read_envelope
from smartcity.contracts.streams import STREAMS

NAMES = [stream.name for stream in STREAMS]


def parts(record: Record) -> Any:
    """Everything that goes to Kafka; JSON as its members with the exact text of every number."""

    def document(text: bytes) -> Any:
        return json.loads(
            text, parse_float=lambda digits: float(digits).hex(), parse_int=lambda digits: ("int", digits)
        )

    headers = [(name, document(value) if name == "reading" else value) for name, value in record.headers.items()]
    value = document(record.value) if record.value.startswith(b"{") else record.value
    return record.topic, record.key, value, headers, record.reason, record.identity, record.sent_at


def express(message: Message) -> Record | None:
    return None if message.stamp is None else express_record(message, message.stamp)


def thorough(message: Message) -> Record:
    return thorough_record(message, lambda: pytest.fail("a stamped message has an id"))


@pytest.mark.parametrize("name", NAMES)
def test_a_good_reading_of_every_stream_goes_the_short_way(samples: Any, name: str) -> None:
    message = samples.message(name)
    record = express(message)
    assert record is not None
    assert parts(record) == parts(thorough(message))


def test_a_content_type_does_not_hinder_it(samples: Any) -> None:
    properties = samples.message("weather").property_bytes
    content_type = b"\x03\x00\x10application/json"
    claimed = make_route("devices/dev-1/weather").claimed
    assert read_stamp(content_type + properties, claimed) == read_stamp(properties, claimed) is not None


VALUE = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=130)
    | st.sampled_from([0, -0.0, 100, 2**53, "rain", "fire", "dev-1", "dev-2", [], ["x"], {}, {"a": 1}])
)  # fmt: skip


@given(st.sampled_from(["weather", "emergency"]), st.data())
def test_any_document_is_the_same_on_both_ways(samples: Any, name: str, data: st.DataObject) -> None:
    document = json.loads(samples.payloads[name])
    keys = st.sampled_from([*document, "id", "device_id", "timestamp", "colour"])
    document |= data.draw(st.dictionaries(keys, VALUE, max_size=3))
    for key in data.draw(st.lists(keys, max_size=2)):
        document.pop(key, None)
    message = samples.message(name, payload=json.dumps(document).encode())
    record = express(message)
    if record is not None:
        assert parts(record) == parts(thorough(message))


@given(st.sampled_from(["gps", "vehicle", "camera"]), st.data())
def test_any_metadata_is_the_same_on_both_ways(samples: Any, name: str, data: st.DataObject) -> None:
    keys = st.sampled_from(["make", "year", "latitude", "vehicle_type", "vehicle_count", "device_id", "speed", "id"])
    metadata = json.dumps(data.draw(st.dictionaries(keys, VALUE, max_size=4)))
    pairs = tuple(pair for pair in samples.properties(name) if pair[0] != "metadata")
    message = samples.message(name, properties=(*pairs, ("metadata", metadata)))
    record = express(message)
    if record is not None:
        assert parts(record) == parts(thorough(message))


@pytest.mark.parametrize("payload", [b'{"humidity": 1e999}', b"", b"[]", b"junk", b'{"a": "\\ud800"}'])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_wrong_is_left_to_the_thorough_way(samples: Any, name: str, payload: bytes) -> None:
    assert express(samples.message(name, payload=payload)) is None


def test_event_times_are_left_to_it_too(samples: Any) -> None:
    second = timedelta(seconds=1)
    assert express(samples.message("gps", properties=samples.properties("gps", time=samples.now + 300 * second)))
    for time in (samples.now + 301 * second, samples.now.replace(year=1999)):
        assert express(samples.message("gps", properties=samples.properties("gps", time=time))) is None
    wrong = [(key, "2026-02-30T00:00:00.000000Z" if key == "time" else text) for key, text in samples.properties("gps")]
    assert express(samples.message("gps", properties=tuple(wrong))) is None


def test_a_stamp_is_of_the_topic_s_device_and_stream_only(samples: Any) -> None:
    properties = samples.message("gps").property_bytes
    assert read_stamp(properties, make_route("devices/dev-1/gps").claimed) is not None
    for topic in ("devices/dev-2/gps", "devices/dev-1/obd", "devices/dev-11/gps", "devices/dev-1/colour"):
        assert read_stamp(properties, make_route(topic).claimed) is None


@given(st.sampled_from(NAMES), st.data())
def test_a_stamp_says_what_the_envelope_says(samples: Any, name: str, data: st.DataObject) -> None:
    """Whatever a byte is changed to: a stamp means well-formed properties, read alike by the general reader."""
    properties = bytearray(samples.message(name).property_bytes)
    for _ in range(data.draw(st.integers(0, 2))):
        properties[data.draw(st.integers(0, len(properties) - 1))] = data.draw(st.integers(0, 255))
    stamp = read_stamp(bytes(properties), samples.message(name).route.claimed)
    if stamp is None:
        return
    found = dict(user_properties(bytes(properties)))
    assert (found["id"].encode(), found["time"].encode(), found["senttime"].encode()) == (
        stamp.id, stamp.time, stamp.sent_time
    )  # fmt: skip
    assert found["source"] == "/devices/dev-1"
    metadata = found.get("metadata")
    assert (stamp.metadata or b"").decode(errors="replace") == (metadata or "")
    try:
        envelope = read_envelope(found.items())
    except ValueError:  # A month 13, or so: the short way refuses to go on.
        return
    assert envelope is not None
    assert (envelope.boot.encode(), str(envelope.sequence).encode()) == (stamp.boot, stamp.sequence)
