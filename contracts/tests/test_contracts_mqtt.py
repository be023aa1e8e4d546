"""What all hand-written MQTT has in common, against paho's encoder where there is one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties, VariableByteIntegers

from smartcity.contracts import mqtt
from smartcity.contracts.mqtt import MalformedPacketError

texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60)


@given(st.integers(0, 268_435_455))
def test_a_variable_byte_integer_is_pahos(value: int) -> None:
    ours = mqtt.varint(value)
    assert ours == VariableByteIntegers.encode(value)  # type: ignore[no-untyped-call]
    assert mqtt.read_varint(b"x" + ours + b"x", 1, len(ours) + 1) == (value, len(ours) + 1)
    assert mqtt.find_packet(b"\x30" + ours, 0, len(ours) + 1) == (len(ours) + 1, len(ours) + 1 + value)
    assert mqtt.find_packet(b"\x30" + ours, 0, len(ours)) is None
    with pytest.raises(MalformedPacketError):
        mqtt.read_varint(ours, 0, len(ours) - 1)


def test_a_length_of_five_bytes_is_none() -> None:
    for read in (mqtt.find_packet, mqtt.read_varint):
        with pytest.raises(MalformedPacketError):
            read(b"\xff\xff\xff\xff\xff\x01", 0, 6)


@given(st.lists(st.tuples(texts, texts), max_size=4), texts, st.integers(1, 65_535))
def test_properties_split_as_paho_writes_them(pairs: list[tuple[str, str]], content: str, alias: int) -> None:
    written: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    written.ContentType, written.TopicAlias, written.PayloadFormatIndicator = content, alias, 1
    if pairs:
        written.UserProperty = pairs
    block: bytes = written.pack()
    begin, end = mqtt.property_block(block, 0, len(block))
    assert end == len(block)
    found = mqtt.split_properties(block[begin:end])
    assert dict(found)[mqtt.CONTENT_TYPE] == mqtt.string(content)
    assert dict(found)[mqtt.TOPIC_ALIAS] == alias.to_bytes(2)
    users = [b"\x26" + value for kind, value in found if kind == mqtt.USER_PROPERTY]
    assert users == [mqtt.user_property(name, value) for name, value in pairs]
    for cut in range(begin, end):
        with pytest.raises(MalformedPacketError):
            mqtt.property_block(block, 0, cut)


@given(st.binary(max_size=40))
def test_rubbish_is_malformed_or_whole(data: bytes) -> None:
    try:
        found = mqtt.split_properties(data)
    except MalformedPacketError:
        return
    assert b"".join(bytes((kind,)) + value for kind, value in found) == data


def test_a_string_that_mqtt_has_no_room_for_is_refused() -> None:
    assert len(mqtt.string("x" * 65_535)) == 65_537
    with pytest.raises(MalformedPacketError):
        mqtt.string("x" * 65_536)


@pytest.mark.parametrize("cut", [b"\x26\x00\x05ab", b"\x26\x00\x01a", b"\x03\x00", b"\x23\x01", b"\x02\0\0\0", b"\x0b"])
def test_a_property_that_ends_early_is_malformed(cut: bytes) -> None:
    with pytest.raises(MalformedPacketError):
        mqtt.split_properties(cut)
