"""What a configuration guarantees, in sentences: read from a file, and from a running broker where one is given."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from smartcity.contracts.limits import MQTT_PACKET_BYTES_MAX

from .errors import BrokerError, ConfigurationError

Level = Literal["good", "note", "bad"]
DEFAULT_QUEUE_MESSAGES = 1000
DEFAULT_INFLIGHT_MESSAGES = 20
DEFAULT_AUTOSAVE_S = 1800
ANSWER_TIMEOUT_S = 5.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence about the gateway. `bad` breaks a promise of the system, `note` is worth knowing."""

    level: Level
    text: str


def read_configuration(path: Path) -> dict[str, list[str]]:
    """Setting to its values in order (a listener may appear more than once).

    Raises:
        ConfigurationError: the file cannot be read, or a line has no value.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    return parse_configuration(text, str(path))


def parse_configuration(text: str, name: str) -> dict[str, list[str]]:
    """The same from a text; `name` is what errors call it.

    Raises:
        ConfigurationError: a line has no value.
    """
    settings: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        setting, _, value = line.strip().partition(" ")
        if not value.strip():
            raise ConfigurationError(f"{name} line {number}: {setting} has no value")
        settings.setdefault(setting, []).append(value.strip())
    return settings


def judge(settings: dict[str, list[str]]) -> list[Finding]:
    """What these settings mean for readings that pass the gateway."""

    def last(name: str, default: str) -> str:
        return settings.get(name, [default])[-1]

    def number(name: str, default: int) -> int:
        try:
            return int(last(name, str(default)))
        except ValueError as error:
            raise ConfigurationError(f"{name} is {last(name, '')!r}, not a whole number") from error

    findings = _judge_listeners(settings, anonymous=last("allow_anonymous", "false") == "true")
    findings.append(_judge_packet(number("max_packet_size", 0)))
    if "message_size_limit" in settings:
        text = "message_size_limit is set: it answers PUBACK 0x95, and the reading is sent again for ever; remove it"
        findings.append(Finding(level="bad", text=text))
    if last("persistence", "false") == "true":
        interval = number("autosave_interval", DEFAULT_AUTOSAVE_S)
        text = f"sessions and queues survive a restart; a kill costs what came in the last {interval} s"
        findings.append(Finding(level="good" if interval <= 60 else "note", text=text))
    else:
        text = "persistence is off: a restart forgets the bridge's session and its queue; set persistence true"
        findings.append(Finding(level="bad", text=text))
    queue = number("max_queued_messages", DEFAULT_QUEUE_MESSAGES)
    text = f"up to {queue or 'any number of'} messages wait for an absent bridge; beyond that they are dropped silently"
    findings.append(Finding(level="note" if queue <= DEFAULT_QUEUE_MESSAGES and queue else "good", text=text))
    inflight = number("max_inflight_messages", DEFAULT_INFLIGHT_MESSAGES)
    text = f"{inflight or 'any number of'} messages may await a PUBACK per client"
    findings.append(Finding(level="note" if 0 < inflight <= DEFAULT_INFLIGHT_MESSAGES else "good", text=text))
    findings.append(Finding(level="note", text=GUARANTEE))
    return findings


GUARANTEE = (
    "guarantee: a PUBACK of this gateway means that the message is in its memory, not that it is stored; "
    "a device keeps each reading until a receipt on receipts/<device> says that Kafka has it"
)


def _judge_listeners(settings: dict[str, list[str]], *, anonymous: bool) -> list[Finding]:
    findings = []
    for listener in settings.get("listener", []):
        port, _, host = listener.partition(" ")
        loopback = host.strip() in LOOPBACK
        where = f"port {port} of {host.strip() or 'every interface'}"
        if loopback:
            findings.append(Finding(level="good", text=f"listens on {where}: this machine only"))
        elif anonymous:
            text = f"listens on {where} for anybody: bind it to 127.0.0.1, or set allow_anonymous false with identities"
            findings.append(Finding(level="bad", text=text))
        else:
            findings.append(Finding(level="note", text=f"listens on {where} for known identities"))
    if not findings:
        findings.append(Finding(level="note", text="no listener is set: Mosquitto 2 listens on 127.0.0.1:1883 only"))
    return findings


def _judge_packet(packet_bytes: int) -> Finding:
    if packet_bytes == MQTT_PACKET_BYTES_MAX:
        return Finding(level="good", text=f"packets up to {packet_bytes} bytes pass, the contract's limit")
    if packet_bytes == 0 or packet_bytes > MQTT_PACKET_BYTES_MAX:
        size = f"of {packet_bytes} bytes" if packet_bytes else "of any size"
        text = f"packets {size} pass: Kafka's limits are made for {MQTT_PACKET_BYTES_MAX}; set max_packet_size"
        return Finding(level="bad", text=text)
    text = f"packets over {packet_bytes} bytes are refused, though the contract allows {MQTT_PACKET_BYTES_MAX}"
    return Finding(level="note", text=text)


def ask_broker(host: str, port: int) -> list[Finding]:
    """What a running broker announces in its CONNACK, and its version.

    Raises:
        BrokerError: it does not answer, refuses us, or speaks no MQTT 5.
    """
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
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
    return [Finding(level="good", text=text), _judge_packet(packet)]
