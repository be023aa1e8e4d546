"""The saved queries, `athena/*.sql` and `redshift/queries/*.sql`: each a question about the city; its answer's columns
and its parameters stand in its comment. A name that both engines have is one question with one answer.

Where a mart holds the answer, Athena has two of one question: `<name>` asks the mart, `<name>_from_tables` the streams'
tables, with the same answer (`tests/bench/questions.py` checks that).

A parameter is a line `-- Parameter: <name> <kind> <default> <meaning>` and stands in the SQL as `:<name>`, for which a
quoted literal is put. Kinds: `day` (`2026-11-21`), `moment` (`2026-11-21T08:00:00Z`), `text`. Defaults: `now`, `today`,
`today-6` (that many days before), `required`, or the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from smartcity.contracts.marts import MARTS

from .engine import Engine
from .errors import QueryError

_PARAMETER = re.compile(r"^-- Parameter: (\w+) (day|moment|text) (\S+) (.+)$", re.MULTILINE)
_TODAY = re.compile(r"today(?:-(\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What a saved query wants to be told."""

    name: str
    kind: str
    default: str
    meaning: str

    def literal(self, given: str | None, now: datetime, engine: Engine = Engine.ATHENA) -> str:
        """The SQL literal of a value, or of the default where none is given. Times are UTC unless they say otherwise.

        Raises:
            QueryError: it is required, or not of its kind.
        """
        if given is None and self.default == "required":
            raise QueryError(f"{self.name} is missing ({self.meaning}): give it with --set {self.name}=…")
        try:
            text = _value(self.kind, self.default if given is None else given, now)
        except ValueError:
            wanted = "a day, for instance 2026-11-21" if self.kind == "day" else "a time, such as 2026-11-21T08:00:00Z"
            raise QueryError(f"{self.name}={given} is not {wanted}") from None
        return engine.literal(text)


def _value(kind: str, text: str, now: datetime) -> str:
    if kind == "text":
        return text
    if kind == "day":
        today = _TODAY.fullmatch(text)
        if today:
            return (now.astimezone(UTC).date() - timedelta(days=int(today[1] or 0))).isoformat()
        return date.fromisoformat(text).isoformat()
    moment = now if text == "now" else datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def saved_names(engine: Engine = Engine.ATHENA) -> tuple[str, ...]:
    """Names of an engine's saved queries, sorted."""
    files = engine.saved.iterdir()
    return tuple(sorted(each.name.removesuffix(".sql") for each in files if each.name.endswith(".sql")))


def parameters(name: str, engine: Engine = Engine.ATHENA) -> tuple[Parameter, ...]:
    """What a saved query wants to be told.

    Raises:
        QueryError: see `saved_query`.
    """
    return parameters_of(saved_sql(name, engine))


def parameters_of(text: str) -> tuple[Parameter, ...]:
    """The parameters that stand in a query's comment."""
    found = _PARAMETER.findall(text)
    return tuple(Parameter(name=n, kind=kind, default=default, meaning=words) for n, kind, default, words in found)


def saved_query(
    name: str,
    given: Mapping[str, str] | None = None,
    *,
    engine: Engine = Engine.ATHENA,
    now: datetime | None = None,
) -> str:
    """SQL of a saved query, its parameters replaced by what is given or by their defaults.

    Raises:
        QueryError: there is none of that name, or what is given does not fit its parameters; the message lists those
            there are.
    """
    text, known, given = saved_sql(name, engine), parameters(name, engine), given or {}
    for unknown in given.keys() - {each.name for each in known}:
        listed = ", ".join(each.name for each in known) or "none"
        raise QueryError(f"{name} has no parameter {unknown!r}; there are: {listed}")
    return with_values(text, known, given, engine=engine, now=now)


def with_values(
    text: str,
    known: Sequence[Parameter],
    given: Mapping[str, str],
    *,
    engine: Engine = Engine.ATHENA,
    now: datetime | None = None,
) -> str:
    """SQL with its parameters replaced by what is given or by their defaults.

    Raises:
        QueryError: one is required and not given, or not of its kind.
    """
    moment = now or datetime.now(UTC)
    literals = {each.name: each.literal(given.get(each.name), moment, engine) for each in known}
    if not literals:
        return text
    return re.sub(rf":({'|'.join(literals)})\b", lambda found: literals[found[1]], text)


def reads_marts(name: str) -> bool:
    """Whether a saved query asks a mart."""
    return bool(re.search(rf"\bFROM ({'|'.join(mart.name for mart in MARTS)})\b", saved_sql(name)))


def given_parameters(pairs: list[str]) -> dict[str, str]:
    """`NAME=VALUE`, as a command line gives them.

    Raises:
        QueryError: one has no `=`.
    """
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise QueryError(f"--set {pair}: give it as NAME=VALUE")
        found[name] = value
    return found


def saved_sql(name: str, engine: Engine = Engine.ATHENA) -> str:
    """A saved query as it is written: comments, and parameters by their names.

    Raises:
        QueryError: there is none of that name.
    """
    names = saved_names(engine)
    if name not in names:
        raise QueryError(f"there is no saved query {name!r} for {engine.title()}; there are: {', '.join(names)}")
    return engine.saved.joinpath(f"{name}.sql").read_text(encoding="utf-8")
