"""What a configuration guarantees, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smartcity.contracts.limits import MQTT_PACKET_BYTES_MAX

from .errors import ConfigurationError

Level = Literal["good", "note", "bad"]
DEFAULT_QUEUE_MESSAGES = 1000
DEFAULT_INFLIGHT_MESSAGES = 20
DEFAULT_AUTOSAVE_S = 1800
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """For what the queues are judged: the bridge away for so long, at such a rate."""

    rate_per_s: int = 100
    seconds: int = 10


OUTAGE = Outage()


def judge(settings: dict[str, list[str]], outage: Outage = OUTAGE) -> list[Finding]:
    """What these settings mean for readings that pass the gateway.

    Raises:
        ConfigurationError: a number is none.
    """

    def last(name: str, default: str) -> str:
        return settings.get(name, [default])[-1]

    def number(name: str, default: int) -> int:
        try:
            return int(last(name, str(default)))
        except ValueError as error:
            raise ConfigurationError(f"{name} is {last(name, '')!r}, not a whole number") from error

    findings = _judge_listeners(settings, anonymous=last("allow_anonymous", "false") == "true")
    if "cafile" in settings:
        findings += _judge_identities(settings)
    findings.append(judge_packet(number("max_packet_size", 0)))
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
    findings.append(
        _judge_queue(number("max_queued_messages", DEFAULT_QUEUE_MESSAGES), number("max_queued_bytes", 0), outage)
    )
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
        elif "cafile" in settings:
            findings.append(Finding(level="good", text=f"listens on {where} with TLS"))
        else:
            text = f"listens on {where} without TLS: whoever is on the way reads and changes everything; set cafile"
            findings.append(Finding(level="bad", text=text))
    if not findings:
        findings.append(Finding(level="note", text="no listener is set: Mosquitto 2 listens on 127.0.0.1:1883 only"))
    return findings


_IDENTITY_SETTINGS = {
    "require_certificate": "anybody may connect without a certificate",
    "use_identity_as_username": "a certificate's name does not decide what its holder may do",
    "use_username_as_clientid": "a client may take another's session over by its client id",
}
_IDENTITY_FILES = {
    "crlfile": "a lost device cannot be locked out",
    "acl_file": "every device may write for every other, and read everything",
}


def _judge_identities(settings: dict[str, list[str]]) -> list[Finding]:
    """Where there is TLS: whether each client is who it says, and may do only its own."""
    wrong = {name: why for name, why in _IDENTITY_SETTINGS.items() if settings.get(name, ["false"])[-1] != "true"}
    wrong |= {name: why for name, why in _IDENTITY_FILES.items() if name not in settings}
    if wrong:
        return [Finding(level="bad", text=f"{name} is not set: {why}") for name, why in wrong.items()]
    text = "user and client id are the certificate's name, the ACL says what it may do, revoked ones are refused"
    return [Finding(level="good", text=text)]


def _judge_queue(messages: int, queued_bytes: int, outage: Outage) -> Finding:
    """Mosquitto drops silently beyond either limit; 0 is none."""
    limits = [f"{messages} messages"] if messages else []
    limits += [f"{queued_bytes // 1024} KiB"] if queued_bytes else []
    queue = f"queue of {' or '.join(limits) or 'any size'}"
    waiting = outage.rate_per_s * outage.seconds
    scene = f"an outage of {outage.seconds} s at {outage.rate_per_s} msg/s"
    if messages and waiting >= messages:
        return Finding(level="note", text=f"{queue}: {scene} drops messages from devices without outbox")
    room = f", {queued_bytes // waiting} bytes per message" if queued_bytes else ""
    longest = f"; the longest without loss is {messages // outage.rate_per_s} s" if messages else ""
    return Finding(level="good", text=f"{queue}: {scene} drops nothing{room}{longest}")


def judge_packet(packet_bytes: int) -> Finding:
    if packet_bytes == MQTT_PACKET_BYTES_MAX:
        return Finding(level="good", text=f"packets up to {packet_bytes} bytes pass, the contract's limit")
    if packet_bytes == 0 or packet_bytes > MQTT_PACKET_BYTES_MAX:
        size = f"of {packet_bytes} bytes" if packet_bytes else "of any size"
        text = f"packets {size} pass: Kafka's limits are made for {MQTT_PACKET_BYTES_MAX}; set max_packet_size"
        return Finding(level="bad", text=text)
    text = f"packets over {packet_bytes} bytes are refused, though the contract allows {MQTT_PACKET_BYTES_MAX}"
    return Finding(level="note", text=text)
