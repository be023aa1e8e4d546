"""The two ways back: MQTT for what the bridge refused, Kafka for what the lake refused."""

from __future__ import annotations

import queue
import ssl
import time
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from confluent_kafka import KafkaException, Producer
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from smartcity.contracts.limits import DEAD_LETTER_RECORD_BYTES_MAX
from smartcity.contracts.receipts import ReceiptError, decode_receipt

from .deadletters import Letter
from .deadletters_redrive import Failure
from .errors import TransientError

CONFIRM_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
POLL_S = 0.1
_NO_MATCHING_SUBSCRIBERS = 0x10
_REFUSED_FROM = 0x80

Identity = tuple[str, str, int]


class MqttWay:
    """To the topics that the letters came on, at QoS 1. A letter is safe when the bridge has sent its receipt, which
    says that Kafka has it; one without a device's id gets none, and counts as safe when the gateway has it.

    With `tls` the gateway takes the certificate's name as user and client id.
    """

    def __init__(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, confirm_timeout_s: float = CONFIRM_TIMEOUT_S
    ) -> None:
        self._address = (host, port)
        self._confirm_timeout_s = confirm_timeout_s
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._packet_bytes_max = 0
        self._devices: set[str] = set()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect_timeout = CONNECT_TIMEOUT_S
        if tls is not None:
            client.tls_set_context(tls)
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._events.put(("subscribed", None))
        client.on_publish = lambda _c, _u, mid, code, _p: self._events.put(("accepted", (mid, code.value)))
        client.on_message = self._on_message
        client.on_disconnect = lambda _c, _u, _f, code, _p: self._events.put(("lost", str(code)))
        self._client = client

    def __enter__(self) -> Self:
        host, port = self._address
        try:
            self._client.connect(host, port)
        except OSError as error:
            raise TransientError(f"gateway {host}:{port} does not answer: {error}") from error
        self._client.loop_start()
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while (event := self._next(deadline)) is not None:
            match event:
                case ("connected", bytes_max):
                    self._packet_bytes_max = bytes_max
                case ("subscribed", _):
                    return self
                case ("lost" | "refused", why):
                    break
        self.__exit__(None, None, None)
        raise TransientError(f"gateway {host}:{port} takes no connection: {why if event else 'no answer'}")

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, letters: Sequence[Letter]) -> dict[str, Failure]:
        """See `Way`."""
        failures: dict[str, Failure] = {}
        by_mid: dict[int, Letter] = {}
        by_identity: dict[Identity, Letter] = {}
        open_keys = set()
        self._devices = {letter.identity[0] for letter in letters if letter.identity is not None}
        for letter in letters:
            why, mid = self._publish(letter)
            if why is not None:
                failures[letter.key] = Failure(why=why, may_have_arrived=False)
                continue
            by_mid[mid] = letter
            open_keys.add(letter.key)
            if letter.identity is not None:
                by_identity[letter.identity] = letter
        deadline = time.monotonic() + self._confirm_timeout_s
        while open_keys and (event := self._next(deadline)) is not None:
            match event:
                case ("accepted", (mid, code)) if mid in by_mid:
                    letter = by_mid[mid]
                    if code >= _REFUSED_FROM or code == _NO_MATCHING_SUBSCRIBERS:
                        failures[letter.key] = Failure(why=_puback_text(code), may_have_arrived=False)
                        open_keys.discard(letter.key)
                    elif letter.identity is None:
                        open_keys.discard(letter.key)
                case ("receipt", (device, payload)):
                    for identity in _confirmed(device, payload, by_identity):
                        open_keys.discard(by_identity[identity].key)
        late = f"no confirmation within {self._confirm_timeout_s:g} s: is the bridge up?"
        return failures | dict.fromkeys(open_keys, Failure(why=late, may_have_arrived=True))

    def _publish(self, letter: Letter) -> tuple[str | None, int]:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        pairs, payload, topic = letter.pairs(), letter.payload or b"", letter.mqtt_topic or ""
        if pairs:
            properties.UserProperty = list(pairs)
        # paho would send a packet that the gateway does not take again and again.
        size = len(payload) + len(topic.encode()) + sum(len(n.encode()) + len(v.encode()) + 5 for n, v in pairs) + 16
        if size > self._packet_bytes_max:
            return f"its packet of about {size} bytes is larger than the gateway takes ({self._packet_bytes_max})", 0
        try:
            sent = self._client.publish(topic, payload, qos=1, properties=properties)
        except ValueError as error:
            return f"not a topic to publish on: {error}", 0
        return (None, sent.mid) if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else (mqtt.error_string(sent.rc), 0)

    def _next(self, deadline: float) -> tuple[str, Any] | None:
        """The next event; None when the deadline has passed."""
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                return self._events.get(timeout=min(POLL_S, left_s))
            except queue.Empty:
                continue
        return None

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        device = message.topic.removeprefix("receipts/")
        if device in self._devices:
            self._events.put(("receipt", (device, message.payload)))

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            self._events.put(("refused", str(code)))
            return
        self._events.put(("connected", getattr(properties, "MaximumPacketSize", 2**28)))
        client.subscribe("receipts/+", qos=1)


class KafkaWay:
    """To the topics that the records were read from, with their keys and headers. Safe when Kafka has confirmed it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._producer = Producer(
            {
                "bootstrap.servers": address,
                "enable.idempotence": True,
                "acks": "all",
                "delivery.timeout.ms": int(CONFIRM_TIMEOUT_S * 1000),
                "message.max.bytes": DEAD_LETTER_RECORD_BYTES_MAX,
            }
        )

    def send(self, letters: Sequence[Letter]) -> dict[str, Failure]:
        """See `Way`."""
        failures: dict[str, Failure] = {}

        def delivered(key: str, error: Any, _record: Any) -> None:
            if error is None:
                del failures[key]
            else:
                failures[key] = Failure(why=str(error), may_have_arrived=True)

        for letter in letters:
            late = f"no confirmation of Kafka at {self._address} within {CONFIRM_TIMEOUT_S:g} s"
            failures[letter.key] = Failure(why=late, may_have_arrived=True)
            try:
                self._producer.produce(
                    letter.kafka_topic,
                    letter.payload,
                    None if letter.device_id is None else letter.device_id.encode(),
                    headers=[(name, value.encode()) for name, value in letter.pairs()],
                    on_delivery=partial(delivered, letter.key),
                )
            except KafkaException as error:
                failures[letter.key] = Failure(why=str(error), may_have_arrived=False)
        self._producer.flush(CONFIRM_TIMEOUT_S + 5)
        return failures


def _confirmed(device: str, payload: bytes, wanted: dict[Identity, Letter]) -> list[Identity]:
    """Those of the wanted identities that a receipt names. Another's message under the topic confirms nothing."""
    try:
        ranges = decode_receipt(payload)
    except ReceiptError:
        return []
    return [
        (name, boot, sequence)
        for name, boot, sequence in wanted
        if name == device and any(first <= sequence <= last for first, last in ranges.get(boot, []))
    ]


def _puback_text(code: int) -> str:
    if code == _NO_MATCHING_SUBSCRIBERS:
        return "nobody listens to its topic at the gateway: the bridge has never been connected"
    return f"the gateway refused it with PUBACK 0x{code:02X}"
