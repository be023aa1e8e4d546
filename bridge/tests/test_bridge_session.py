"""Packets out of the read buffer, and acknowledgements into one write."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from smartcity.bridge.publish import Publish
from smartcity.bridge.session import Session


def packet(first: int, body: bytes) -> bytes:
    length = len(body)
    size = bytearray()
    while True:
        length, low = divmod(length, 128)
        size.append(low | (0x80 if length else 0))
        if not length:
            return bytes((first, *size)) + body


def publish(topic: bytes, packet_id: int, payload: bytes) -> bytes:
    return packet(0x32, len(topic).to_bytes(2) + topic + packet_id.to_bytes(2) + b"\x00" + payload)


PINGRESP = b"\xd0\x00"


class Wire:
    """A session on one end of a socket pair."""

    def __init__(self) -> None:
        self.session: Any = Session(
            CallbackAPIVersion.VERSION2, client_id="x", protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
        )
        self.got: list[Publish] = []
        self.reads = 0
        self.session.received = self.got.append
        self.session.reading = self._count
        self.session._sock, self.gateway = socket.socketpair()
        self.session._sock.setblocking(False)
        self.gateway.settimeout(2)

    def _count(self) -> None:
        self.reads += 1

    def feed(self, data: bytes) -> MQTTErrorCode:
        self.gateway.sendall(data)
        return self.session.loop_read()

    def close(self) -> None:
        self.gateway.close()
        if self.session._sock is not None:
            self.session._sock.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


def test_one_read_takes_every_packet_and_paho_gets_the_others(wire: Wire) -> None:
    wire.session._ping_t = 1.0
    assert wire.feed(publish(b"a", 1, b"x") + PINGRESP + publish(b"b", 2, b"y" * 300)) == 0
    assert [(one.topic, one.packet_id, len(one.payload)) for one in wire.got] == [(b"a", 1, 1), (b"b", 2, 300)]
    assert (wire.session._ping_t, wire.reads) == (0.0, 1)


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=6), st.data())
def test_packets_may_be_cut_anywhere(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(publish(b"t", number + 1, payload) + PINGRESP for number, payload in enumerate(payloads))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    wire = Wire()
    try:
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            if end > start:
                assert wire.feed(stream[start:end]) == 0
        assert [one.payload for one in wire.got] == payloads
    finally:
        wire.close()


def test_a_connection_starts_without_the_rest_of_the_one_before(wire: Wire) -> None:
    wire.feed(publish(b"a", 1, b"x" * 50)[:20])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        wire.session.connect_async("127.0.0.1", listener.getsockname()[1])
        wire.session.reconnect()
        peer, _ = listener.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(publish(b"b", 2, b"y"))
            wire.session._sock.setblocking(True)
            wire.session.loop_read()
    assert [one.topic for one in wire.got] == [b"b"]


@pytest.mark.parametrize(
    "data",
    [
        packet(0x36, b"\x00\x01a\x00\x01\x00"),  # QoS 3
        packet(0x34, b"\x00\x01a\x00\x01\x00"),  # QoS 2
        packet(0x32, b"\x00\x09a"),
        b"\x32\xff\xff\xff\xff\x01",
        b"\x00\x00",  # No such packet type.
    ],
)
def test_what_breaks_the_protocol_ends_the_connection(wire: Wire, data: bytes) -> None:
    lost: list[Any] = []
    wire.session.on_disconnect = lambda *arguments: lost.append(arguments)
    wire.feed(data)
    assert (wire.got, wire.session._sock, len(lost)) == ([], None, 1)


def test_a_closed_connection_is_seen(wire: Wire) -> None:
    wire.gateway.shutdown(socket.SHUT_WR)
    assert wire.session.loop_read() == MQTTErrorCode.MQTT_ERR_CONN_LOST
    assert wire.session._sock is None


def test_acknowledgements_leave_in_one_write_and_in_order(wire: Wire) -> None:
    assert wire.session.acknowledge([1, 65_535, 2]) == 0
    assert wire.gateway.recv(100) == b"\x40\x02\x00\x01\x40\x02\xff\xff\x40\x02\x00\x02"
