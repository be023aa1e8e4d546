"""Which days of a mart are to be built: those whose source days are not as they were when the day was built.

A source day's state is the number of its records and deletes, which Iceberg keeps in its manifests: no data is
read, and no Spark is needed.
Readings are only ever added, so a day that gained a late one differs, and a day that compaction rewrote, or whose old
snapshots were expired, does not. (Rows replaced by as many others, which nothing here does, go unseen: `--all`.)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from smartcity.contracts.tables import DATABASE

from ..describe import glue_client, metadata_location
from ..errors import TransientError
from ..partitions import count_days
from ..settings import Storage
from .recipe import Recipe

Days = Mapping[date, tuple[int, int]]
"""Records and deletes by day of one table."""

Fingerprint = dict[str, list[int]]
"""Records and deletes by `<table>/<day>`: what one day of a mart was computed from. Empty: from nothing."""


def days_of(storage: Storage, table: str) -> Days:
    """The days of a table at its current snapshot.

    Raises:
        TransientError: the table does not exist yet, or AWS does not answer.
        TerminalError: the table is not partitioned by day.
    """
    location = metadata_location(glue_client(storage), table)
    if location is None:
        raise TransientError(f"there is no table {DATABASE}.{table} yet: `smartcity-lake run` makes it")
    return {day: (count.records, count.deletes) for day, count in count_days(storage, location).items()}


def fingerprint(recipe: Recipe, day: date, tables: Mapping[str, Days]) -> Fingerprint:
    """What a day of the mart would be computed from now. Rows come from readings of their own day: none, no rows."""
    if not any(day in tables[source.table] for source in recipe.sources):
        return {}
    return {
        f"{source.table}/{source_day.isoformat()}": list(tables[source.table][source_day])
        for source in recipe.sources
        for source_day in source.days(day)
        if source_day in tables[source.table]
    }


def known_days(recipe: Recipe, tables: Mapping[str, Days], built: Mapping[date, Fingerprint]) -> list[date]:
    """Every day that may have rows, or once had, ascending."""
    return sorted({day for source in recipe.sources for day in tables[source.table]} | set(built))


def touched_days(recipe: Recipe, tables: Mapping[str, Days], built: Mapping[date, Fingerprint]) -> list[date]:
    """Those of them that were computed from something else, or never."""
    return [day for day in known_days(recipe, tables, built) if built.get(day, {}) != fingerprint(recipe, day, tables)]
