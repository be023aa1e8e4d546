"""Hand-encoded packets against paho's encoder and decoder."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from smartcity.contracts import mqtt
from smartcity.sim.message import Message, packet_bytes
from smartcity.sim.transport import packets

LIMIT = 1024 * 1024
checked = settings(max_examples=60, deadline=None)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=90)
topics = st.text("abc/-é0", min_size=1, max_size=200)
messages = st.builds(
    Message,
    topic=topics,
    payload=st.binary(max_size=300) | st.binary(min_size=16_000, max_size=17_000),
    content_type=texts,
    properties=st.lists(st.tuples(st.sampled_from(["id", "time", "metadata", "ü"]), texts), max_size=5).map(tuple),
    retain=st.booleans(),
)
packet_ids = st.integers(1, 65_535)


class NoSocket:
    """paho builds no packet without a socket; it is never used."""

    def close(self) -> None:
        pass


def client(client_id: str = "d") -> Any:
    made: Any = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5)
    made._sock = NoSocket()
    made._packet_queue = lambda command, packet, *_rest: made.__dict__.setdefault("built", []).append(bytes(packet))
    return made


def properties(kind: int, **values: object) -> Any:
    made: Any = Properties(kind)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    return made


def of(message: Message) -> Any:
    values: dict[str, object] = {"ContentType": message.content_type}
    if message.properties:
        values["UserProperty"] = list(message.properties)
    return properties(PacketTypes.PUBLISH, **values)


def taken(packet: bytes) -> tuple[int, bytes]:
    (one,), rest = packets.split(packet, packet_bytes_max=LIMIT)
    assert rest == b""
    return one


@checked
@given(messages, packet_ids)
def test_a_publish_is_what_paho_writes_and_as_long_as_was_said(message: Message, packet_id: int) -> None:
    paho = client()
    paho._send_publish(
        packet_id, message.topic.encode(), message.payload, qos=1, retain=message.retain, properties=of(message)
    )
    ours = packets.publish_packet(packet_id, message)
    assert [ours] == paho.built
    assert len(ours) == packet_bytes(message)


@checked
@given(messages, packet_ids)
def test_paho_reads_our_publish_and_we_read_it_too(message: Message, packet_id: int) -> None:
    first, body = taken(packets.publish_packet(packet_id, message))
    assert packets.read_publish(first, body) == (packet_id, message.topic, message.payload)
    paho = client()
    seen: list[Any] = []
    paho.on_message = lambda _client, _data, found: seen.append(found)
    paho._in_packet |= {"command": first, "packet": bytearray(body), "remaining_length": len(body)}
    paho._handle_publish()
    (found,) = seen
    assert (found.topic, found.payload, found.retain) == (message.topic, message.payload, message.retain)
    assert found.properties.ContentType == message.content_type
    assert tuple(getattr(found.properties, "UserProperty", ())) == message.properties
    assert paho.built == [mqtt.acknowledgement(mqtt.PUBACK, packet_id)]


@checked
@given(st.text("abc-", min_size=1, max_size=32), st.integers(1, 65_535), st.integers(1, LIMIT), messages)
def test_a_connect_is_what_paho_writes(name: str, keepalive_s: int, packet_max: int, message: Message) -> None:
    will = Message(topic=message.topic, payload=message.payload, content_type=message.content_type, retain=True)
    paho = client(name)
    paho.will_set(
        will.topic,
        will.payload,
        qos=1,
        retain=True,
        properties=properties(PacketTypes.WILLMESSAGE, ContentType=will.content_type),
    )
    paho._clean_start = True
    paho._connect_properties = properties(PacketTypes.CONNECT, MaximumPacketSize=packet_max)
    paho._send_connect(keepalive_s)
    ours = packets.connect_packet(client_id=name, keepalive_s=keepalive_s, packet_bytes_max=packet_max, will=will)
    assert [ours] == paho.built


@checked
@given(topics)
def test_a_subscribe_is_what_paho_writes(topic: str) -> None:
    paho = client()
    _, packet_id = paho._send_subscribe(False, [(topic.encode(), SubscribeOptions(qos=1))], None)
    assert [packets.subscribe_packet(packet_id, topic)] == paho.built


def test_pingreq_and_disconnect_are_what_paho_writes() -> None:
    paho = client()
    paho._send_pingreq()
    paho._send_disconnect()
    assert paho.built[0] == mqtt.PINGREQ_PACKET
    assert paho.built[1] in (mqtt.DISCONNECT_PACKET, b"\xe0\x02\x00\x00")  # The long form says the same.


@checked
@given(
    st.sampled_from([0, 0x87]),
    st.none() | st.integers(1, 65_535),
    st.none() | st.integers(1, 2**28 - 1),
    st.none() | st.integers(0, 65_535),
    st.lists(st.tuples(texts, texts), max_size=3),
    texts,
)
def test_a_connack_with_any_properties_is_read(  # noqa: PLR0917 - Hypothesis fills them in.
    code: int,
    receive_max: int | None,
    packet_max: int | None,
    keepalive_s: int | None,
    pairs: list[tuple[str, str]],
    text: str,
) -> None:
    values = {
        "TopicAliasMaximum": 10,
        "AssignedClientIdentifier": text,
        "ReceiveMaximum": receive_max,
        "RetainAvailable": 1,
        "UserProperty": pairs or None,
        "MaximumPacketSize": packet_max,
        "ServerKeepAlive": keepalive_s,
        "SessionExpiryInterval": 7,
        "ReasonString": text,
    }
    given_values = {name: value for name, value in values.items() if value is not None}
    body = bytes([0, code]) + properties(PacketTypes.CONNACK, **given_values).pack()
    assert mqtt.read_connack(body) == mqtt.Connack(
        reason_code=code, receive_max=receive_max or 65_535, packet_bytes_max=packet_max, keepalive_s=keepalive_s
    )


@checked
@given(packet_ids, st.sampled_from([0, 0x10, 0x87, 0x95, 0x99]), texts)
def test_a_puback_in_each_of_its_forms_is_read(packet_id: int, code: int, text: str) -> None:
    short = struct.pack("!H", packet_id)
    assert packets.read_acknowledgement(short) == (packet_id, 0)
    assert packets.read_acknowledgement(short + bytes([code])) == (packet_id, code)
    long = short + bytes([code]) + properties(PacketTypes.PUBACK, ReasonString=text).pack()
    assert packets.read_acknowledgement(long) == (packet_id, code)
    assert mqtt.read_suback(short + b"\x00" + bytes([1, code])) == [1, code]


@checked
@given(st.lists(messages, max_size=4), st.lists(st.integers(0, 2_000), max_size=30))
def test_packets_are_whole_however_the_stream_is_cut(found: list[Message], cuts: list[int]) -> None:
    written = [packets.publish_packet(number + 1, message) for number, message in enumerate(found)]
    stream = b"".join(written)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    seen: list[tuple[int, bytes]] = []
    rest = b""
    for begin, end in itertools.pairwise(edges):
        some, rest = packets.split(rest + stream[begin:end], packet_bytes_max=LIMIT)
        seen += some
    assert rest == b""
    assert seen == [taken(packet) for packet in written]


@checked
@given(st.binary(max_size=60))
def test_bytes_that_are_no_mqtt_raise_nothing_else(data: bytes) -> None:
    try:
        for first, body in packets.split(data, packet_bytes_max=LIMIT)[0]:
            for read in (mqtt.read_connack, packets.read_acknowledgement, mqtt.read_suback):
                try:
                    read(body)
                except mqtt.MalformedPacketError:
                    continue
            packets.read_publish(first, body)
    except mqtt.MalformedPacketError:
        return


@pytest.mark.parametrize("data", [b"\x30\xff\xff\xff\xff\x01", b"\x30\xff\xff\x7f"])
def test_a_length_beyond_the_limit_ends_the_connection(data: bytes) -> None:
    with pytest.raises(mqtt.MalformedPacketError):
        packets.split(data, packet_bytes_max=LIMIT)
