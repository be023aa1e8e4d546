"""How a mart is computed: its SQL over the lake's tables, and how far around its own day that looks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from smartcity.contracts.marts import Mart


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A table of the lake and the days of it that one day of the mart is computed from."""

    table: str
    days_before: int = 0
    days_after: int = 0

    def days(self, day: date) -> Iterable[date]:
        """The table's days that the mart's day is computed from."""
        return (day + timedelta(days=n) for n in range(-self.days_before, self.days_after + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A mart with everything that makes it.

    `sql` reads views that have the tables' names and hold the sources' days alone. Its parameters `:day` and
    `:next_day` are the bounds of the day in question; it selects the contract's columns, and rows of that day only.
    """

    mart: Mart
    sources: tuple[Source, ...]
    sql: str

    @property
    def revision(self) -> str:
        """Changes with the SQL, the sources and the columns: days that another revision made are made again."""
        shape = [(column.name, column.kind.value, column.nullable) for column in self.mart.columns]
        text = "\n".join((self.sql, repr(self.sources), repr(shape)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
