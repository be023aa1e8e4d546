"""The saved queries as Athena's console holds them: a parameter's default is an expression that Athena computes when
the query runs, and a parameter that has none is a `?`, for which the console asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from ..saved import Parameter, parameters, saved_names, saved_sql

_TODAY = re.compile(r"today(?:-(\d+))?")
_ANY = datetime(2000, 1, 1, tzinfo=UTC)


def console_names() -> tuple[str, ...]:
    """Names of the queries that the console gets: all but those that ask the tables what a mart knows and scan more."""
    return tuple(name for name in saved_names() if not name.endswith("_from_tables"))


def console_query(name: str) -> str:
    """SQL of a saved query for the console, without its comments.

    Raises:
        QueryError: there is none of that name.
    """
    lines = saved_sql(name).splitlines()
    return computed("\n".join(line for line in lines if not line.startswith("--")), parameters(name))


def computed(statement: str, known: Sequence[Parameter]) -> str:
    """A statement whose parameters' defaults Athena computes when it runs."""
    values = {each.name: _expression(each) for each in known}
    if not values:
        return statement
    return re.sub(rf":({'|'.join(values)})\b", lambda found: values[found[1]], statement)


def description(name: str) -> str:
    """What a saved query asks: its comment up to the columns, as one line.

    Raises:
        QueryError: there is none of that name.
    """
    words = []
    for line in saved_sql(name).splitlines():
        if not line.startswith("--") or line.startswith("-- Columns:"):
            break
        words.append(line.removeprefix("--").strip())
    return " ".join(words)


def _expression(parameter: Parameter) -> str:
    default = parameter.default
    if default == "required":
        return "?"
    if default == "now":
        return "date_format(current_timestamp, '%Y-%m-%dT%H:%i:%sZ')"
    today = _TODAY.fullmatch(default) if parameter.kind == "day" else None
    if today is None:
        return parameter.literal(default, _ANY)
    before = f" - INTERVAL '{today[1]}' DAY" if today[1] else ""
    return f"date_format(current_date{before}, '%Y-%m-%d')"
