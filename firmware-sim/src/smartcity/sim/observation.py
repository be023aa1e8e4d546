"""What the world hands to a device: one reading before it has an identity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smartcity.contracts.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """That a fault of a plan struck a reading: ground truth, which no device could know."""

    fault: int
    """Its number in the plan, from 1."""
    kind: str
    detail: str
    delay_readings: int = 0
    """How many later readings of the device overtake this one (`reorder`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A native payload, when it was observed (event time, UTC) and by which device.

    The world yields observations in order of (time, device, stream), the same ones for the same seed and start.
    """

    device_id: str
    stream: Stream
    time: datetime
    payload: bytes
    metadata: str | None
    """JSON object for the user property `metadata`, keys sorted, no spaces; None where the stream needs none."""
    faults: tuple[Injected, ...] = ()
    """What a plan of faults did to it; the payload is already what is left of it."""
