"""The transport for fleets: thousands of connections in one thread, with hand-encoded packets over raw sockets.

Why, beside the transport over paho: that one costs 160 µs of CPU per publish with a few hundred clients, and every poll
visits every client. Here a connection is a socket and a few fields, a publish costs its bytes and its share of a
`send`, and nothing is done per connection unless its socket or its deadline says so.

Decisions, with their reasons:

- *Deadlines in one heap*, an entry per connection: when to dial, when CONNACK is late, when to look at keep-alive.
  Traffic moves the keep-alive without touching the heap; an entry that comes up too early is put back.
- *Connects are staggered*: at most `connecting_max` connections await their CONNACK (Mosquitto's listening queue
  holds 100), and while the gateway cannot be reached, a single one tries for all of them.
- *Back-off with jitter*, per gateway and per device, as in the transport over paho; so are the promises (see `base`).
- *A publish is written at the next `poll`*, so that all that a device says in a tick leaves with one `send`.
- *Clean start, receipts at QoS 1*: for the reasons given in the transport over paho.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import logging
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from smartcity.contracts.limits import MQTT_PACKET_BYTES_MAX
from smartcity.contracts.topics import receipt_topic

from ..message import Message
from ..reading import Key
from . import packets
from .base import BLAMING, FAILURE, Acknowledged, Connected, Disconnected, Event, Received, Unreachable

log = logging.getLogger(__name__)

_REASONS = {
    0x81: "malformed packet", 0x82: "protocol error", 0x84: "unsupported protocol version", 0x85: "client id not valid",
    0x86: "bad user name or password", 0x87: "not authorized", 0x88: "server unavailable", 0x8B: "shutting down",
    0x8D: "keep alive timeout", 0x8E: "session taken over", 0x93: "receive maximum exceeded", 0x95: "packet too large",
    0x97: "quota exceeded",
}  # fmt: skip
_READ_BYTES = 16_384
_SUBSCRIBE_ID = 65_535  # Publishes use the packet ids below it.
_Address = tuple[Any, ...]
_IDLE, _DIALLING, _GREETING, _CONNECTED = range(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """Times and limits of the connections."""

    keepalive_s: int = 20
    connack_timeout_s: float = 10.0
    """From the beginning of a dial, TCP's handshake included."""
    backoff_min_s: float = 0.5
    backoff_max_s: float = 15.0
    stable_after_s: float = 10.0
    """A connection that lived this long resets its device's back-off."""
    connecting_max: int = 64
    packet_bytes_max: int = MQTT_PACKET_BYTES_MAX


class _Link:
    """A device's connection, or the wait for the next one."""

    __slots__ = ("address", "alarm", "backoff_s", "device_id", "dialled_at", "ended", "heard_at", "ids", "keepalive_s",
                 "keys", "mask", "out", "pinged", "rest", "said_at", "socket", "state", "will")  # fmt: skip

    def __init__(self, device_id: str, will: Callable[[], Message]) -> None:
        self.device_id = device_id
        self.will = will
        self.state = _IDLE
        self.socket: socket.socket | None = None
        self.address: _Address | None = None
        self.mask = 0
        self.alarm = -1
        """Which entry of the heap of deadlines is valid."""
        self.out: list[bytes] = []
        self.rest = b""
        self.ids = 0
        self.keys: dict[int, Key | None] = {}
        self.ended: tuple[str, bool] | None = None
        self.dialled_at = self.heard_at = self.said_at = self.backoff_s = 0.0
        self.keepalive_s = 0
        self.pinged = False


class FleetTransport:
    """See `Transport`."""

    def __init__(self, *, host: str, port: int, random: Random, settings: FleetSettings | None = None) -> None:
        self._host, self._port = host, port
        self._random = random
        self._settings = settings or FleetSettings()
        self._links: dict[str, _Link] = {}
        self._selector = selectors.DefaultSelector()
        self._events: list[Event] = []
        self._deadlines: list[tuple[float, int, _Link]] = []
        self._order = itertools.count()
        self._waiting: deque[_Link] = deque()
        self._connecting = 0
        self._to_write: list[_Link] = []
        self._to_bury: list[_Link] = []
        self._addresses: deque[_Address] = deque()
        self._reached = False
        self._gateway_dial_at = 0.0
        self._gateway_backoff_s = 0.0

    def open(self, device_id: str, will: Callable[[], Message]) -> None:
        link = self._links[device_id] = _Link(device_id, will)
        self._waiting.append(link)

    def publish(self, device_id: str, message: Message, key: Key | None) -> bool:
        link = self._links[device_id]
        if link.state != _CONNECTED or link.ended:
            return False
        packet_id = link.ids % (_SUBSCRIBE_ID - 1) + 1
        while packet_id in link.keys:
            packet_id = packet_id % (_SUBSCRIBE_ID - 1) + 1
        link.ids = packet_id
        link.keys[packet_id] = key
        self._say(link, packets.publish_packet(packet_id, message))
        return True

    def reconnect(self, device_id: str, detail: str) -> None:
        link = self._links[device_id]
        if link.state != _IDLE:
            self._end(link, detail, blamed=False)

    def shut(self, device_id: str, detail: str) -> None:
        link = self._links.pop(device_id)
        if link in self._waiting:
            self._waiting.remove(link)
        if link.state == _CONNECTED:
            self._events.append(Disconnected(device_id, detail, False))
        self._discard(link)

    def poll(self, timeout_s: float) -> list[Event]:
        give_up_at = time.monotonic() + timeout_s
        while True:
            now = time.monotonic()
            self._look_at_deadlines(now)
            self._dial(now)
            self._write_all(now)
            self._bury_ended(now)
            wait_s = 0.0 if self._events else max(0.0, min(give_up_at, self._next_deadline()) - now)
            ready = self._selector.select(wait_s)
            now = time.monotonic()
            for key, mask in ready:
                self._move(key.data, mask, now)
            self._write_all(now)
            self._bury_ended(now)
            if self._events or now >= give_up_at:
                events, self._events = self._events, []
                return events

    def close(self) -> None:
        for link in self._links.values():
            if link.socket is not None:
                if link.state == _CONNECTED and not link.ended:
                    with contextlib.suppress(OSError):
                        link.socket.send(b"".join((*link.out, packets.DISCONNECT_PACKET)))
                self._discard(link)
        self._selector.close()

    # Connecting.

    def _dial(self, now: float) -> None:
        if now < self._gateway_dial_at:
            return
        allowed = self._settings.connecting_max if self._reached else 1
        while self._waiting and self._connecting < allowed:
            link = self._waiting.popleft()
            try:
                self._connect(link, now)
            except OSError as error:
                self._waiting.appendleft(link)
                self._gateway_failed(self._addresses[0] if self._addresses else None, str(error), now)
                return

    def _connect(self, link: _Link, now: float) -> None:
        if not self._addresses:
            self._addresses.extend(socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
        link.address = self._addresses[0]
        family, kind, protocol, _, address = link.address
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            result = sock.connect_ex(address)
            if result not in (0, errno.EINPROGRESS):
                raise OSError(result, os.strerror(result))
        except OSError:
            sock.close()
            raise
        link.socket, link.state, link.dialled_at = sock, _DIALLING, now
        self._connecting += 1
        self._watch(link, selectors.EVENT_WRITE)
        self._wake_at(link, now + self._settings.connack_timeout_s)

    def _gateway_failed(self, address: _Address | None, detail: str, now: float) -> None:
        """The gateway is one for all devices: one of them tries, the others wait with it."""
        self._reached = False
        if address is not None:
            if not self._addresses or self._addresses[0] is not address:
                return  # Another device has told already.
            self._addresses.popleft()
        if not self._addresses:  # All have been tried; the name is looked up again next time.
            self._gateway_backoff_s = self._grown(self._gateway_backoff_s)
            self._gateway_dial_at = now + self._jittered(self._gateway_backoff_s)
            self._events.append(Unreachable(f"{self._host}:{self._port}: {detail}"))

    def _greet(self, link: _Link, now: float) -> None:
        """TCP's handshake is over: CONNECT, or the end."""
        assert link.socket is not None
        failure = link.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            self._discard(link)
            self._waiting.appendleft(link)
            self._gateway_failed(link.address, os.strerror(failure), now)
            return
        self._reached, self._gateway_backoff_s = True, 0.0
        link.state = _GREETING
        link.keepalive_s = self._settings.keepalive_s
        self._watch(link, selectors.EVENT_READ)
        packet = packets.connect_packet(
            client_id=link.device_id,
            keepalive_s=link.keepalive_s,
            packet_bytes_max=self._settings.packet_bytes_max,
            will=link.will(),
        )
        self._say(link, packet)

    def _welcome(self, link: _Link, body: bytes) -> None:
        connack = packets.read_connack(body)
        if connack.reason_code >= FAILURE:
            self._end(link, f"the gateway refused the connection: {_reason(connack.reason_code)}", blamed=False)
            return
        link.state = _CONNECTED
        self._connecting -= 1
        link.keepalive_s = connack.keepalive_s or link.keepalive_s
        self._say(link, packets.subscribe_packet(_SUBSCRIBE_ID, receipt_topic(link.device_id)))
        self._events.append(Connected(link.device_id, connack.receive_max, connack.packet_bytes_max))

    # Deadlines.

    def _wake_at(self, link: _Link, at: float) -> None:
        link.alarm = next(self._order)
        heapq.heappush(self._deadlines, (at, link.alarm, link))

    def _next_deadline(self) -> float:
        at = self._deadlines[0][0] if self._deadlines else float("inf")
        return min(at, self._gateway_dial_at) if self._waiting and not self._connecting else at

    def _look_at_deadlines(self, now: float) -> None:
        while self._deadlines and self._deadlines[0][0] <= now:
            _, alarm, link = heapq.heappop(self._deadlines)
            if alarm != link.alarm:
                continue
            if link.state == _IDLE:
                self._waiting.append(link)
            elif link.state == _CONNECTED:
                self._keep_alive(link, now)
            elif now >= link.dialled_at + self._settings.connack_timeout_s:
                self._end(link, "no CONNACK came", blamed=False)

    def _keep_alive(self, link: _Link, now: float) -> None:
        """PINGREQ after `keepalive_s` without a packet in one of the directions; the end if it is not answered."""
        quiet_since = min(link.said_at, link.heard_at)
        if now < quiet_since + link.keepalive_s * 0.9:
            link.pinged = False
            self._wake_at(link, quiet_since + link.keepalive_s * 0.9)
        elif link.pinged and now >= link.heard_at + 1.5 * link.keepalive_s:
            self._end(link, "the gateway no longer answers", blamed=False)
        else:
            link.pinged = True
            self._say(link, packets.PINGREQ_PACKET)
            self._wake_at(link, now + link.keepalive_s * 0.7)

    # Moving bytes.

    def _say(self, link: _Link, packet: bytes) -> None:
        if not link.out:
            self._to_write.append(link)
        link.out.append(packet)

    def _write_all(self, now: float) -> None:
        if self._to_write:
            links, self._to_write = self._to_write, []
            for link in links:
                if not link.mask & selectors.EVENT_WRITE:  # Otherwise the selector says when there is room again.
                    self._write(link, now)

    def _write(self, link: _Link, now: float) -> None:
        if link.socket is None or not link.out or link.ended:
            return
        data = link.out[0] if len(link.out) == 1 else b"".join(link.out)
        try:
            sent = link.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._end(link, f"the connection broke: {error.strerror}", blamed=False)
            return
        link.said_at = now
        if sent == len(data):
            link.out.clear()
            self._watch(link, selectors.EVENT_READ)
        else:
            link.out = [data[sent:]]
            self._watch(link, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _watch(self, link: _Link, mask: int) -> None:
        if mask == link.mask:
            return
        assert link.socket is not None
        if link.mask:
            self._selector.modify(link.socket, mask, link)
        else:
            self._selector.register(link.socket, mask, link)
        link.mask = mask

    def _move(self, link: _Link, mask: int, now: float) -> None:
        if link.ended or link.socket is None:
            return
        if link.state == _DIALLING:
            self._greet(link, now)
            return
        if mask & selectors.EVENT_WRITE:
            self._write(link, now)
        if mask & selectors.EVENT_READ:
            self._read(link, now)

    def _read(self, link: _Link, now: float) -> None:
        assert link.socket is not None
        try:
            data = link.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(link, f"the connection broke: {error.strerror}", blamed=False)
            return
        if not data:
            self._end(link, "the gateway closed the connection", blamed=False)
            return
        link.heard_at = now
        try:
            found, link.rest = packets.split(
                link.rest + data if link.rest else data, packet_bytes_max=self._settings.packet_bytes_max
            )
            for first, body in found:
                self._take(link, first, body)
        except packets.MalformedPacketError as error:
            self._end(link, f"the gateway sent {error}", blamed=True)

    def _take(self, link: _Link, first: int, body: bytes) -> None:
        kind = first & 0xF0
        if link.ended:
            return
        if kind == packets.PUBACK:
            packet_id, reason_code = packets.read_acknowledgement(body)
            if packet_id in link.keys:
                self._events.append(Acknowledged(link.device_id, link.keys.pop(packet_id), reason_code))
        elif kind == packets.PUBLISH:
            received_id, topic, payload = packets.read_publish(first, body)
            if received_id is not None:
                self._say(link, packets.puback_packet(received_id))
            if topic == receipt_topic(link.device_id):
                self._events.append(Received(link.device_id, payload))
        elif kind == packets.CONNACK and link.state == _GREETING:
            self._welcome(link, body)
        elif kind == packets.SUBACK:
            if any(code >= FAILURE for code in packets.read_suback(body)):
                topic = receipt_topic(link.device_id)
                log.error("the gateway refuses the subscription to %s: nothing can be confirmed (check its ACL)", topic)
        elif kind == packets.DISCONNECT:
            code = body[0] if body else 0
            self._end(link, f"the gateway disconnected: {_reason(code)}", blamed=code in BLAMING)
        elif kind != packets.PINGRESP:
            raise packets.MalformedPacketError(f"a packet of type 0x{kind:02X}")

    # Ending.

    def _end(self, link: _Link, detail: str, *, blamed: bool) -> None:
        if link.ended is None:
            link.ended = (detail, blamed)
            self._to_bury.append(link)

    def _bury_ended(self, now: float) -> None:
        while self._to_bury:
            self._bury(self._to_bury.pop(), now)

    def _bury(self, link: _Link, now: float) -> None:
        """Turns an ended connection into the wait for the next one."""
        detail, blamed = link.ended or ("", False)
        was_connected = link.state == _CONNECTED
        stable = was_connected and now >= link.dialled_at + self._settings.stable_after_s
        dialled = link.state != _IDLE
        self._discard(link)
        if not dialled:
            return
        link.backoff_s = self._settings.backoff_min_s if stable else self._grown(link.backoff_s)
        self._wake_at(link, now + self._jittered(link.backoff_s))
        if was_connected:
            self._events.append(Disconnected(link.device_id, detail, blamed))
        else:
            self._events.append(Unreachable(f"{self._host}:{self._port}, {link.device_id}: {detail}"))

    def _discard(self, link: _Link) -> None:
        if link.socket is not None:
            if link.mask:
                self._selector.unregister(link.socket)
            link.socket.close()
        if link.state in (_DIALLING, _GREETING):
            self._connecting -= 1
        link.socket, link.mask, link.state, link.ended = None, 0, _IDLE, None
        link.out, link.rest, link.pinged, link.alarm = [], b"", False, -1
        link.keys.clear()

    def _grown(self, backoff_s: float) -> float:
        return min(max(backoff_s * 2, self._settings.backoff_min_s), self._settings.backoff_max_s)

    def _jittered(self, backoff_s: float) -> float:
        return backoff_s * self._random.uniform(0.5, 1.0)


def _reason(code: int) -> str:
    return f"{_REASONS.get(code, 'reason code')} (0x{code:02X})"
