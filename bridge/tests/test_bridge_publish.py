"""The PUBLISH packet, against paho's own encoder and decoder."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt._packet import decode_publish
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from smartcity.bridge.publish import Publish, parse_publish, user_properties
from smartcity.contracts.mqtt import MalformedPacketError


def parsed(first: int, body: bytes, *, with_properties: bool = True) -> tuple[Publish, Any]:
    """Out of the midst of a buffer, with its user properties."""
    publish = parse_publish(first, b"before" + body + b"after", 6, 6 + len(body), with_properties=with_properties)
    return publish, user_properties(publish.properties)


TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=200)


@given(
    qos=st.sampled_from([0, 1]),
    retain=st.booleans(),
    packet_id=st.integers(1, 65_535),
    topic=TEXT,
    pairs=st.lists(st.tuples(TEXT, TEXT), max_size=8),
    others=st.booleans(),
    payload=st.binary(max_size=300),
)
def test_it_reads_what_paho_writes(
    *, qos: int, retain: bool, packet_id: int, topic: str, pairs: list[tuple[str, str]], others: bool, payload: bytes
) -> None:
    properties: Any = Properties(PacketTypes.PUBLISH)
    if pairs:
        properties.UserProperty = pairs
    if others:
        properties.ContentType = "text/plain"
        properties.CorrelationData = b"\x26\x00"
        properties.MessageExpiryInterval = 0x26262626
        properties.PayloadFormatIndicator = 1
        properties.SubscriptionIdentifier = 300
        properties.TopicAlias = 0x2626
    encoded = topic.encode()
    body = len(encoded).to_bytes(2) + encoded + (packet_id.to_bytes(2) if qos else b"") + properties.pack() + payload
    first = 0x30 | qos << 1 | retain
    publish, read = parsed(first, body)
    found = (publish.topic, publish.qos, publish.retain, publish.packet_id, read, publish.payload)
    assert found == (encoded, qos, retain, packet_id if qos else 0, tuple(pairs), payload)
    assert decode_publish(first, body, MQTTProtocolVersion.MQTTv5).payload == payload


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"\x00\x05ab",
        b"\x00\x01a",
        b"\x00\x01a\x00",
        b"\x00\x01a\x00\x01\x80",
        b"\x00\x01a\x00\x01\x80\x80\x80\x80\x01",
        b"\x00\x01a\x00\x01\x05\x01",
        b"\x00\x01a\x00\x01\x02\x11\x00",
        b"\x00\x01a\x00\x01\x03\x26\x00\x09",
        b"\x00\x01a\x00\x01\x02\x02\x00xxxx",
    ],
)
def test_a_packet_that_breaks_the_protocol_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedPacketError):
        parsed(0x32, body)


@given(st.integers(0x30, 0x3F), st.binary(max_size=80))
def test_any_bytes_are_read_or_malformed(first: int, body: bytes) -> None:
    try:
        publish = parsed(first, body)[0]
    except MalformedPacketError:
        return
    assert body.endswith(publish.payload)


def test_text_that_is_not_utf_8_is_kept_as_far_as_it_can_be() -> None:
    publish, read = parsed(0x30, b"\x00\x02a\xff\x07\x26\x00\x01\xfe\x00\x01bpayload")
    assert (publish.topic, read, publish.payload) == (b"a\xff", (("�", "b"),), b"payload")


@given(qos=st.sampled_from([0, 1]), packet_id=st.integers(1, 65_535), topic=TEXT, payload=st.binary(max_size=300))
def test_mqtt_3_1_1_has_no_properties(*, qos: int, packet_id: int, topic: str, payload: bytes) -> None:
    encoded = topic.encode()
    body = len(encoded).to_bytes(2) + encoded + (packet_id.to_bytes(2) if qos else b"") + payload
    publish, read = parsed(0x30 | qos << 1, body, with_properties=False)
    assert (publish.topic, publish.packet_id) == (encoded, packet_id if qos else 0)
    assert (publish.payload, read) == (payload, ())
