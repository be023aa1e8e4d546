"""Readings of every stream from envelope, payload and metadata."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartcity.bridge.check import check
from smartcity.bridge.decode import decode_reading
from smartcity.bridge.decode.frame import decode_frame
from smartcity.bridge.errors import Reject
from smartcity.contracts.reasons import Reason
from smartcity.contracts.streams import STREAMS, Camera, Gps, Vehicle, Weather

RECEIVED = datetime(2026, 11, 21, 8, 0, 5, tzinfo=UTC)
NAMES = [stream.name for stream in STREAMS]


def decoded(samples: Any, name: str, **changes: Any) -> Any:
    values = {
        "stream": samples.stream(name),
        "envelope": samples.envelope(name),
        "device_id": "dev-1",
        "payload": samples.payloads[name],
        "metadata": samples.metadata(name),
        "received_at": RECEIVED,
    }
    return decode_reading(**(values | changes))


def refused(samples: Any, name: str, **changes: Any) -> Reject:
    with pytest.raises(Reject) as caught:
        decoded(samples, name, **changes)
    return caught.value


@pytest.mark.parametrize("name", NAMES)
def test_every_stream_decodes_to_its_contract_and_passes_the_check(samples: Any, name: str) -> None:
    reading = decoded(samples, name)
    assert type(reading) is samples.stream(name).contract
    assert (reading.id, reading.device_id, reading.timestamp) == (f"{samples.boot}.1", "dev-1", samples.now)
    check(reading, RECEIVED)
    assert decoded(samples, name) == reading


def test_metadata_supplies_what_the_payload_cannot(samples: Any) -> None:
    vehicle, gps = decoded(samples, "vehicle"), decoded(samples, "gps")
    assert isinstance(vehicle, Vehicle)
    assert isinstance(gps, Gps)
    assert (vehicle.make, vehicle.year, vehicle.latitude, vehicle.location) == ("Toyota", 2021, 43.5, None)
    assert (gps.vehicle_type, decoded(samples, "gps", metadata=None).vehicle_type) == ("car", None)


def test_metadata_cannot_replace_what_the_payload_says(samples: Any) -> None:
    assert decoded(samples, "vehicle", metadata='{"speed": 1, "frame_bytes": 3}').speed == 100.0
    assert decoded(samples, "camera", metadata='{"frame_bytes": 3}').frame_bytes == len(samples.payloads["camera"])


@pytest.mark.parametrize("metadata", ["", "{", "[]", "3", '{"a": NaN}', '{"make": "\\ud800"}', "[" * 5000])
def test_malformed_metadata_is_an_invalid_envelope(samples: Any, metadata: str) -> None:
    assert refused(samples, "vehicle", metadata=metadata).reason is Reason.ENVELOPE_INVALID


def test_a_frame_is_named_by_its_hash(samples: Any) -> None:
    reading = decoded(samples, "camera")
    assert isinstance(reading, Camera)
    sha256 = hashlib.sha256(samples.payloads["camera"]).hexdigest()
    assert (reading.frame_sha256, reading.snapshot) == (sha256, f"frames/{sha256[:2]}/{sha256}.jpg")
    assert (reading.frame_width, reading.frame_height) == (320, 240)


def test_frames_of_a_real_encoder_have_their_size() -> None:
    image = pytest.importorskip("PIL.Image")
    for progressive in (False, True):
        out = io.BytesIO()
        image.new("RGB", (321, 123), "red").save(out, "JPEG", progressive=progressive, comment=b"\xff\xc0\xff\xd9")
        assert decode_frame(out.getvalue()) == {"frame_width": 321, "frame_height": 123}


def test_a_damaged_frame_is_undecodable(samples: Any) -> None:
    whole = samples.payloads["camera"]
    for payload in (b"", whole[2:], whole[:-2], whole[:20] + b"\xff\xd9", whole.replace(b"\xff\xc0", b"\x00\xc0")):
        assert refused(samples, "camera", payload=payload).reason is Reason.PAYLOAD_UNDECODABLE


@given(st.data())
def test_any_damage_to_a_frame_is_decoded_or_refused(samples: Any, data: st.DataObject) -> None:
    payload = bytearray(samples.payloads["camera"])
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Reject):
        decode_frame(bytes(payload))


def test_whole_numbers_of_json_become_numbers(samples: Any) -> None:
    reading = decoded(samples, "weather")
    assert isinstance(reading, Weather)
    assert type(reading.wind_speed) is float
    assert (reading.wind_speed, reading.air_quality_index) == (27.0, 31.0)


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"[]", b"{", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": "\\ud800"}', b'{"a":' * 9999]
)
def test_what_is_not_a_json_object_is_undecodable(samples: Any, payload: bytes) -> None:
    assert refused(samples, "weather", payload=payload).reason is Reason.PAYLOAD_UNDECODABLE


def test_a_payload_or_metadata_that_names_another_device_is_a_mismatch(samples: Any) -> None:
    document = json.loads(samples.payloads["weather"])
    for claimed in ("dev-2", 7):
        payload = json.dumps(document | {"device_id": claimed}).encode()
        assert refused(samples, "weather", payload=payload).reason is Reason.ENVELOPE_MISMATCH
    assert refused(samples, "gps", metadata='{"device_id": "dev-2"}').reason is Reason.ENVELOPE_MISMATCH
    decoded(samples, "weather", payload=json.dumps(document | {"device_id": "dev-1"}).encode())


def test_the_envelope_s_time_counts(samples: Any) -> None:
    document = json.loads(samples.payloads["weather"]) | {"timestamp": "2001-01-01T00:00:00Z"}
    assert decoded(samples, "weather", payload=json.dumps(document).encode()).timestamp == samples.now


def test_a_foreign_message_takes_its_time_from_the_payload_or_the_reception(samples: Any) -> None:
    foreign = {"envelope": None, "foreign_id": "foreign-" + "0" * 32}
    assert decoded(samples, "gps", **foreign).timestamp == samples.now
    assert decoded(samples, "vehicle", **foreign).timestamp == RECEIVED
    document = json.loads(samples.payloads["weather"])
    assert decoded(samples, "weather", **foreign).timestamp == RECEIVED
    said = json.dumps(document | {"timestamp": "2026-11-21T09:00:00+02:00"}).encode()
    assert decoded(samples, "weather", payload=said, **foreign).timestamp == samples.now - timedelta(hours=1)
    for wrong in (1700000000, "yesterday", "2026-11-21T09:00:00"):
        payload = json.dumps(document | {"timestamp": wrong}).encode()
        assert refused(samples, "weather", payload=payload, **foreign).reason is Reason.CONTRACT_VIOLATION


def test_a_message_without_any_identity_is_a_mistake_of_the_caller(samples: Any) -> None:
    with pytest.raises(ValueError, match="foreign_id"):
        decoded(samples, "gps", envelope=None)
