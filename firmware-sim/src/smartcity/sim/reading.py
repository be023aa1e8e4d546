"""A reading: an observation that has been given its identity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smartcity.contracts.envelope import Envelope
from smartcity.contracts.streams import Stream

Key = tuple[str, int]
"""Boot and sequence: what identifies a reading within its device."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One publish, as the outbox keeps it and the device sends it."""

    device_id: str
    boot: str
    sequence: int
    stream: Stream
    time: datetime
    payload: bytes
    metadata: str | None

    @property
    def key(self) -> Key:
        return self.boot, self.sequence

    def envelope(self, sent_time: datetime) -> Envelope:
        """The CloudEvents attributes of a publish at this wall-clock time."""
        return Envelope(
            boot=self.boot,
            sequence=self.sequence,
            device_id=self.device_id,
            event_type=self.stream.event_type,
            time=self.time,
            sent_time=sent_time,
        )


def to_us(time: datetime) -> int:
    """Microseconds since 1970 UTC, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The inverse of `to_us`."""
    return _EPOCH + timedelta(microseconds=microseconds)
