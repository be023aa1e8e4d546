"""A message's passage to its record or dead letter, without a broker."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartcity.bridge import dead_letters, examine
from smartcity.bridge.dead_letters import dead_letter
from smartcity.bridge.errors import Reject
from smartcity.bridge.examine import examine as examined
from smartcity.bridge.message import Record
from smartcity.bridge.record import encode_reading
from smartcity.contracts.fields import columns
from smartcity.contracts.limits import DEAD_LETTER_RECORD_BYTES_MAX, DETAIL_CHARACTERS_MAX
from smartcity.contracts.reasons import Reason
from smartcity.contracts.streams import STREAMS, Weather

FOREIGN = "foreign-" + "a" * 32
NAMES = [stream.name for stream in STREAMS]


def record_of(message: Any) -> Record:
    record = examined(message, lambda: FOREIGN)
    assert record is not None
    return record


def headers(record: Record) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_good_reading_becomes_a_record_of_its_stream(samples: Any, name: str) -> None:
    record, stream = record_of(samples.message(name)), samples.stream(name)
    assert (record.topic, record.key, record.reason) == (stream.kafka_topic, b"dev-1", None)
    assert record.identity == ("dev-1", samples.boot, 1)
    document = json.loads(headers(record)["reading"] if name == "camera" else record.value)
    assert set(document) == {column.name for column in columns(stream.contract)}
    assert document["timestamp"] == "2026-11-21T08:00:00.000000Z"


def test_a_foreign_message_gets_an_id_and_no_receipt(samples: Any) -> None:
    record = record_of(samples.message("gps", properties=()))
    assert record.identity is None
    assert json.loads(record.value)["id"] == FOREIGN
    assert headers(record)["ce_id"] == FOREIGN
    assert headers(record)["ce_source"] == "/devices/dev-1"


def test_retained_and_status_need_no_record(samples: Any) -> None:
    assert not samples.message("gps").ignored
    assert samples.message("gps", retain=True).ignored
    assert samples.message("gps", topic="devices/dev-1/status", payload=b"{}").ignored


@pytest.mark.parametrize(
    ("changes", "reason", "receipt"),
    [
        ({"topic": "devices/dev-1/colour"}, Reason.TOPIC_UNKNOWN, True),
        ({"topic": "devices/dev-1/gps/x"}, Reason.TOPIC_UNKNOWN, False),
        ({"topic": "devices/Dev_1/gps"}, Reason.TOPIC_UNKNOWN, False),
        ({"topic": "devices/dev-2/gps"}, Reason.ENVELOPE_MISMATCH, False),
        ({"topic": "devices/dev-1/obd"}, Reason.ENVELOPE_MISMATCH, True),
        ({"properties": (("id", "x"),)}, Reason.ENVELOPE_INVALID, False),
        ({"payload": b"junk"}, Reason.PAYLOAD_UNDECODABLE, True),
        ({"payload": b"$GPGGA,1*00\r\n"}, Reason.CHECKSUM_INVALID, True),
    ],
)
def test_what_is_refused_is_kept_with_its_reason(
    samples: Any, changes: dict[str, Any], reason: Reason, receipt: bool
) -> None:
    message = samples.message("gps", **changes)
    record = record_of(message)
    assert (record.topic, record.reason, record.value) == ("dead_letters", reason, message.payload)
    found = headers(record)
    assert (found["reason"], found["mqtt_topic"]) == (reason.value, message.topic)
    assert found["payload_sha256"] == hashlib.sha256(message.payload).hexdigest()
    assert [tuple(pair) for pair in json.loads(found["properties"])] == list(message.properties)
    assert (record.identity is not None) is receipt


def test_an_invalid_envelope_earns_a_receipt_if_id_and_source_are_readable(samples: Any) -> None:
    pairs = [(name, "tomorrow" if name == "time" else value) for name, value in samples.properties("gps")]
    record = record_of(samples.message("gps", properties=tuple(pairs)))
    assert (record.reason, record.identity) == (Reason.ENVELOPE_INVALID, ("dev-1", samples.boot, 1))
    assert headers(record)["ce_time"] == "tomorrow"


def test_nobody_confirms_another_s_readings(samples: Any) -> None:
    for changes in (
        {"topic": "devices/dev-2/colour"},
        {"topic": "devices/dev-2/gps", "payload": b"junk"},
        {"topic": "devices/dev-1/gps", "properties": samples.properties("gps", device="dev-2")},
    ):
        assert record_of(samples.message("gps", **changes)).identity is None


def test_contract_and_event_time_are_checked(samples: Any) -> None:
    weather = json.loads(samples.payloads["weather"]) | {"humidity": 101}
    record = record_of(samples.message("weather", payload=json.dumps(weather).encode()))
    assert record.reason is Reason.CONTRACT_VIOLATION
    assert headers(record)["detail"] == "humidity is 101.0, not within 0 to 100"
    ahead = samples.properties("gps", time=samples.now + timedelta(seconds=301))
    assert record_of(samples.message("gps", properties=ahead)).reason is Reason.EVENT_TIME_AHEAD


def test_a_record_beyond_its_topic_s_limit_is_a_dead_letter(samples: Any) -> None:
    frame = samples.payloads["camera"]
    large = frame[:-2] + b"\x55" * (2 * 1024 * 1024) + frame[-2:]
    record = record_of(samples.message("camera", payload=large))
    assert record.reason is Reason.TOO_LARGE
    assert record.bytes_estimated <= DEAD_LETTER_RECORD_BYTES_MAX


def test_a_defect_is_a_dead_letter_too(samples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: Any) -> None:
        raise ZeroDivisionError("oops")

    for name in ("express_record", "check"):
        with monkeypatch.context() as patched:
            patched.setattr(examine, name, defect)
            record = record_of(samples.message("gps", stamped=name == "express_record"))
        assert record.reason is Reason.PAYLOAD_UNDECODABLE
        assert "ZeroDivisionError" in headers(record)["detail"]


def test_a_dead_letter_always_fits(samples: Any) -> None:
    huge = samples.message(
        "gps",
        payload=b"x" * (5 * 1024 * 1024),
        properties=(("id", "i" * 60_000), *(("\x01" * 60_000, "ü" * 30_000) for _ in range(20))),
        topic="devices/" + "y" * 60_000,
    )
    record = dead_letter(huge, Reject(Reason.TOPIC_UNKNOWN, "z" * 5_000))
    assert record.bytes_estimated <= DEAD_LETTER_RECORD_BYTES_MAX
    found = headers(record)
    assert len(found["detail"]) == DETAIL_CHARACTERS_MAX
    assert "5242880 bytes are cut to 2097152" in found["detail"]
    assert "user properties are left out" in found["detail"]
    assert found["payload_sha256"] == hashlib.sha256(huge.payload).hexdigest()
    assert json.loads(found["properties"])
    assert len(record.value) == dead_letters.VALUE_BYTES_MAX


@given(
    st.sampled_from(["gps", "obd", "frame", "weather", "emergency", "x"]),
    st.binary(max_size=60) | st.dictionaries(st.text(), st.none() | st.floats() | st.text()).map(
        lambda document: json.dumps(document).encode()
    ),
    st.lists(st.tuples(st.sampled_from(["specversion", "id", "source", "time", "metadata"]) | st.text(), st.text())),
)  # fmt: skip
def test_any_message_has_a_record(samples: Any, leaf: str, payload: bytes, pairs: list[tuple[str, str]]) -> None:
    message = samples.message("gps", topic=f"devices/dev-1/{leaf}", payload=payload, properties=tuple(pairs))
    record = record_of(message)
    assert record.reason is not None
    assert record.value == payload
    assert "a defect of the bridge" not in headers(record)["detail"]


@given(st.floats(0, 100), st.floats(-90, 90), st.text(max_size=120))
def test_json_keeps_every_bit_and_character(samples: Any, humidity: float, latitude: float, location: str) -> None:
    reading = Weather(
        id=FOREIGN, device_id="dev-1", timestamp=samples.now, location=location, latitude=latitude, longitude=0.0,
        temperature=-0.0, condition="fog", precipitation=5e-324, wind_speed=0.1, humidity=humidity,
        air_quality_index=1.0,
    )  # fmt: skip
    document = json.loads(encode_reading(reading))
    assert (document["humidity"].hex(), document["latitude"].hex()) == (humidity.hex(), latitude.hex())
    assert (document["temperature"].hex(), document["precipitation"]) == ((-0.0).hex(), 5e-324)
    assert document["location"] == location
    assert document["pressure"] is None
