"""One second of the world's clock, with the texts that sensors need of it made once for all devices.

Most devices look at the world somewhere within a second: each at its own hundredth, the same one in every second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smartcity.contracts.envelope import format_time

HUNDREDTHS = tuple(timedelta(milliseconds=10 * hundredth) for hundredth in range(100))
"""Of a second: as finely as NMEA 0183 writes time."""
NMEA_HUNDREDTHS = tuple(f".{hundredth:02d}" for hundredth in range(100))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A second, from its begin. `seconds` counts from 1970 in UTC."""

    seconds: int
    time: datetime
    nmea_time: str
    """`hhmmss`"""
    nmea_date: str
    """`ddmmyy`"""
    rfc3339: str


def moment(seconds: int) -> Moment:
    """The moment at a count of seconds since 1970."""
    time = datetime.fromtimestamp(seconds, tz=UTC)
    return Moment(
        seconds=seconds,
        time=time,
        nmea_time=f"{time:%H%M%S}",
        nmea_date=f"{time:%d%m%y}",
        rfc3339=format_time(time),
    )
