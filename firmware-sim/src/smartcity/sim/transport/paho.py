"""The transport over paho-mqtt: all devices on one thread, with paho's external loop and one selector.

Decisions, with their reasons:

- *External loop, not `loop_start`.* With 50 devices a publish took 65 to 75 µs of CPU here, and 124 to 157 µs with a
  thread per device; and threads would need locks around the state, where `poll` is the only place that moves.
- *A new paho client for every connection.* paho resends what was unacknowledged by itself after a reconnect, also a
  packet that the gateway will never take. With a client per connection its queues die with it, and late PUBACKs of an
  old connection cannot reach a new one. The outbox alone decides what is sent again.
- *Clean start, no session expiry.* The client's half of a session would have to survive a restart of the process to be
  worth anything. A receipt that is lost while the device is away costs one more publish, which the lake removes.
- *Receipts at QoS 1.* Within a connection the gateway then applies flow control to them instead of dropping.
- *Callbacks only enqueue*, and nothing escapes from them; subscribing inside `on_connect` is the exception, so that
  no reconnected client is deaf.

What paho 2.2 cannot decode (a PUBACK with a code that it does not list) ends the connection as a protocol error, and
is reported as `blamed`.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from smartcity.contracts.topics import receipt_topic

from ..message import Message
from ..reading import Key
from .base import BLAMING, FAILURE, Acknowledged, Connected, Disconnected, Event, Received, Unreachable
from .connection import Backoff, ConnectionSettings

log = logging.getLogger(__name__)

_RECEIVE_MAX_DEFAULT = 65_535  # MQTT 5.0, section 3.2.2.3.3.


@dataclass(frozen=True, slots=True, kw_only=True)
class PahoSettings(ConnectionSettings):
    """Times and limits of the connections."""

    tcp_timeout_s: float = 2.0
    """paho connects in the foreground: so long may everything stand still when the gateway's host is silent."""
    dials_per_poll_max: int = 8


@dataclass(slots=True)
class _Link:
    """A device's connection, or the wait for the next one."""

    device_id: str
    will: Callable[[], Message]
    backoff: Backoff
    client: mqtt.Client | None = None
    socket: Any = None
    mask: int = 0
    mids: dict[int, Key | None] = field(default_factory=dict)
    connected: bool = False
    ended: tuple[str, bool] | None = None
    """Why the connection is over, and whether we are blamed; set by callbacks, acted upon in `poll`."""
    dialled_at: float = 0.0
    dial_at: float = 0.0


class PahoTransport:
    """See `Transport`."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        random: Random,
        settings: PahoSettings | None = None,
        tls: Mapping[str, ssl.SSLContext] | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._tls = tls
        self._random = random
        self._settings = settings or PahoSettings()
        self._links: dict[str, _Link] = {}
        self._selector = selectors.DefaultSelector()
        self._events: list[Event] = []
        self._gateway_dial_at = 0.0
        self._gateway_backoff = Backoff(self._settings, random)
        self._misc_at = 0.0

    def open(self, device_id: str, will: Callable[[], Message]) -> None:
        self._links[device_id] = _Link(device_id, will, Backoff(self._settings, self._random))

    def publish(self, device_id: str, message: Message, key: Key | None) -> bool:
        link = self._links[device_id]
        if link.client is None or not link.connected or link.ended:
            return False
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = message.content_type
        if message.properties:
            properties.UserProperty = list(message.properties)
        info = link.client.publish(message.topic, message.payload, qos=1, retain=message.retain, properties=properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._end(link, f"publishing failed: {mqtt.error_string(info.rc)}", blamed=False)
            return False
        link.mids[info.mid] = key
        return True

    def reconnect(self, device_id: str, detail: str) -> None:
        self._end(self._links[device_id], detail, blamed=False)

    def shut(self, device_id: str, detail: str) -> None:
        link = self._links.pop(device_id)
        if link.connected:
            self._events.append(Disconnected(device_id, detail, False))
        self._discard(link)

    def poll(self, timeout_s: float) -> list[Event]:
        now = time.monotonic()
        self._bury_ended()  # Before dialling, which may be given the number of a socket that was closed.
        self._dial(now)
        for link in self._links.values():
            self._watch(link)
        for ready, mask in self._selector.select(0 if self._events else timeout_s):
            self._move(ready.data, mask)
        if now >= self._misc_at:
            self._misc_at = now + 0.5
            for link in self._links.values():
                self._keep_alive(link, now)
        self._bury_ended()
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        for link in self._links.values():
            if link.client is not None and link.ended is None:
                with contextlib.suppress(OSError, ValueError):
                    link.client.disconnect()
            link.ended = link.ended or ("closed", False)
            self._bury(link)
        self._selector.close()

    # Connecting.

    def _dial(self, now: float) -> None:
        if now < self._gateway_dial_at:
            return
        waiting = [link for link in self._links.values() if link.client is None and now >= link.dial_at]
        for link in waiting[: self._settings.dials_per_poll_max]:
            try:
                self._connect(link)
            except ssl.SSLError as error:  # This device's certificate may be to blame: others are not kept waiting.
                self._end(link, f"TLS: {error.strerror or error}", blamed=False)
                continue
            except (OSError, ValueError) as error:
                # The gateway is one for all devices: one of them tries, the others wait with it.
                self._discard(link)
                self._gateway_dial_at = time.monotonic() + self._gateway_backoff.failed()
                self._events.append(Unreachable(f"{self._host}:{self._port}: {error}"))
                return
            self._gateway_backoff.reset()

    def _connect(self, link: _Link) -> None:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=link.device_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        client.suppress_exceptions = True
        client.max_inflight_messages_set(0)  # Unlimited: the device keeps to CONNACK's Receive Maximum.
        client.max_queued_messages_set(1_000)
        if self._tls is not None:
            client.tls_set_context(self._tls[link.device_id])
        client.connect_timeout = self._settings.tcp_timeout_s
        will = link.will()
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        self._set_callbacks(client, link)
        link.client = client
        link.dialled_at = time.monotonic()
        client.connect(self._host, self._port, keepalive=self._settings.keepalive_s, clean_start=True)
        link.socket = client.socket()
        if link.socket is None:
            raise ConnectionError("the connection closed at once")
        with contextlib.suppress(OSError, AttributeError):
            link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _set_callbacks(self, client: mqtt.Client, link: _Link) -> None:
        def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, properties: Any) -> None:
            if reason.value >= FAILURE:
                self._end(link, f"the gateway refused the connection: {reason}", blamed=False)
                return
            client.subscribe(receipt_topic(link.device_id), qos=1)
            link.connected = True
            receive_max = getattr(properties, "ReceiveMaximum", _RECEIVE_MAX_DEFAULT)
            packet_max = getattr(properties, "MaximumPacketSize", None)
            self._events.append(Connected(link.device_id, receive_max, packet_max))

        def on_disconnect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            self._end(link, str(reason), blamed=reason.value in BLAMING)

        def on_publish(_client: Any, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
            if mid in link.mids:
                self._events.append(Acknowledged(link.device_id, link.mids.pop(mid), reason.value))

        def on_message(_client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
            self._events.append(Received(link.device_id, bytes(message.payload)))

        def on_subscribe(_client: Any, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
            if any(reason.value >= FAILURE for reason in reasons):
                topic = receipt_topic(link.device_id)
                log.error("the gateway refuses the subscription to %s: nothing can be confirmed (check its ACL)", topic)

        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_publish = on_publish
        client.on_message = on_message
        client.on_subscribe = on_subscribe

    # Moving bytes.

    def _watch(self, link: _Link) -> None:
        """Registers what the connection waits for; paho has no more to say than `want_write`."""
        if link.client is None or link.socket is None or link.ended:
            return
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.client.want_write() else 0)
        if mask == link.mask:
            return
        if link.mask:
            self._selector.modify(link.socket, mask, link)
        else:
            self._selector.register(link.socket, mask, link)
        link.mask = mask

    def _move(self, link: _Link, mask: int) -> None:
        client = link.client
        if client is None or link.ended:
            return
        try:
            if mask & selectors.EVENT_WRITE:
                client.loop_write()
            while mask & selectors.EVENT_READ and not link.ended:
                if client.loop_read() == MQTTErrorCode.MQTT_ERR_PROTOCOL:
                    self._end(link, "protocol error", blamed=True)
                connection: Any = client.socket()
                if not isinstance(connection, ssl.SSLSocket) or not connection.pending():
                    break  # What TLS has read already, the selector would not tell.
        except Exception as error:
            # Whatever paho stumbles over came from the gateway on this connection; the next one starts afresh.
            self._end(link, f"paho could not read the gateway's answer: {error!r}", blamed=True)

    def _keep_alive(self, link: _Link, now: float) -> None:
        if link.client is None or link.ended:
            return
        link.client.loop_misc()
        if not link.connected and now >= link.dialled_at + self._settings.connack_timeout_s:
            self._end(link, "no CONNACK came", blamed=False)

    # Ending.

    def _end(self, link: _Link, detail: str, *, blamed: bool) -> None:
        if link.ended is None:
            link.ended = (detail, blamed)
        elif blamed:
            link.ended = (link.ended[0], True)

    def _bury_ended(self) -> None:
        for link in self._links.values():
            if link.ended:
                self._bury(link)

    def _bury(self, link: _Link) -> None:
        """Turns an ended connection into the wait for the next one."""
        detail, blamed = link.ended or ("", False)
        now = time.monotonic()
        was_connected = link.connected
        lived_s = now - link.dialled_at if was_connected else None
        self._discard(link)
        link.dial_at = now + link.backoff.ended(lived_s)
        if was_connected:
            self._events.append(Disconnected(link.device_id, detail, blamed))
        else:
            self._events.append(Unreachable(f"{self._host}:{self._port}, {link.device_id}: {detail}"))

    def _discard(self, link: _Link) -> None:
        if link.mask:
            # The selector finds a closed socket by its mapping, not by its number.
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(link.socket)
        client, link.client, link.socket, link.mask = link.client, None, None, 0
        if client is not None:
            client.on_disconnect = None
            client.on_connect = client.on_publish = client.on_message = client.on_subscribe = None
            sock = client.socket()
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.close()
        link.mids.clear()
        link.connected, link.ended = False, None
