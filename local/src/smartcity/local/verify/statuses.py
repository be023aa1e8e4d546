"""The devices' retained status, read from the gateway: how far each boot has got, where its log is out of reach."""

from __future__ import annotations

import queue
import time
from contextlib import suppress

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from smartcity.contracts.identity import Identity
from smartcity.contracts.status import Status, StatusError, decode_status
from smartcity.contracts.topics import STATUS_LEAF, parse_device_topic

from .errors import VerifyError

CONNECT_TIMEOUT_S = 5.0
QUIET_S = 0.5
"""Retained messages come at once after SUBACK; this long without one means that all have come."""


class GatewayUnreachableError(VerifyError):
    """The gateway did not answer."""


def read_statuses(
    host: str, port: int, *, identity: Identity | None = None, timeout_s: float = CONNECT_TIMEOUT_S
) -> dict[str, Status]:
    """The retained status of every device, by device; statuses that are none are left out.

    Raises:
        GatewayUnreachableError: no connection within `timeout_s` seconds.
    """
    messages: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    if identity is not None:
        client.tls_set_context(identity.tls())
    client.on_connect = lambda c, *_: c.subscribe(f"devices/+/{STATUS_LEAF}", qos=1)
    client.on_subscribe = lambda *_: messages.put(None)
    client.on_message = lambda _c, _u, message: messages.put((message.topic, bytes(message.payload)))
    try:
        client.connect(host, port)
        client.loop_start()
        messages.get(timeout=timeout_s)
    except (OSError, queue.Empty) as error:
        raise GatewayUnreachableError(
            f"the gateway at {host}:{port} does not answer: is it running (`smartcity status`)?"
        ) from error
    found: dict[str, Status] = {}
    try:
        deadline = time.monotonic() + timeout_s
        with suppress(queue.Empty):
            while time.monotonic() < deadline:
                message = messages.get(timeout=QUIET_S)
                parsed = parse_device_topic(message[0]) if message else None
                if message and parsed:
                    with suppress(StatusError):
                        found[parsed[0]] = decode_status(message[1])
    finally:
        client.disconnect()
        client.loop_stop()
    return found
