"""JSON lines, as `mosquitto_sub -F %J` and `-F %j` print them, and as we write them.

    {"tst":"2026-11-25T10:15:44.128082Z+0000","topic":"a/b","qos":1,"retain":0,"payloadlen":22,
     "properties":{"user-properties":{"id":"x.1"}},"payload":{"a":1}}

`%j` quotes the payload, `%J` prints it as JSON: `payloadlen` tells which of the two a string is. Ours add `time_ns`,
`payload_b64` where the payload is no text, and `properties_b64` where the readable properties are not the exact ones.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from smartcity.contracts import mqtt
from smartcity.contracts.mqtt import MalformedPacketError

from ..message import Findings, Message

LINE_BYTES_MAX = 8 * 1024 * 1024
_NAMES = {
    0x01: "payload-format-indicator",
    0x02: "message-expiry-interval",
    0x03: "content-type",
    0x08: "response-topic",
    0x09: "correlation-data",
    0x0B: "subscription-identifier",
    0x23: "topic-alias",
}
"""As mosquitto_sub names the properties of a PUBLISH."""
_NUMBER_BYTES = {0x01: 1, 0x02: 4, 0x23: 2}
_IDS = {name: kind for kind, name in _NAMES.items()}
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z?([+-]\d\d):?(\d\d)|(\d{4}-\d\d-\d\dT[\d:.]+)Z")
_DECODER = json.JSONDecoder(object_pairs_hook=list)


def write(message: Message, file: BinaryIO) -> None:
    """One line."""
    document: dict[str, Any] = {
        "tst": _stamp(message.time_ns),
        "time_ns": message.time_ns,
        "topic": message.topic,
        "qos": message.qos,
        "retain": int(message.retain),
        "payloadlen": len(message.payload),
    }
    if message.properties:
        readable = _readable(message.properties)
        if readable:
            document["properties"] = readable
        if _properties(list(_pairs(readable))) != message.properties:
            document["properties_b64"] = base64.b64encode(message.properties).decode()
    try:
        document["payload"] = message.payload.decode()
    except UnicodeDecodeError:
        document["payload_b64"] = base64.b64encode(message.payload).decode()
    file.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")


def read(path: Path, findings: Findings) -> Iterator[Message]:
    """The messages in the order of the file. A line that cannot be read is damage; those after it are read."""
    with path.open("rb") as file:
        at, number = 0, 0
        while line := file.readline(LINE_BYTES_MAX):
            number += 1
            if line.strip():
                try:
                    yield parse_line(line, findings)
                except (ValueError, KeyError, TypeError) as error:
                    what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
                    end = "" if line.endswith(b"\n") else "; the file is cut here"
                    findings.damage(f"line {number}, byte {at}", f"not a message in JSON: {what}{end}")
            at += len(line)


def parse_line(line: bytes, findings: Findings) -> Message:
    """
    Raises:
        ValueError, KeyError, TypeError: it is not a message.
    """
    text = line.decode("utf-8", "surrogateescape").strip()
    fields, spans = _object(text)
    topic, qos = fields["topic"], int(fields.get("qos", 0))
    if not isinstance(topic, str) or not topic or not 0 <= qos <= 2:
        raise ValueError(f"topic {str(topic)[:60]!r} with QoS {qos}")
    topic.encode()
    time_ns = fields["time_ns"] if "time_ns" in fields else parse_time_ns(str(fields["tst"]))
    if "properties_b64" in fields:
        properties = base64.b64decode(fields["properties_b64"], validate=True)
    else:
        properties = _properties(fields.get("properties", []))
    payload = _payload(fields, spans, text, findings)
    return Message(int(time_ns), topic, qos, bool(int(fields.get("retain", 0))), properties, payload)


def parse_time_ns(text: str) -> int:
    """Nanoseconds since 1970 of an ISO 8601 time with zone, or of mosquitto_sub's `…Z+0000`; digits beyond the
    nanosecond are dropped.

    Raises:
        ValueError: it is neither.
    """
    match = _STAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a time with a zone")
    clock, _, fraction = (match[1] or match[4]).partition(".")
    zone = f"{match[2]}:{match[3]}" if match[1] else "+00:00"
    seconds = int(datetime.fromisoformat(clock + zone).timestamp())
    return seconds * 1_000_000_000 + int(fraction[:9].ljust(9, "0") or "0")


def _object(text: str) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    """The fields of a JSON object, and where the value of each stands. Nested objects are lists of pairs."""
    fields: dict[str, Any] = {}
    spans: dict[str, tuple[int, int]] = {}
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("no JSON object")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        name, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if not isinstance(name, str) or text[at : at + 1] != ":":
            raise ValueError(f"no name and value at character {at}")
        start = _skip(text, at + 1)
        fields[name], end = _DECODER.raw_decode(text, start)
        spans[name] = (start, end)
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "}":
            raise ValueError(f"no comma at character {at}")
    if text[at + 1 :].strip():
        raise ValueError("something follows the object")
    return fields, spans


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t":
        at += 1
    return at


def _payload(fields: dict[str, Any], spans: dict[str, tuple[int, int]], text: str, findings: Findings) -> bytes:
    if "payload_b64" in fields:
        try:
            return base64.b64decode(fields["payload_b64"], validate=True)
        except binascii.Error as error:
            raise ValueError(f"payload_b64 is no base64: {error}") from error
    value, length = fields.get("payload"), fields.get("payloadlen")
    raw = b"" if "payload" not in spans else _bytes(text[slice(*spans["payload"])])
    candidates = [_bytes(value)] if isinstance(value, str) else []
    candidates += [raw] if value is not None or raw else [b""]
    for candidate in candidates:
        if length is None or len(candidate) == length:
            return candidate
    if isinstance(value, str):
        raise ValueError(f"the payload has {len(candidates[0])} of {length} bytes: it was no text")
    findings.skipped["payloads' original spelling: mosquitto_sub -F %J wrote their JSON anew"] += 1
    return raw


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _readable(properties: bytes) -> dict[str, Any]:
    """As mosquitto_sub shows them; what it cannot show is left out, and `properties_b64` has it."""
    found: dict[str, Any] = {}
    users: dict[str, str] = {}
    try:
        parts = mqtt.split_properties(properties)
    except MalformedPacketError:
        return {}
    for kind, value in parts:
        if kind == mqtt.USER_PROPERTY:
            name, text = mqtt.user_pair(value)
            users.setdefault(name, text)
        elif kind in _NUMBER_BYTES:
            found[_NAMES[kind]] = int.from_bytes(value)
        elif kind in _NAMES and kind != mqtt.SUBSCRIPTION_ID:
            found[_NAMES[kind]] = value[2:].decode(errors="replace")
    return {**found, "user-properties": users} if users else found


def _pairs(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        yield name, list(value.items()) if isinstance(value, dict) else value


def _properties(pairs: list[Any]) -> bytes:
    """Property bytes of mosquitto_sub's object, given as a list of pairs."""
    parts = []
    for name, value in pairs:
        if name == "user-properties":
            parts += [mqtt.user_property(str(key), str(text)) for key, text in value]
        elif name in _IDS and _IDS[name] in _NUMBER_BYTES:
            parts.append(bytes((_IDS[name],)) + int(value).to_bytes(_NUMBER_BYTES[_IDS[name]]))
        elif name in _IDS and _IDS[name] != mqtt.SUBSCRIPTION_ID:
            encoded = _bytes(str(value))
            parts.append(bytes((_IDS[name],)) + len(encoded).to_bytes(2) + encoded)
    return b"".join(parts)


def _stamp(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds // 1000:06d}Z+0000"
