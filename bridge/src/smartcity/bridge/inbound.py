"""The gateway's side: a persistent MQTT session whose messages are acknowledged by the loop, not by the library.

paho's network code is driven by the bridge's own loop, not by paho's thread. So a connection can only end or begin
between two statements of the loop, and no acknowledgement that was decided on one connection can slip into the next.

MQTT 3.1.1 is for gateways that know nothing newer. It has no user properties, so every reading is a foreign one; no
receive maximum, so how many messages are on the way is the gateway's setting; and no reason for a taken-over session.
"""

from __future__ import annotations

import logging
import select
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from smartcity.contracts.topics import DEVICES_FILTER

from . import settings as limits
from .errors import SessionTakenOver
from .ledger import Ack
from .message import Message, Reception
from .publish import Publish, user_properties
from .route import Routes
from .session import Session
from .settings import Settings
from .stamp import read_stamp

log = logging.getLogger(__name__)

_SESSION_TAKEN_OVER = 0x8E


class Inbound:
    """The MQTT session. Callbacks only note what happened; `turn` and the loop act on it.

    `on_epoch` is called with a new number whenever a connection begins or ends.
    """

    def __init__(self, settings: Settings, *, on_epoch: Callable[[int], None]) -> None:
        self.queue: deque[Message] = deque()
        self.epoch = 0
        self.connections = 0
        self.fault: str | None = "not connected yet"
        """Why no messages can come, or None while connected and subscribed."""
        self._settings = settings
        self._on_epoch = on_epoch
        self._taken_over = False
        self._connected = False
        self._losses: deque[float] = deque(maxlen=limits.LOSSES_MAX)
        self._refusal: str | None = None
        """Why the gateway turned the present connection down."""
        self._attempt_at = 0.0
        self._backoff_s = limits.BACKOFF_MIN_S
        self._misc_at = 0.0
        self._routes = Routes(settings.routes)
        self._filters = [DEVICES_FILTER, *(route.pattern for route in settings.routes)]
        self._reception = Reception.now()
        self._client = self._make_client()

    def _make_client(self) -> Session:
        client = Session(
            CallbackAPIVersion.VERSION2,
            client_id=self._settings.client_id,
            protocol=self._settings.mqtt_version,
            clean_session=None if self._is_5 else False,
            manual_ack=True,
        )
        if self._settings.identity is not None:
            client.tls_set_context(self._settings.identity.tls())
        client.connect_timeout = limits.CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(limits.RECEIPTS_INFLIGHT_MAX)
        client.max_queued_messages_set(limits.RECEIPTS_QUEUED_MAX)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.received = self._on_publish
        client.reading = self._on_reading
        host, port = self._settings.mqtt_host, self._settings.mqtt_port
        if self._is_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = limits.SESSION_EXPIRY_S
            properties.ReceiveMaximum = self._settings.receive_maximum
            client.connect_async(host, port, limits.KEEPALIVE_S, clean_start=False, properties=properties)
        else:
            client.connect_async(host, port, limits.KEEPALIVE_S)
        return client

    @property
    def _is_5(self) -> bool:
        return self._settings.mqtt_version == MQTTProtocolVersion.MQTTv5

    # What the loop calls.

    def turn(self, timeout_s: float, *, reading: bool) -> None:
        """Wait for the network at most `timeout_s`, read and write what is possible, connect again where needed.

        Args:
            reading: False leaves what the gateway sends in the socket: back-pressure.

        Raises:
            SessionTakenOver: another client has connected with our client id.
        """
        connection = self._client.socket()
        if connection is None:
            self._connect(timeout_s)
        else:
            wanting = [connection] if self._client.want_write() else []
            pending = reading and self._client.pending()
            readable, writable, _ = select.select(
                [connection] if reading else [], wanting, [], 0.0 if pending else timeout_s
            )
            if writable:
                self._client.loop_write()
            if readable or pending:
                self._client.loop_read()
            if time.monotonic() >= self._misc_at:
                self._misc_at = time.monotonic() + 1.0
                self._client.loop_misc()
        if self._refusal is not None:
            self.disconnect()
        if self._taken_over:
            raise SessionTakenOver(
                f"another client has taken over the MQTT session {self._settings.client_id!r} at "
                f"{self._gateway}; run one bridge per gateway, or give this one another --client-id"
            )

    def ack(self, ack: Ack) -> bool:
        """Send PUBACKs, if their connection still stands. False where they were dropped: the gateway sends again."""
        if ack.epoch != self.epoch:
            return False
        return self._client.acknowledge(ack.packet_ids) == MQTTErrorCode.MQTT_ERR_SUCCESS

    def publish(self, topic: str, payload: bytes) -> bool:
        """Publish at QoS 1. False where it was dropped: not connected, or too many unacknowledged."""
        if self.fault is not None:
            return False
        return self._client.publish(topic, payload, qos=1).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def disconnect(self) -> None:
        """Leave in order; the gateway keeps the session. `turn` would connect again, after the back-off."""
        if self._client.socket() is not None:
            self._connected = False
            self._client.disconnect()
            self._back_off()

    def wants_write(self) -> bool:
        """Whether acknowledgements or receipts wait for room in the socket."""
        return self._client.socket() is not None and self._client.want_write()

    # The network.

    @property
    def _gateway(self) -> str:
        return f"{self._settings.mqtt_host}:{self._settings.mqtt_port}"

    def _connect(self, timeout_s: float) -> None:
        wait_s = self._attempt_at - time.monotonic()
        if wait_s > 0:
            time.sleep(min(wait_s, timeout_s))
            return
        self._back_off()
        self._refusal = None
        try:
            self._client.reconnect()
        except OSError as error:
            self._missing(f"cannot connect ({error})")

    def _back_off(self) -> None:
        self._attempt_at = time.monotonic() + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, limits.BACKOFF_MAX_S)

    def _missing(self, why: str) -> None:
        fault = f"MQTT gateway {self._gateway}: {why}"
        if fault != self.fault:
            log.warning("%s", fault)
        self.fault = fault

    def _new_epoch(self) -> None:
        self.epoch += 1
        self._on_epoch(self.epoch)

    # paho's callbacks. They run inside `turn`, `ack`, `publish` or `disconnect`, and must not raise.

    def _on_connect(self, client: Client, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = f"refuses the connection ({reason}); check the client id, user and access list"
            self._missing(self._refusal)
            return
        self._connected = True
        self._new_epoch()
        self.connections += 1
        self.fault = f"MQTT gateway {self._gateway}: not subscribed yet"
        # Retained messages are not wanted: they were produced when they were live.
        if self._is_5:
            options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            client.subscribe([(pattern, options) for pattern in self._filters])
        else:
            client.subscribe([(pattern, 1) for pattern in self._filters])
        log.info("connected to MQTT gateway %s, session present: %s", self._gateway, flags.session_present)

    def _on_subscribe(self, _client: Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
        refused = [
            f"{pattern} ({reason})"
            for pattern, reason in zip(self._filters, reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            self._refusal = f"refuses the subscription to {', '.join(refused)}"
            self._missing(self._refusal)
            return
        self.fault = None
        self._backoff_s = limits.BACKOFF_MIN_S

    def _on_disconnect(self, _client: Client, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        self._new_epoch()
        if flags.is_disconnect_packet_from_server:
            self._taken_over |= reason.value == _SESSION_TAKEN_OVER
        elif self._connected:
            self._losses.append(time.monotonic())
            self._taken_over |= (
                len(self._losses) == limits.LOSSES_MAX and self._losses[-1] - self._losses[0] < limits.LOSSES_WINDOW_S
            )
        self._connected = False
        self._missing(self._refusal or f"disconnected ({reason})")

    def _on_reading(self) -> None:
        self._reception = Reception.now()

    def _on_publish(self, publish: Publish) -> None:
        """May raise MalformedPacketError, which the session turns into the end of the connection."""
        route, properties = self._routes.find(publish.topic), publish.properties
        stamp = None
        if properties and route.raw_topic is None:
            stamp = read_stamp(properties, route.claimed)
            if stamp is None:
                user_properties(properties)
        self.queue.append(
            Message(
                route=route,
                payload=publish.payload,
                property_bytes=properties,
                stamp=stamp,
                qos=publish.qos,
                retain=publish.retain,
                packet_id=publish.packet_id,
                epoch=self.epoch,
                reception=self._reception,
            )
        )
