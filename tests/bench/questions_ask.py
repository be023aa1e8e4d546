"""The ten questions, asked of both layouts through the local Athena: the saved queries of `smartcity.aws`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from questions_rows import Departure

from smartcity.aws.query import run_query
from smartcity.aws.saved import saved_query
from smartcity.aws.settings import Settings

FROM_TABLES = "_from_tables"
RELATIVE = 1e-9
"""Numbers may differ by this part: sums are made in another order."""
Rows = tuple[tuple[Any, ...], ...]


class DifferentAnswersError(Exception):
    """A question was answered otherwise on the other layout."""


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

    rows: Rows
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
    return Answered(rows=tuple(map(_plain, result.rows)), seconds=time.monotonic() - started)


def _plain(row: Sequence[Any]) -> tuple[Any, ...]:
    """A mart's times, and a tutorial's, name no zone: they are UTC."""
    return tuple(
        value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value for value in row
    )


def require_equal(name: str, answers: Mapping[str, Rows]) -> None:
    """Every layout gave the same rows in the same order, and some.

    Raises:
        DifferentAnswersError: with the first difference.
    """
    (first, wanted), *others = answers.items()
    if not wanted:
        raise DifferentAnswersError(f"{name}: no rows, so nothing was compared")
    for other, rows in others:
        if len(rows) != len(wanted):
            raise DifferentAnswersError(f"{name}: {len(wanted)} rows of {first}, {len(rows)} of {other}")
        for number, (left, right) in enumerate(zip(wanted, rows, strict=True)):
            if not _same(left, right):
                raise DifferentAnswersError(f"{name}, row {number}: {first} says {left}, {other} {right}")


def _same(left: Iterable[Any], right: Iterable[Any]) -> bool:
    return all(
        math.isclose(a, b, rel_tol=RELATIVE, abs_tol=RELATIVE)
        if isinstance(a, float) and isinstance(b, float)
        else a == b
        for a, b in zip(left, right, strict=True)
    )
