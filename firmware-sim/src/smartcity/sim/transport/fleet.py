"""The transport for fleets: thousands of connections in one thread, with hand-encoded packets over raw sockets.

Why, beside the transport over paho: that one costs 160 µs of CPU per publish with a few hundred clients, and every poll
visits every client. Here a connection is a socket and a few fields, a publish costs its bytes and its share of a
`send`, and nothing is done per connection unless its socket or its deadline says so. This module holds what happens to
a connection and when; `dialling` whose turn it is, `link` moves the bytes, `packets` knows what they mean.

Decisions, with their reasons:

- *Deadlines in one heap*, an entry per connection: when to dial, when CONNACK is late, when to look at keep-alive.
  Traffic moves the keep-alive without touching the heap; an entry that comes up too early is put back.
- *Connects are staggered*: at most `connecting_max` connections await their CONNACK (Mosquitto's listening queue
  holds 100), and while the gateway cannot be reached, a single one tries for all of them.
- *Back-off with jitter*, per gateway and per device, as in the transport over paho; so are the promises (see `base`).
- *A publish is written at the next `poll`*, so that all that a device says in a tick leaves with one `send`.
- *Polls are `gather_s` apart*: PUBACKs and receipts come in one by one, and are taken in together.
- *A receipt's PUBACK goes with what the device says next*; Mosquitto sends 20 receipts ahead of their PUBACKs.
- *Clean start, receipts at QoS 1*: for the reasons given in the transport over paho.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from smartcity.contracts import mqtt
from smartcity.contracts.limits import MQTT_PACKET_BYTES_MAX
from smartcity.contracts.topics import receipt_topic

from ..message import Message
from ..reading import Key
from . import packets
from .base import BLAMING, FAILURE, Acknowledged, Connected, Disconnected, Event, Received, Unreachable
from .connection import Backoff, ConnectionSettings
from .dialling import Dialling
from .link import CONNECTED, DIALLING, GREETING, IDLE, SHAKING, Address, Link, Mover

log = logging.getLogger(__name__)

_REASONS = {
    0x81: "malformed packet", 0x82: "protocol error", 0x84: "unsupported protocol version", 0x85: "client id not valid",
    0x86: "bad user name or password", 0x87: "not authorized", 0x88: "server unavailable", 0x8B: "shutting down",
    0x8D: "keep alive timeout", 0x8E: "session taken over", 0x93: "receive maximum exceeded", 0x95: "packet too large",
    0x97: "quota exceeded",
}  # fmt: skip
_SUBSCRIBE_ID = 65_535  # Publishes use the packet ids below it.


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings(ConnectionSettings):
    """Times and limits of the connections."""

    connecting_max: int = 64
    packet_bytes_max: int = MQTT_PACKET_BYTES_MAX
    gather_s: float = 0.005
    """How long a poll waits for company of what comes in: with thousands of connections there is always something."""


class FleetTransport:
    """See `Transport`."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        random: Random,
        settings: FleetSettings | None = None,
        tls: Mapping[str, ssl.SSLContext] | None = None,
    ) -> None:
        self._gateway = f"{host}:{port}"
        self._host, self._tls = host, tls
        self._random = random
        self._settings = settings or FleetSettings()
        self._links: dict[str, Link] = {}
        self._mover = Mover(self._broken)
        self._dialling = Dialling(
            host, port, connecting_max=self._settings.connecting_max, backoff=Backoff(self._settings, random)
        )
        self._events: list[Event] = []
        self._deadlines: list[tuple[float, int, Link]] = []
        self._order = itertools.count()
        self._to_bury: list[Link] = []
        self._polled_at = 0.0

    def open(self, device_id: str, will: Callable[[], Message]) -> None:
        link = self._links[device_id] = Link(device_id, will, Backoff(self._settings, self._random))
        self._dialling.waiting.append(link)

    def publish(self, device_id: str, message: Message, key: Key | None) -> bool:
        link = self._links[device_id]
        if link.state != CONNECTED or link.ended:
            return False
        packet_id = link.ids % (_SUBSCRIBE_ID - 1) + 1
        while packet_id in link.keys:
            packet_id = packet_id % (_SUBSCRIBE_ID - 1) + 1
        link.ids = packet_id
        link.keys[packet_id] = key
        self._mover.say(link, packets.publish_packet(packet_id, message))
        return True

    def reconnect(self, device_id: str, detail: str) -> None:
        link = self._links[device_id]
        if link.state != IDLE:
            self._end(link, detail, blamed=False)

    def shut(self, device_id: str, detail: str) -> None:
        link = self._links.pop(device_id)
        if link in self._dialling.waiting:
            self._dialling.waiting.remove(link)
        if link.state == CONNECTED:
            self._events.append(Disconnected(device_id, detail, False))
        self._discard(link)

    def poll(self, timeout_s: float) -> list[Event]:
        now = time.monotonic()
        give_up_at = now + timeout_s
        gathered_at = min(self._polled_at + self._settings.gather_s, give_up_at)
        self._mover.write_all(now)
        if now < gathered_at and not self._events:
            time.sleep(gathered_at - now)
        while True:
            now = time.monotonic()
            self._look_at_deadlines(now)
            self._dial(now)
            self._mover.write_all(now)
            self._bury_ended(now)
            wait_s = 0.0 if self._events else max(0.0, min(give_up_at, self._next_deadline()) - now)
            ready = self._mover.ready(wait_s)
            self._polled_at = now = time.monotonic()
            for link, mask in ready:
                self._move(link, mask, now)
            self._mover.write_all(now)
            self._bury_ended(now)
            if self._events or now >= give_up_at:
                events, self._events = self._events, []
                return events

    def close(self) -> None:
        for link in self._links.values():
            if link.socket is not None and link.state == CONNECTED and not link.ended:
                with contextlib.suppress(OSError):
                    link.socket.send(b"".join((*link.out, mqtt.DISCONNECT_PACKET)))
            self._discard(link)
        self._mover.close()

    # Connecting.

    def _dial(self, now: float) -> None:
        while link := self._dialling.next(now):
            try:
                self._dialling.dial(link)
            except OSError as error:
                self._gateway_failed(link.address, str(error), now)
                return
            link.state, link.dialled_at = DIALLING, now
            self._mover.watch(link, selectors.EVENT_WRITE)
            self._wake_at(link, now + self._settings.connack_timeout_s)

    def _gateway_failed(self, address: Address | None, detail: str, now: float) -> None:
        """The gateway is one for all devices: one of them tries, the others wait with it."""
        told = self._dialling.failed(address, detail, now)
        if told is not None:
            self._events.append(Unreachable(told))

    def _reach(self, link: Link, now: float) -> None:
        """TCP's handshake is over: TLS's, CONNECT, or the end."""
        assert link.socket is not None
        failure = link.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            self._discard(link)
            self._dialling.waiting.appendleft(link)
            self._gateway_failed(link.address, os.strerror(failure), now)
            return
        self._dialling.reached()
        if self._tls is None:
            self._greet(link)
            return
        link.state = SHAKING
        try:
            link.socket = self._tls[link.device_id].wrap_socket(
                link.socket, server_hostname=self._host, do_handshake_on_connect=False
            )
        except OSError as error:
            self._end(link, f"TLS: {error.strerror or error}", blamed=False)
            return
        self._shake(link)

    def _shake(self, link: Link) -> None:
        """As much of TLS's handshake as is possible now."""
        assert isinstance(link.socket, ssl.SSLSocket)
        try:
            link.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._mover.watch(link, selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self._mover.watch(link, selectors.EVENT_WRITE)
        except OSError as error:
            self._end(link, f"TLS: {error.strerror or error}", blamed=False)
        else:
            self._greet(link)

    def _greet(self, link: Link) -> None:
        link.state = GREETING
        link.keepalive_s = self._settings.keepalive_s
        self._mover.watch(link, selectors.EVENT_READ)
        packet = packets.connect_packet(
            client_id=link.device_id,
            keepalive_s=link.keepalive_s,
            packet_bytes_max=self._settings.packet_bytes_max,
            will=link.will(),
        )
        self._mover.say(link, packet)

    def _welcome(self, link: Link, body: bytes) -> None:
        connack = mqtt.read_connack(body)
        if connack.reason_code >= FAILURE:
            self._end(link, f"the gateway refused the connection: {_reason(connack.reason_code)}", blamed=False)
            return
        link.state = CONNECTED
        self._dialling.connecting -= 1
        link.keepalive_s = connack.keepalive_s or link.keepalive_s
        self._mover.say(link, packets.subscribe_packet(_SUBSCRIBE_ID, receipt_topic(link.device_id)))
        self._events.append(Connected(link.device_id, connack.receive_max, connack.packet_bytes_max))

    # Deadlines.

    def _wake_at(self, link: Link, at: float) -> None:
        link.alarm = next(self._order)
        heapq.heappush(self._deadlines, (at, link.alarm, link))

    def _next_deadline(self) -> float:
        at = self._deadlines[0][0] if self._deadlines else float("inf")
        return min(at, self._dialling.next_at())

    def _look_at_deadlines(self, now: float) -> None:
        while self._deadlines and self._deadlines[0][0] <= now:
            _, alarm, link = heapq.heappop(self._deadlines)
            if alarm != link.alarm:
                continue
            if link.state == IDLE:
                self._dialling.waiting.append(link)
            elif link.state == CONNECTED:
                self._keep_alive(link, now)
            elif now >= link.dialled_at + self._settings.connack_timeout_s:
                self._end(link, "no CONNACK came", blamed=False)

    def _keep_alive(self, link: Link, now: float) -> None:
        """PINGREQ after `keepalive_s` without a packet in one of the directions; the end if it is not answered."""
        quiet_since = min(link.said_at, link.heard_at)
        if now < quiet_since + link.keepalive_s * 0.9:
            link.pinged = False
            self._mover.hurry(link)
            self._wake_at(link, quiet_since + link.keepalive_s * 0.9)
        elif link.pinged and now >= link.heard_at + 1.5 * link.keepalive_s:
            self._end(link, "the gateway no longer answers", blamed=False)
        else:
            link.pinged = True
            self._mover.say(link, mqtt.PINGREQ_PACKET)
            self._wake_at(link, now + link.keepalive_s * 0.7)

    # What comes in.

    def _move(self, link: Link, mask: int, now: float) -> None:
        if link.ended or link.socket is None:
            return
        if link.state == DIALLING:
            self._reach(link, now)
            return
        if link.state == SHAKING:
            self._shake(link)
            return
        if mask & selectors.EVENT_WRITE:
            self._mover.write(link, now)
        if mask & selectors.EVENT_READ and not link.ended:
            self._read(link, now)

    def _read(self, link: Link, now: float) -> None:
        data = self._mover.read(link, now)
        try:
            found, link.rest = packets.split(
                link.rest + data if link.rest else data, packet_bytes_max=self._settings.packet_bytes_max
            )
            for first, body in found:
                self._take(link, first, body)
        except mqtt.MalformedPacketError as error:
            self._end(link, f"the gateway sent {error}", blamed=True)

    def _take(self, link: Link, first: int, body: bytes) -> None:
        kind = first & 0xF0
        if link.ended:
            return
        if kind == mqtt.PUBACK:
            packet_id, reason_code = packets.read_acknowledgement(body)
            if packet_id in link.keys:
                self._events.append(Acknowledged(link.device_id, link.keys.pop(packet_id), reason_code))
        elif kind == mqtt.PUBLISH:
            received_id, topic, payload = packets.read_publish(first, body)
            if received_id is not None:
                self._mover.say_with_the_next(link, mqtt.acknowledgement(mqtt.PUBACK, received_id))
            if topic == receipt_topic(link.device_id):
                self._events.append(Received(link.device_id, payload))
        elif kind == mqtt.CONNACK and link.state == GREETING:
            self._welcome(link, body)
        elif kind == mqtt.SUBACK:
            if any(code >= FAILURE for code in mqtt.read_suback(body)):
                topic = receipt_topic(link.device_id)
                log.error("the gateway refuses the subscription to %s: nothing can be confirmed (check its ACL)", topic)
        elif kind == mqtt.DISCONNECT:
            code = body[0] if body else 0
            self._end(link, f"the gateway disconnected: {_reason(code)}", blamed=code in BLAMING)
        elif kind != mqtt.PINGRESP:
            raise mqtt.MalformedPacketError(f"a packet of type 0x{kind:02X}")

    # Ending.

    def _broken(self, link: Link, detail: str) -> None:
        self._end(link, detail, blamed=False)

    def _end(self, link: Link, detail: str, *, blamed: bool) -> None:
        if link.ended is None:
            link.ended = (detail, blamed)
            self._to_bury.append(link)

    def _bury_ended(self, now: float) -> None:
        while self._to_bury:
            self._bury(self._to_bury.pop(), now)

    def _bury(self, link: Link, now: float) -> None:
        """Turns an ended connection into the wait for the next one."""
        detail, blamed = link.ended or ("", False)
        was_connected = link.state == CONNECTED
        lived_s = now - link.dialled_at if was_connected else None
        dialled = link.state != IDLE
        self._discard(link)
        if not dialled:
            return
        self._wake_at(link, now + link.backoff.ended(lived_s))
        if was_connected:
            self._events.append(Disconnected(link.device_id, detail, blamed))
        else:
            self._events.append(Unreachable(f"{self._gateway}, {link.device_id}: {detail}"))

    def _discard(self, link: Link) -> None:
        self._mover.close_socket(link)
        if link.state in (DIALLING, SHAKING, GREETING):
            self._dialling.connecting -= 1
        link.cut()


def _reason(code: int) -> str:
    return f"{_REASONS.get(code, 'reason code')} (0x{code:02X})"
