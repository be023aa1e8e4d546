"""paho's client, but for PUBLISH in and PUBACK out: those two are nearly all packets there are.

paho reads a packet with three system calls and writes each acknowledgement with one. Here one read takes what the
socket has, PUBLISH packets are parsed where they lie, and acknowledgements leave many at a time. Every other packet,
and connecting, TLS, keep-alive and reconnecting, are paho's. What is used of its inside (paho-mqtt 2.1 and 2.2): the
hooks `_packet_read`, `_packet_handle`, `_packet_queue` and `_sock_recv`; the state `_in_packet`, `_sock`, `_protocol`
and `_last_bytes_received`.
"""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion

from smartcity.contracts.mqtt import MalformedPacketError, read_varint

from . import settings as limits
from .publish import Publish, parse_publish

log = logging.getLogger(__name__)

_PUBLISH = 0x30
_PUBACK = 0x40
_PUBACK_WORD = _PUBACK << 24 | 2 << 16
"""Fixed header of a PUBACK without reason code, which means success; the packet id is the lower half."""


class Session(Client):
    """`received` is called with each PUBLISH, `reading` once before those of one read."""

    received: Callable[[Publish], None]
    reading: Callable[[], None]
    _rest = b""
    """The beginning of a packet whose end has not come yet."""

    def acknowledge(self, packet_ids: Sequence[int]) -> MQTTErrorCode:
        """Send PUBACKs in this order, in one write where the socket has room."""
        block = struct.pack(f">{len(packet_ids)}I", *[_PUBACK_WORD | packet_id for packet_id in packet_ids])
        return self._packet_queue(_PUBACK, block, 0, 1)

    def pending(self) -> bool:
        """Whether TLS has bytes for us that `select` does not see."""
        connection: Any = self.socket()
        return connection is not None and hasattr(connection, "pending") and connection.pending() > 0

    def reconnect(self) -> MQTTErrorCode:
        self._rest = b""
        return super().reconnect()

    def _packet_read(self) -> MQTTErrorCode:
        """One read, and every packet that is whole by it."""
        try:
            data = self._sock_recv(limits.READ_BYTES_MAX)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError as error:
            log.info("cannot read from the gateway: %s", error)
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not data:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        self._last_bytes_received = time.monotonic()
        self.reading()
        try:
            return self._packets(self._rest + data if self._rest else data)
        except MalformedPacketError as error:
            log.error("a malformed packet from the gateway: %s", error)
            return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _packets(self, buffer: bytes) -> MQTTErrorCode:
        with_properties = self._protocol == MQTTProtocolVersion.MQTTv5
        received = self.received
        at, size = 0, len(buffer)
        while size - at >= 2:
            first, length, start = buffer[at], buffer[at + 1], at + 2
            if length >= 0x80:
                if size - at < 5 and buffer[size - 1] >= 0x80:
                    break  # The length itself is not whole.
                length, start = read_varint(buffer, at + 1, size)
            end = start + length
            if end > size:
                break
            at = end
            if first & 0xF0 == _PUBLISH:
                publish = parse_publish(first, buffer, start, end, with_properties=with_properties)
                if publish.qos == 2:
                    raise MalformedPacketError("QoS 2, and we have subscribed at QoS 1")
                received(publish)
                continue
            code = self._hand_over(first, buffer[start:end])
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or self._sock is None:
                return code
        self._rest = buffer[at:]
        return MQTTErrorCode.MQTT_ERR_AGAIN  # paho's word for: wait for the socket.

    def _hand_over(self, first: int, body: bytes) -> MQTTErrorCode:
        """Let paho handle a packet as if it had read it."""
        self._in_packet = {
            "command": first,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": len(body),
            "packet": bytearray(body),
            "to_process": 0,
            "pos": 0,
        }
        return self._packet_handle()
