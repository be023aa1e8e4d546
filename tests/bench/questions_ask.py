"""The ten questions, asked of both layouts through the local Athena: the saved queries of `smartcity.aws`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from questions_rows import Departure

from smartcity.aws.query import run_query
from smartcity.aws.saved import saved_query
from smartcity.aws.settings import Settings

FROM_TABLES = "_from_tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One of the ten. `lake` is asked of the lake (of its marts, where they hold the answer), `tables` of the streams'
    tables alone, and of the tutorial layout."""

    name: str
    lake: str
    tables: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A layout's answer, and how long the local Athena took, from asking to the last row."""

    rows: tuple[tuple[Any, ...], ...]
    seconds: float


def questions(
    first_day: date, days: int, track: Departure, track_s: int, *, active_at: datetime
) -> tuple[Question, ...]:
    """In the order of the issue. `track` is the vehicle that the last one asks for; its drive lasts `track_s`. At
    `active_at` an incident is under way."""
    last_day = first_day + timedelta(days=days - 1)
    all_days = {"first_day": first_day.isoformat(), "last_day": last_day.isoformat()}
    under_way = {"until": (track.start + timedelta(seconds=3 * track_s / 4)).isoformat()}
    one_day = {"route": "london-birmingham", "day": (first_day + timedelta(days=days // 2)).isoformat()}
    journey = {
        "device_id": track.device_id, "since": track.start.isoformat(),
        "until": (track.start + timedelta(seconds=track_s)).isoformat(),
    }  # fmt: skip
    return (
        _question("speed_by_route_and_hour", all_days, mart=True),
        _question("speed_by_10_km", one_day, mart=True),
        _question("slowest_kilometres", under_way),
        _question("speed_against_weather", all_days, mart=True),
        _question("incident_response", all_days, mart=True),
        _question("active_incidents", {"until": active_at.isoformat()}),
        _question("worst_air_quality", all_days),
        _question("fuel_per_journey", all_days, mart=True),
        _question("camera_counts", all_days, mart=True),
        _question("vehicle_track", journey),
    )


def _question(name: str, given: Mapping[str, str], *, mart: bool = False) -> Question:
    tables = saved_query(name + FROM_TABLES if mart else name, given)
    return Question(name=name, lake=saved_query(name, given), tables=tables)


def ask(sql: str, settings: Settings) -> Answered:
    started = time.monotonic()
    result = run_query(sql, settings)
    return Answered(rows=result.rows, seconds=time.monotonic() - started)
