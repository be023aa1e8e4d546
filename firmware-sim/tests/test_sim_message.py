"""A reading's packet: its envelope, and its exact size, compared with what paho writes."""

from __future__ import annotations

from datetime import UTC, datetime

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from smartcity.contracts.envelope import read_envelope
from smartcity.contracts.streams import STREAMS, VEHICLE
from smartcity.sim.message import Message, packet_bytes, reading_message
from smartcity.sim.reading import Reading, from_us, to_us

NOW = datetime(2026, 6, 1, 12, 0, 0, 1, tzinfo=UTC)


def on_the_wire(message: Message) -> int:
    """Size of the PUBLISH that paho makes of it."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = message.content_type
    if message.properties:
        properties.UserProperty = list(message.properties)
    client._sock = object()  # type: ignore[assignment]
    client._send_publish(1, message.topic.encode(), message.payload, 1, message.retain, False, None, properties)
    size = len(client._out_packet[0]["packet"])
    client._sock = None
    return size


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(STREAMS),
    st.sampled_from([0, 1, 60, 127, 128, 16_000, 16_383, 16_384, 2_097_151, 2_097_152]),
    st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0", min_codepoint=32), max_size=20_000),
)
def test_the_size_is_exact(stream: object, payload_bytes: int, metadata: str | None) -> None:
    reading = Reading(
        device_id="d-1",
        boot="0" * 16,
        sequence=12,
        stream=stream,  # type: ignore[arg-type]
        time=NOW,
        payload=bytes(payload_bytes),
        metadata=metadata,
    )
    message = reading_message(reading, NOW)
    assert packet_bytes(message) == on_the_wire(message)


def test_the_envelope_reads_back() -> None:
    reading = Reading(
        device_id="d-1",
        boot="0" * 16,
        sequence=12,
        stream=VEHICLE,
        time=datetime(2020, 1, 1, tzinfo=UTC),
        payload=b"41 0C",
        metadata='{"make":"Škoda"}',
    )
    message = reading_message(reading, NOW)
    assert message.topic == "devices/d-1/obd"
    assert message.content_type == VEHICLE.content_type
    assert dict(message.properties)["metadata"] == '{"make":"Škoda"}'
    envelope = read_envelope(message.properties)
    assert envelope == reading.envelope(NOW)
    assert list(message.properties[:-1]) == reading.envelope(NOW).properties()
    assert envelope is not None
    assert (envelope.time, envelope.sent_time) == (reading.time, NOW)


@pytest.mark.parametrize("time", [NOW, datetime(1970, 1, 1, tzinfo=UTC), datetime(2106, 2, 7, 6, 28, 15, 999_999, UTC)])
def test_times_are_stored_exactly(time: datetime) -> None:
    assert from_us(to_us(time)) == time
