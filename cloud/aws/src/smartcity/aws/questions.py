"""The ten questions about the city, asked of both engines: the saved queries that Athena and Redshift have alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .errors import DifferentAnswersError

QUESTIONS: Mapping[str, str] = {
    "speed_by_route_and_hour": "mean speed by route and hour",
    "speed_by_10_km": "mean speed on every 10 km of one route",
    "slowest_kilometres": "the slowest kilometres of an hour",
    "speed_against_weather": "mean speed by weather",
    "incident_response": "incidents and the time to respond",
    "active_incidents": "incidents that are not resolved",
    "worst_air_quality": "the worst air quality of each place",
    "fuel_per_journey": "fuel used per journey",
    "camera_counts": "vehicles seen by each camera",
    "vehicle_track": "where one vehicle drove",
}
"""Names of the saved queries, and what they ask."""

RELATIVE = 1e-9
"""Numbers may differ by this part: sums are made in another order."""

Rows = Sequence[Sequence[Any]]


def require_equal(name: str, answers: Mapping[str, Rows]) -> None:
    """All gave the same rows in the same order, and some. A time without a zone is UTC.

    Args:
        name: of the question.
        answers: rows by who answered.

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
        else _in_utc(a) == _in_utc(b)
        for a, b in zip(left, right, strict=True)
    )


def _in_utc(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
