"""A message as it came from the gateway, and the Kafka record that it becomes.

These are made once per message and are msgspec structs, which cost a tenth of a frozen dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from smartcity.contracts.envelope import format_time
from smartcity.contracts.limits import EVENT_TIME_AHEAD_MAX_S
from smartcity.contracts.reasons import Reason

from .publish import user_properties
from .route import Route
from .stamp import Stamp

Identity = tuple[str, str, int]
"""Device (as the topic says), boot and sequence: what a receipt confirms."""


@dataclass(frozen=True, slots=True, eq=False)
class Reception:
    """When messages were read from the gateway: one for all packets of one read."""

    at: datetime
    event_time_max: datetime
    """The latest event time that is not ahead (EVENT_TIME_AHEAD_MAX_S)."""
    header: bytes
    """The moment, as the record's header has it."""

    @classmethod
    def of(cls, at: datetime) -> Reception:
        """Of a moment."""
        return cls(at, at + timedelta(seconds=EVENT_TIME_AHEAD_MAX_S), format_time(at).encode())

    @classmethod
    def now(cls) -> Reception:
        """Of this moment."""
        return cls.of(datetime.now(UTC))


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False, eq=False):
    """One MQTT PUBLISH. `epoch` counts connections: a packet id means something within its own epoch only."""

    route: Route
    payload: bytes
    property_bytes: bytes
    """As on the wire; known to be well-formed, except with a raw route, which does not look at them."""
    stamp: Stamp | None
    """The envelope, where it has the usual form."""
    qos: int
    retain: bool
    packet_id: int
    epoch: int
    reception: Reception

    @property
    def topic(self) -> str:
        return self.route.topic

    @property
    def label(self) -> str:
        """For counters."""
        return self.route.label

    @property
    def ignored(self) -> bool:
        """Acknowledged and not produced: a retained message (the gateway repeats it at every subscription; it was
        produced when it was live) and a device's status, which other listeners read from the gateway itself."""
        return self.retain or self.route.ignored

    @property
    def received_at(self) -> datetime:
        return self.reception.at

    @property
    def properties(self) -> tuple[tuple[str, str], ...]:
        """User properties, in their order."""
        return user_properties(self.property_bytes)


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False, eq=False):
    """A Kafka record to be produced."""

    topic: str
    key: bytes | None
    value: bytes
    headers: dict[str, bytes]
    """In their order. The producer takes a dict a third cheaper than a list of pairs."""
    reason: Reason | None = None
    """Set on dead letters only."""
    identity: Identity | None = None
    """Whom a receipt is owed; None for foreign messages and where the envelope's id or source was unreadable."""
    sent_at: datetime | None = None
    """Wall clock of the device at publishing, where it said so."""

    @property
    def bytes_estimated(self) -> int:
        """Size as Kafka's limits count it: key, value, headers, and at most 70 bytes of framing and 10 per header."""
        headers = sum(len(name.encode()) + len(value) + 10 for name, value in self.headers.items())
        return 70 + len(self.key or b"") + len(self.value) + headers
