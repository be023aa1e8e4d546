"""One second of the world's clock, with the texts that sensors need of it made once for all devices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from smartcity.contracts.envelope import format_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A whole second. `seconds` counts from 1970 in UTC."""

    seconds: int
    time: datetime
    nmea_time: str
    """`hhmmss.ss`"""
    nmea_date: str
    """`ddmmyy`"""
    rfc3339: str


def moment(seconds: int) -> Moment:
    """The moment at a count of seconds since 1970."""
    time = datetime.fromtimestamp(seconds, tz=UTC)
    return Moment(
        seconds=seconds,
        time=time,
        nmea_time=f"{time:%H%M%S}.00",
        nmea_date=f"{time:%d%m%y}",
        rfc3339=format_time(time),
    )
