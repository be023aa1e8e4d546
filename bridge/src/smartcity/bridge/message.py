"""A message as it came from the gateway, and the Kafka record that it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smartcity.contracts.reasons import Reason
from smartcity.contracts.topics import STATUS_LEAF, parse_device_topic, stream_of_topic

Identity = tuple[str, str, int]
"""Device (as the topic says), boot and sequence: what a receipt confirms."""

STATUS_LABEL = "status"
UNKNOWN_LABEL = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One MQTT PUBLISH. `epoch` counts connections: a packet id means something within its own epoch only."""

    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]
    """User properties, in their order."""
    qos: int
    retain: bool
    packet_id: int
    epoch: int
    received_at: datetime

    @property
    def label(self) -> str:
        """The stream's name for counters; `status`, or `unknown` where the topic belongs to no stream."""
        found = stream_of_topic(self.topic)
        if found is not None:
            return found[1].name
        parsed = parse_device_topic(self.topic)
        return STATUS_LABEL if parsed is not None and parsed[1] == STATUS_LEAF else UNKNOWN_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A Kafka record to be produced."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    reason: Reason | None = None
    """Set on dead letters only."""
    identity: Identity | None = None
    """Whom a receipt is owed; None for foreign messages and where the envelope's id or source was unreadable."""
    sent_at: datetime | None = None
    """Wall clock of the device at publishing, where it said so."""

    @property
    def bytes_estimated(self) -> int:
        """Size as Kafka's limits count it: key, value, headers, and at most 70 bytes of framing and 10 per header."""
        headers = sum(len(name.encode()) + len(value) + 10 for name, value in self.headers)
        return 70 + len(self.key or b"") + len(self.value) + headers
