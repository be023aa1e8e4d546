"""The envelope: CloudEvents 1.0 attributes in MQTT 5 user properties, and their way on into Kafka headers.

Sources: CloudEvents 1.0.2 core, MQTT protocol binding (binary content mode), Kafka protocol binding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from .limits import DEVICE_NAME_PATTERN

SPEC_VERSION = "1.0"
METADATA_PROPERTY = "metadata"
"""User property whose JSON object carries what the native payload cannot."""

BOOT_CHARACTERS = 16
BOOT_ID_PATTERN = rf"[0-9a-f]{{{BOOT_CHARACTERS}}}\.[1-9][0-9]{{0,17}}"
"""`<boot>.<sequence>`, the id of a reading of our devices."""

_ID = re.compile(BOOT_ID_PATTERN)
_SOURCE = re.compile(rf"/devices/({DEVICE_NAME_PATTERN})")
ATTRIBUTES = ("specversion", "id", "source", "type", "time")


class EnvelopeError(ValueError):
    """The attributes are not a valid envelope. The message names the attribute and its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A reading's identity and times. `sent_time` is None where a foreign device left it out."""

    boot: str
    """16 hexadecimal digits: 64 random bits, new at every start of a device."""
    sequence: int
    """1 for the first reading of a boot, then without gaps, across all streams of the device."""
    device_id: str
    event_type: str
    time: datetime
    sent_time: datetime | None = None

    @property
    def id(self) -> str:
        return f"{self.boot}.{self.sequence}"

    def properties(self) -> list[tuple[str, str]]:
        """MQTT 5 user properties, in the order of the specification."""
        pairs = [
            ("specversion", SPEC_VERSION),
            ("id", self.id),
            ("source", f"/devices/{self.device_id}"),
            ("type", self.event_type),
            ("time", format_time(self.time)),
        ]
        if self.sent_time is not None:
            pairs.append(("senttime", format_time(self.sent_time)))
        return pairs


def read_envelope(properties: Iterable[tuple[str, str]]) -> Envelope | None:
    """The envelope in a message's user properties, or None where there is none at all (a foreign message).

    Raises:
        EnvelopeError: some attributes are there, but not all, or not well formed.
    """
    found = dict(properties)
    if "specversion" not in found and "id" not in found:
        return None
    for name in ATTRIBUTES:
        if name not in found:
            raise EnvelopeError(f"attribute {name} is missing")
    if found["specversion"] != SPEC_VERSION:
        raise EnvelopeError(f"specversion is {found['specversion']!r}, not {SPEC_VERSION!r}")
    boot, sequence = parse_id(found["id"])
    source = _SOURCE.fullmatch(found["source"])
    if source is None:
        raise EnvelopeError(f"source is {found['source']!r}, not /devices/<device>")
    sent = found.get("senttime")
    return Envelope(
        boot=boot,
        sequence=sequence,
        device_id=source[1],
        event_type=found["type"],
        time=parse_time("time", found["time"]),
        sent_time=None if sent is None else parse_time("senttime", sent),
    )


def parse_id(value: str) -> tuple[str, int]:
    """Boot and sequence of an id.

    Raises:
        EnvelopeError: it is not `<16 hex digits>.<positive number>`.
    """
    if _ID.fullmatch(value) is None:
        raise EnvelopeError(f"id is {value!r}, not <16 hexadecimal digits>.<sequence>")
    return value[:BOOT_CHARACTERS], int(value[BOOT_CHARACTERS + 1 :])


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds, e.g. `2026-11-21T08:00:00.000000Z`. The value must be aware."""
    return value.astimezone(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def parse_time(name: str, value: str) -> datetime:
    """An RFC 3339 time, as UTC.

    Raises:
        EnvelopeError: it is not one, or has no time zone.
    """
    try:
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is not None:
            return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise EnvelopeError(f"{name} is {value[:40]!r}, not an RFC 3339 time with a zone")


# The Kafka side. CloudEvents attributes become `ce_*` headers (CloudEvents Kafka binding 3.2.3); the others are ours.
HEADER_PREFIX = "ce_"
HEADER_CONTENT_TYPE = "content-type"
HEADER_PAYLOAD_SHA256 = "payload_sha256"
HEADER_BRIDGE_TIME = "bridgetime"
HEADER_READING = "reading"
"""Camera only: the decoded contract as JSON, since the record's value is the JPEG itself."""
HEADER_REASON = "reason"
HEADER_DETAIL = "detail"
HEADER_MQTT_TOPIC = "mqtt_topic"
HEADER_PROPERTIES = "properties"
"""Dead letters only: the MQTT 5 user properties as a JSON list of pairs."""
