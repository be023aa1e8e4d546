"""One MQTT 5 subscriber to everything devices publish. Its callbacks only enqueue.

QoS 0 and a clean start: the page shows the present, so the gateway keeps nothing for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from smartcity.contracts.identity import Identity
from smartcity.contracts.mqtt import MalformedPacketError, after_prefixed, property_block, user_properties
from smartcity.contracts.topics import DEVICES_FILTER

from .settings import INBOX_MESSAGES_MAX, Address

KEEPALIVE_S = 30
RECONNECT_S = (1, 10)
"""First and longest pause between two attempts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What came, unread."""

    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]
    retained: bool


class Inbox:
    """The subscriber and its bounded queue. `trouble` says in words why nothing can come, or is None."""

    def __init__(self, gateway: Address, identity: Identity | None = None) -> None:
        self.trouble: str | None = f"connecting to the gateway {gateway}"
        self.received = 0
        self.taken = 0
        self._wake: Callable[[], object] = _nobody
        self._is_woken = False
        self._gateway = gateway
        self._queue: deque[Message] = deque(maxlen=INBOX_MESSAGES_MAX)
        self._client = _Subscriber(self._on_message)
        if identity is not None:
            self._client.tls_set_context(identity.tls())
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect

    @property
    def dropped(self) -> int:
        """Messages that a full queue lost."""
        return max(0, self.received - self.taken - len(self._queue))

    def start(self, wake: Callable[[], object] | None = None) -> None:
        """Connects in a thread of its own, and again whenever the connection breaks.

        Args:
            wake: called from that thread when something came after the last `take`; must not block.
        """
        self._wake = wake or _nobody
        self._client.reconnect_delay_set(*RECONNECT_S)
        self._client.connect_async(self._gateway.host, self._gateway.port, KEEPALIVE_S, clean_start=True)
        self._client.loop_start()

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def take(self, messages_max: int) -> list[Message]:
        """The oldest waiting messages. For one loop only."""
        self._is_woken = False  # Before the queue is looked at: what comes meanwhile wakes once more, in vain.
        batch: list[Message] = []
        while self._queue and len(batch) < messages_max:
            batch.append(self._queue.popleft())
        self.taken += len(batch)
        return batch

    def _on_connect(self, client: mqtt.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.trouble = f"the gateway {self._gateway} refuses the connection: {reason}"
            return
        # Subscribing here, and not once, survives a restart of the broker.
        client.subscribe(DEVICES_FILTER, qos=0)
        self.trouble = None

    def _on_connect_fail(self, client: mqtt.Client, userdata: Any) -> None:
        self.trouble = f"the gateway {self._gateway} cannot be reached; trying again"

    def _on_disconnect(self, client: mqtt.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.trouble = f"the connection to the gateway {self._gateway} broke ({reason}); trying again"

    def _on_message(self, message: Message) -> None:
        self._queue.append(message)
        self.received += 1
        if not self._is_woken:
            self._is_woken = True
            self._wake()


def _nobody() -> None:
    """Nobody wants to be woken."""


class _Subscriber(mqtt.Client):
    """paho's client, but for PUBLISH at QoS 0. paho decodes every property into a general object with reflection, which
    took more than half of this process's time. Used of its inside: `_handle_publish`, `_in_packet`."""

    def __init__(self, received: Callable[[Message], None]) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._received = received

    def _handle_publish(self) -> MQTTErrorCode:
        first, body = self._in_packet["command"], bytes(self._in_packet["packet"])
        try:
            at = after_prefixed(body, 0)
            begin, end = property_block(body, at, len(body))
            topic, properties = body[2:at].decode(), tuple(user_properties(body[begin:end]))
        except UnicodeDecodeError:  # No stream of ours has such a topic.
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except MalformedPacketError:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self._received(Message(topic=topic, payload=body[end:], properties=properties, retained=bool(first & 1)))
        return MQTTErrorCode.MQTT_ERR_SUCCESS
