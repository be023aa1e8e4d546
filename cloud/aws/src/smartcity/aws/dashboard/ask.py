"""A visual's rows as one statement in Athena's SQL: its data set, filtered, grouped and measured.

The answer's columns are the visual's dimensions, its color, and its measures by their numbers (`measure_1`, …); a
table's are its own. QuickSight makes such statements itself; this is for whoever else draws the dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from .definition import Aggregation, Control, Dashboard, Dimension, Kind, Measure, Visual

TABLE_ROWS_MAX = 500
GROUPS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the reader has set: values by the ids of CHOICE filters (none: all), and the range of times."""

    values: Mapping[str, tuple[str, ...]]
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = Choices(values={})


def visual_query(
    dashboard: Dashboard,
    visual: Visual,
    choices: Choices = EVERYTHING,
    given: Mapping[str, str] | None = None,
    *,
    now: datetime | None = None,
) -> str:
    """The statement. `given` are values of the data sets' own parameters (`first_day`, `last_day`, `until`).

    Raises:
        KeyError: the dashboard has no data set or filter of a name.
        QueryError: a value is not of its parameter's kind.
    """
    data_set = dashboard.data_set(visual.data_set)
    where = _conditions(dashboard, visual, choices)
    lines = [f"WITH asked AS (\n{data_set.query(given, now=now).strip()}\n)"]
    if visual.kind is Kind.TABLE:
        lines += [f"SELECT {', '.join(visual.columns)}", "FROM asked", *where]
        lines += [f"ORDER BY {visual.newest_first} DESC", f"LIMIT {TABLE_ROWS_MAX}"]
        return "\n".join(lines)
    groups = [_group(each) for each in visual.dimensions] + ([visual.color] if visual.color else [])
    names = [each.column for each in visual.dimensions] + ([visual.color] if visual.color else [])
    shown = [f"{sql} AS {name}" for sql, name in zip(groups, names, strict=True)]
    shown += [f"{_measured(each)} AS measure_{number}" for number, each in enumerate(visual.measures, 1)]
    lines += [f"SELECT {', '.join(shown)}", "FROM asked", *where]
    if groups:
        places = ", ".join(str(number) for number in range(1, len(groups) + 1))
        lines += [f"GROUP BY {', '.join(groups)}", f"ORDER BY {places}"]
    return "\n".join([*lines, f"LIMIT {GROUPS_MAX}"])


def choices_query(dashboard: Dashboard, name: str, given: Mapping[str, str] | None = None) -> str:
    """The values that a CHOICE filter offers.

    Raises:
        KeyError: the dashboard has no such filter.
    """
    chosen = dashboard.filter(name)
    asked = dashboard.data_set(chosen.source).query(given).strip()
    return (
        f"WITH asked AS (\n{asked}\n)\nSELECT DISTINCT {chosen.column}\nFROM asked\n"
        f"WHERE {chosen.column} IS NOT NULL\nORDER BY 1\nLIMIT {GROUPS_MAX}"
    )


def _conditions(dashboard: Dashboard, visual: Visual, choices: Choices) -> list[str]:
    data_set, found = dashboard.data_set(visual.data_set), []
    for each in dashboard.filters:
        if data_set.column(each.column) is None:
            continue
        if each.control is Control.RANGE:
            limits = ((choices.since, ">="), (choices.until, "<"))
            found += [f"{each.column} {sign} TIMESTAMP '{_literal(at)}'" for at, sign in limits if at is not None]
        elif choices.values.get(each.id):
            values = ", ".join(_quoted(value) for value in choices.values[each.id])
            found.append(f"{each.column} IN ({values})")
    for unknown in choices.values.keys() - {each.id for each in dashboard.filters}:
        raise KeyError(unknown)
    return [f"WHERE {' AND '.join(found)}"] if found else []


def _group(dimension: Dimension) -> str:
    return f"date_trunc('{dimension.by.value}', {dimension.column})" if dimension.by else dimension.column


def _measured(measure: Measure) -> str:
    column, weight = measure.column, measure.weight
    return {
        Aggregation.COUNT: f"count({column})",
        Aggregation.SUM: f"sum({column})",
        Aggregation.MEAN: f"avg({column})",
        Aggregation.MAX: f"max({column})",
        Aggregation.MEDIAN: f"approx_percentile({column}, 0.5)",
        Aggregation.WEIGHTED_MEAN: f"sum({column} * {weight}) / "
        f"nullif(sum(CASE WHEN {column} IS NOT NULL THEN {weight} END), 0)",
    }[measure.aggregation]


def _literal(at: datetime) -> str:
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _quoted(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"
