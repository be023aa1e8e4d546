"""What a running broker announces."""

from __future__ import annotations

import threading
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from smartcity.contracts.identity import Identity

from .check import Finding, judge_packet
from .errors import BrokerError

ANSWER_TIMEOUT_S = 5.0


def ask_broker(host: str, port: int, identity: Identity | None = None) -> list[Finding]:
    """What a running broker announces in its CONNACK, and its version; asked over TLS with an identity.

    Raises:
        BrokerError: it does not answer, refuses us, or speaks no MQTT 5.
    """
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    if identity is not None:
        client.tls_set_context(identity.tls())
    connected, versioned = threading.Event(), threading.Event()
    seen: dict[str, Any] = {}

    def on_connect(client: mqtt.Client, _data: Any, _flags: Any, reason: Any, properties: Any) -> None:
        seen["reason"], seen["properties"] = reason, properties
        client.subscribe("$SYS/broker/version")
        connected.set()

    def on_message(_client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        seen["version"] = message.payload.decode("utf-8", "replace")
        versioned.set()

    client.on_connect = on_connect
    client.on_message = on_message
    try:
        client.connect(host, port)
    except OSError as error:
        raise BrokerError(f"no broker answers at {host}:{port}: {error}") from error
    client.loop_start()
    try:
        if not connected.wait(ANSWER_TIMEOUT_S):
            raise BrokerError(f"{host}:{port} accepts connections, but sends no MQTT 5 CONNACK")
        if seen["reason"].is_failure:
            raise BrokerError(f"{host}:{port} refuses the connection: {seen['reason']}")
        versioned.wait(ANSWER_TIMEOUT_S)
    finally:
        client.disconnect()
        client.loop_stop()
    packet = int(getattr(seen["properties"], "MaximumPacketSize", 0))
    receive = getattr(seen["properties"], "ReceiveMaximum", 65_535)
    text = f"{host}:{port} runs ({seen.get('version', 'version unknown')}), Receive Maximum {receive}"
    return [Finding(level="good", text=text), judge_packet(packet)]
