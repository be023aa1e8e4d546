"""The lake's dashboard as the page needs it: its definition as JSON, a request's filters as choices, an answer as JSON.
Pure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from smartcity.aws.dashboard.ask import Choices, visual_query
from smartcity.aws.dashboard.definition import ColumnType, Control, Dashboard, Filter, Kind, Sheet, Visual, targets
from smartcity.aws.query import Result

from .errors import LakeRequestError
from .settings import LAKE_VALUES_MAX

CLICKED = "clicked."
"""Prefix of the filters that clicks set: `clicked.type` filters by the column `type`."""
TIMES = ("since", "until")


def with_clicks(dashboard: Dashboard) -> Dashboard:
    """The dashboard with a filter for each column that a click can set, so that clicks are asked as choices are."""
    found: dict[str, Filter] = {}
    for _, visual in dashboard.placed():
        data_set = dashboard.data_set(visual.data_set)
        for name in clicked_columns(visual) if visual.click_filters else ():
            column = data_set.column(name)
            if column is None or column.type is not ColumnType.TEXT:
                raise ValueError(f"{visual.id}: a click on {name} cannot filter, for it is no text")
            found[name] = Filter(
                id=f"{CLICKED}{name}", title=column.title, column=name, control=Control.CHOICE, source=data_set.name
            )
    return replace(dashboard, filters=(*dashboard.filters, *found.values()))


def clicked_columns(visual: Visual) -> tuple[str, ...]:
    """The columns that a click on a visual gives values of."""
    return tuple(each.column for each in visual.dimensions) + ((visual.color,) if visual.color else ())


def shown_definition(dashboard: Dashboard) -> dict[str, Any]:
    """Ready for JSON: sheets of rows of visuals, each with the columns of its answer, and the filters."""
    filters = [
        {"id": each.id, "title": each.title, "control": each.control.value, "days": each.days}
        for each in dashboard.filters
    ]
    sheets = [
        {
            "id": sheet.id,
            "title": sheet.title,
            "filters": list(sheet.filters),
            "rows": [
                {"height": row.height, "visuals": [_shown_visual(dashboard, sheet, each) for each in row.visuals]}
                for row in sheet.rows
            ],
        }
        for sheet in dashboard.sheets
    ]
    return {"title": dashboard.title, "filters": filters, "sheets": sheets}


def _shown_visual(dashboard: Dashboard, sheet: Sheet, visual: Visual) -> dict[str, Any]:
    clicks = visual.click_filters
    return {
        "id": visual.id,
        "kind": visual.kind.name.lower(),
        "title": visual.title,
        "note": visual.note,
        "width": visual.width,
        "columns": _answer_columns(dashboard, visual),
        "link": {"column": visual.link.column, "text": visual.link.text} if visual.link else None,
        "clicks": list(clicked_columns(visual)) if clicks else [],
        "targets": [each.id for each in targets(dashboard, sheet, visual)] if clicks else [],
    }


def _answer_columns(dashboard: Dashboard, visual: Visual) -> list[dict[str, Any]]:
    """The columns of a visual's answer in their order, with the part that each plays."""
    data_set = dashboard.data_set(visual.data_set)
    if visual.kind is Kind.TABLE:
        roles = [(name, "column", "") for name in visual.columns]
    else:
        roles = [(each.column, "dimension", each.by.value if each.by else "") for each in visual.dimensions]
        roles += [(visual.color, "color", "")] if visual.color else []
    found = []
    for name, role, grain in roles:
        column = data_set.column(name)
        assert column is not None, f"{visual.id} has no column {name}"
        found.append(
            {
                "name": name,
                "title": column.title,
                "type": column.type.value,
                "unit": column.unit,
                "role": role,
                "by": grain,
            }
        )
    for number, measure in enumerate(visual.measures, 1):
        found.append(
            {
                "name": f"measure_{number}",
                "title": measure.title,
                "type": ColumnType.NUMBER.value,
                "unit": "",
                "role": "measure",
                "by": "",
            }
        )
    return found


def placed(dashboard: Dashboard, name: str) -> tuple[Sheet, Visual]:
    """The visual of an id, and its sheet.

    Raises:
        LakeRequestError: there is none.
    """
    for sheet, visual in dashboard.placed():
        if visual.id == name:
            return sheet, visual
    raise LakeRequestError(f"there is no visual {name!r}")


def asked_sql(dashboard: Dashboard, name: str, given: Iterable[tuple[str, str]], *, now: datetime) -> str:
    """The statement of a visual under a request's filters: pairs of a filter's id and a value, and the times `since`
    and `until`. `dashboard` has its clicks' filters.

    Raises:
        LakeRequestError: the visual is not there, its sheet does not show a filter, or a time is malformed.
    """
    sheet, visual = placed(dashboard, name)
    times: dict[str, datetime] = {}
    values: dict[str, tuple[str, ...]] = {}
    pairs = list(given)
    if len(pairs) > LAKE_VALUES_MAX:
        raise LakeRequestError(f"{len(pairs)} values of filters are more than {LAKE_VALUES_MAX}")
    for key, value in pairs:
        if key in TIMES:
            times[key] = _moment(key, value)
        elif key in sheet.filters or key.startswith(CLICKED):
            values[key] = (*values.get(key, ()), value)
        else:
            raise LakeRequestError(f"the sheet {sheet.id} has no filter {key!r}")
    choices = Choices(values=values, since=times.get("since"), until=times.get("until"))
    # The days are what the marts are partitioned by: without them an older range would be empty.
    days = {"first_day": "since", "last_day": "until"}
    bounds = {parameter: times[key].date().isoformat() for parameter, key in days.items() if key in times}
    try:
        return visual_query(dashboard, visual, choices, bounds, now=now)
    except KeyError as error:
        raise LakeRequestError(f"there is no filter {error.args[0]!r}") from None


def request_key(name: str, given: Iterable[tuple[str, str]]) -> str:
    """The same for requests that ask the same."""
    return json.dumps([name, sorted(given)])


def _moment(key: str, value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise LakeRequestError(f"{key}={value!r} is no time: give it like 2026-11-21T08:00:00Z") from None


def shown_result(result: Result) -> bytes:
    """An answer as JSON: rows as lists in the order of the columns; times in UTC with `Z`."""
    shown: Mapping[str, Any] = {
        "columns": [each.name for each in result.columns],
        "rows": [[_value(value) for value in row] for row in result.rows],
        "query_id": result.query_id,
        "scanned_bytes": result.scanned_bytes,
        "engine_ms": result.engine_ms,
    }
    return json.dumps(shown, separators=(",", ":"), allow_nan=False).encode()


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return utc.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return _value(float(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
