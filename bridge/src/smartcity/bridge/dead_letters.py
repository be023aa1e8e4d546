"""What is refused is kept: the original bytes, where they came from, and why."""

from __future__ import annotations

import hashlib
import json

from smartcity.contracts import envelope as names
from smartcity.contracts.envelope import ATTRIBUTES, EnvelopeError, parse_id
from smartcity.contracts.limits import DEAD_LETTER_RECORD_BYTES_MAX, DETAIL_CHARACTERS_MAX
from smartcity.contracts.topics import DEAD_LETTERS_TOPIC, parse_device_topic

from .errors import Reject
from .message import Identity, Message, Record

VALUE_BYTES_MAX = DEAD_LETTER_RECORD_BYTES_MAX - 1024 * 1024
"""Longer payloads are cut. No gateway with our limits lets one through; another's may (MQTT allows 256 MiB)."""
PROPERTIES_BYTES_MAX = 768 * 1024
"""Of the JSON list of user properties; pairs beyond it are left out."""
ATTRIBUTE_BYTES_MAX = 1024
"""Of one `ce_*` header."""


def dead_letter(message: Message, refused: Reject) -> Record:
    """The dead letter of a message.

    Guarantees: never larger than the topic allows. What had to be cut is named in `detail`, and `payload_sha256` is
    always of the whole payload.
    """
    notes = []
    value = message.payload
    if len(value) > VALUE_BYTES_MAX:
        value = value[:VALUE_BYTES_MAX]
        notes.append(f"the payload's {len(message.payload)} bytes are cut to {VALUE_BYTES_MAX}")
    properties, left_out = _properties(message.properties)
    if left_out:
        notes.append(f"{left_out} user properties are left out")
    detail = _detail(refused.detail, notes)
    device = device_of(message)
    headers = {
        names.HEADER_REASON: refused.reason.value.encode(),
        names.HEADER_DETAIL: detail.encode(errors="replace"),
        names.HEADER_MQTT_TOPIC: message.topic.encode(errors="replace"),
        names.HEADER_PROPERTIES: properties,
        names.HEADER_PAYLOAD_SHA256: hashlib.sha256(message.payload).hexdigest().encode(),
        names.HEADER_BRIDGE_TIME: message.reception.header,
        **_attributes(dict(message.properties)),
    }
    return Record(
        topic=DEAD_LETTERS_TOPIC,
        key=None if device is None else device.encode(),
        value=value,
        headers=headers,
        reason=refused.reason,
        identity=identity_of(message),
    )


def device_of(message: Message) -> str | None:
    """The device that the topic names, or None."""
    parsed = parse_device_topic(message.topic)
    return None if parsed is None else parsed[0]


def identity_of(message: Message) -> Identity | None:
    """Whom to send a receipt for a message that was refused: only where its id is readable and its source is the
    device that the topic names, so that nobody can confirm another's readings."""
    device = device_of(message)
    found = dict(message.properties)
    if device is None or found.get("source") != f"/devices/{device}":
        return None
    try:
        boot, sequence = parse_id(found.get("id", ""))
    except EnvelopeError:
        return None
    return device, boot, sequence


def _detail(detail: str, notes: list[str]) -> str:
    suffix = "".join(f" ({note})" for note in notes)
    return detail[: DETAIL_CHARACTERS_MAX - len(suffix)] + suffix


def _properties(pairs: tuple[tuple[str, str], ...]) -> tuple[bytes, int]:
    """JSON list of the pairs, and how many did not fit."""
    kept, size = [], 2
    for pair in pairs:
        encoded = json.dumps(pair, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        if size + len(encoded) + 1 > PROPERTIES_BYTES_MAX:
            break
        size += len(encoded) + 1
        kept.append(encoded)
    return b"[" + b",".join(kept) + b"]", len(pairs) - len(kept)


def _attributes(found: dict[str, str]) -> dict[str, bytes]:
    """`ce_*` headers as far as the envelope has them, unchecked."""
    return {
        names.HEADER_PREFIX + name: value.encode(errors="replace")
        for name in (*ATTRIBUTES, "senttime")
        if (value := found.get(name)) is not None and len(value.encode(errors="replace")) <= ATTRIBUTE_BYTES_MAX
    }
