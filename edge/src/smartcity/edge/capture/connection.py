"""An MQTT 5 connection for recorder and replayer: one socket, one clean session, no thread.

It hands packets over as they lie in the read buffer. TLS is a matter of `Broker.tls`: whoever has an identity gives a
context that knows it.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from smartcity.contracts import mqtt
from smartcity.contracts.limits import MQTT_PACKET_BYTES_MAX
from smartcity.contracts.mqtt import Connack, MalformedPacketError

from ..errors import BrokerError
from . import packets

READ_BYTES_MAX = 256 * 1024
UNSENT_BYTES_MAX = 4 * 1024 * 1024
"""Beyond it `room` is False, and whoever sends must wait."""
KEEPALIVE_S = 30
ANSWER_TIMEOUT_S = 10.0
RECEIVE_MAX = 65_535
LOSSES_MAX, LOSSES_S = 3, 5.0

FINAL = {
    0x81: "it cannot read what was sent",
    0x82: "what was sent breaks the protocol",
    0x87: "we are not allowed to",
    0x8E: "another client connected as us; give each its own client id or identity",
    0x90: "it does not allow a topic",
    0x94: "it does not allow a topic alias",
    0x95: "a packet is larger than it takes",
    0x9A: "it keeps no retained messages",
    0x9B: "it does not allow a QoS",
}
"""Reason codes of DISCONNECT (3.14.2.1) after which the same would only happen again."""

Handler = Callable[[int, bytes, int, int], None]
"""Gets first byte, buffer, and where the body begins and ends in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where a broker is, and how to reach it. `tls` brings certificates and keys; None is a plain connection."""

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class ConnectionLost(Exception):  # noqa: N818 - an event of the network, not a defect.
    """The connection is gone; the message says why."""


class Losses:
    """Tells a broker that went away from one that ends every connection: because of what is sent, where it does not
    say so, or because another client connects as us, which Mosquitto 2.0 does not say either."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._at: deque[float] = deque(maxlen=LOSSES_MAX)

    def add(self, why: ConnectionLost) -> None:
        """A connection that had been made is lost.

        Raises:
            BrokerError: too many, too soon after each other, for connecting once more to help.
        """
        self._at.append(time.monotonic())
        if len(self._at) == LOSSES_MAX and self._at[-1] - self._at[0] < LOSSES_S:
            raise BrokerError(
                f"{self._broker} ended {LOSSES_MAX} connections within {LOSSES_S:.0f} s ({why}): another client "
                "connects as us (give each its own client id or identity), or the broker does not take what is sent"
            )


class Connection:
    """Connected when made.

    Raises:
        BrokerError: nobody answers, the answer is no MQTT 5, or the broker refuses us.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._rest = b""
        self._unsent = bytearray()
        try:
            plain = socket.create_connection((broker.host, broker.port), ANSWER_TIMEOUT_S)
        except OSError as error:
            raise BrokerError(f"no broker answers at {broker}: {error}") from error
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket = plain if broker.tls is None else broker.tls.wrap_socket(plain, server_hostname=broker.host)
            self.connack = self._introduce()
        except ssl.SSLCertVerificationError as error:
            plain.close()
            raise BrokerError(f"{broker} is not the gateway of this identity: {error.verify_message}") from error
        except (OSError, ConnectionLost, MalformedPacketError) as error:
            plain.close()
            remedy = "" if broker.tls else "; if it asks who connects, give --identity"
            raise BrokerError(f"{broker} ends the connection before its CONNACK: {error}{remedy}") from error
        except BaseException:
            plain.close()
            raise
        self._keepalive_s = self.connack.keepalive_s or KEEPALIVE_S
        self._written_at = self._heard_at = time.monotonic()

    @property
    def room(self) -> bool:
        """Whether more may be sent now."""
        return len(self._unsent) < UNSENT_BYTES_MAX

    @property
    def idle(self) -> bool:
        """Whether everything was handed to the network."""
        return not self._unsent

    def subscribe(self, filters: Sequence[str], qos: int, handle: Handler) -> None:
        """Subscribe, and wait until it is granted. `handle` gets what comes in the meantime.

        Raises:
            BrokerError: a filter is refused.
            ConnectionLost: the connection ended.
        """
        answer: list[list[int]] = []

        def wait_for_suback(first: int, buffer: bytes, start: int, end: int) -> None:
            if first & 0xF0 == mqtt.SUBACK:
                answer.append(mqtt.read_suback(buffer[start:end]))
            else:
                handle(first, buffer, start, end)

        self.send(packets.subscribe_packet(1, filters, qos))
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while not answer:
            if time.monotonic() > deadline:
                raise BrokerError(f"{self._broker} does not answer a subscription within {ANSWER_TIMEOUT_S:.0f} s")
            self.wait(0.1)
            self.read(wait_for_suback)
        for name, code in zip(filters, answer[0], strict=True):
            if code >= 0x80:
                raise BrokerError(f"{self._broker} refuses the subscription to {name!r} (reason code 0x{code:02X})")

    def wait(self, timeout_s: float, *, terminal: int | None = None, reading: bool = True) -> bool:
        """Wait until something can be read or written, or the time is over. True if the terminal has a key.

        Args:
            reading: False: what the broker says may wait until the time is over.
        """
        if reading and isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            timeout_s = 0.0
        watched: list[Any] = [self._socket] if reading else []
        if terminal is not None:
            watched.append(terminal)
        ready, _, _ = select.select(watched, [self._socket] if self._unsent else [], [], max(0.0, timeout_s))
        return terminal in ready

    def read(self, handle: Handler) -> bool:
        """One read, and each packet that is whole by it. False if there was nothing.

        Raises:
            ConnectionLost: the broker closed it, sent DISCONNECT, went silent, or sent what is no MQTT.
            BrokerError: it sent DISCONNECT for a reason that connecting again does not take away.
        """
        self._keep_alive()
        if self._unsent:
            self._flush()
        try:
            data = self._socket.recv(READ_BYTES_MAX)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        if not data:
            raise ConnectionLost("closed by the broker")
        self._heard_at = time.monotonic()
        try:
            self._hand_over(self._rest + data if self._rest else data, handle)
        except MalformedPacketError as error:
            raise ConnectionLost(f"the broker sent {error}") from error
        return True

    def send(self, data: bytes) -> None:
        """Send, or keep what does not fit into the network's buffer for later.

        Raises:
            ConnectionLost: it cannot be sent any more.
        """
        self._unsent += data
        self._flush()

    def close(self) -> None:
        """DISCONNECT, and close. What was not sent is lost."""
        try:
            if not self._unsent:
                self._socket.send(mqtt.DISCONNECT_PACKET)
        except OSError:
            pass  # It is closed either way; a DISCONNECT is a courtesy.
        finally:
            self._socket.close()

    def _introduce(self) -> Connack:
        self._socket.sendall(
            packets.connect_packet(
                client_id=self._broker.client_id,
                keepalive_s=KEEPALIVE_S,
                receive_max=RECEIVE_MAX,
                packet_bytes_max=2 * MQTT_PACKET_BYTES_MAX,
            )
        )
        data = b""
        while (found := mqtt.find_packet(data, 0, len(data))) is None or found[1] > len(data):
            received = self._socket.recv(4096)
            if not received:
                raise ConnectionLost("it speaks no MQTT 5")
            data += received
        if data[0] & 0xF0 != mqtt.CONNACK:
            raise MalformedPacketError("something else than CONNACK")
        connack = mqtt.read_connack(data[found[0] : found[1]])
        self._rest = data[found[1] :]
        if connack.reason_code:
            raise BrokerError(f"{self._broker} refuses the connection (reason code 0x{connack.reason_code:02X})")
        self._socket.setblocking(False)
        return connack

    def _hand_over(self, buffer: bytes, handle: Handler) -> None:
        at, size = 0, len(buffer)
        while size - at >= 2:
            length = buffer[at + 1]
            if length < 0x80:
                start, end = at + 2, at + 2 + length
            else:
                found = mqtt.find_packet(buffer, at, size)
                if found is None:
                    break
                start, end = found
            if end > size:
                break
            if buffer[at] == mqtt.DISCONNECT:
                self._disconnected(buffer[start] if end > start else 0)
            handle(buffer[at], buffer, start, end)
            at = end
        self._rest = buffer[at:]

    def _disconnected(self, code: int) -> None:
        if code in FINAL:
            raise BrokerError(f"{self._broker} ends the connection: {FINAL[code]} (reason code 0x{code:02X})")
        raise ConnectionLost(f"the broker sent DISCONNECT with reason code 0x{code:02X}")

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if now - self._heard_at > 1.5 * self._keepalive_s + 5:
            raise ConnectionLost(f"nothing was heard of the broker for {now - self._heard_at:.0f} s")
        if now - self._written_at > self._keepalive_s / 2 or now - self._heard_at > self._keepalive_s:
            self._written_at = now
            self.send(mqtt.PINGREQ_PACKET)

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        del self._unsent[:sent]
        self._written_at = time.monotonic()
