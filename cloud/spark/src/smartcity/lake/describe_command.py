"""`smartcity-lake describe`: what the tables and the marts hold."""

from __future__ import annotations

import argparse
import dataclasses
import json

from .describe import Description, describe
from .describe_days import Days, MartFiles, mart_files, table_days
from .errors import EXIT_OK
from .settings import read_storage


def add_flags(command: argparse.ArgumentParser) -> None:
    """Beside `--bucket`."""
    command.add_argument("--json", action="store_true", help="as one JSON document")


def run(options: argparse.Namespace) -> int:
    """Print the newest snapshot of every table, and every mart."""
    storage = read_storage(options.bucket)
    tables = [
        (one, table_days(storage, one.metadata_location) if one.metadata_location and one.snapshot_at else Days())
        for one in describe(storage)
    ]
    marts = mart_files(storage)
    if options.json:
        document = {
            "tables": [dataclasses.asdict(one) | {"days": dataclasses.asdict(days)} for one, days in tables],
            "marts": [dataclasses.asdict(one) for one in marts],
        }
        print(json.dumps(document, default=lambda value: value.isoformat()))
    else:
        print("\n".join([*table_lines(tables), "", *mart_lines(marts)]))
    return EXIT_OK


def table_lines(tables: list[tuple[Description, Days]]) -> list[str]:
    """A line per table. `deletes` are delete files, of which nothing here makes any."""
    lines = [
        f"{'table':<18} {'rows':>10} {'files':>6} {'deletes':>7} {'MB':>9} {'days':>5}  {'first':<10}  {'last':<10} "
        f"{'snapshots':>10}  latest"
    ]
    for one, days in tables:
        if not one.exists:
            lines.append(f"{one.table:<18} {'missing':>10}")
            continue
        latest = "empty" if one.snapshot_at is None else f"{one.snapshot_at:%Y-%m-%d %H:%M:%S} UTC"
        lines.append(
            f"{one.table:<18} {one.rows:>10} {one.files:>6} {one.delete_files:>7} {one.bytes / 1e6:>9.2f} "
            f"{_days(days)} {one.snapshots:>10}  {latest}"
        )
    return lines


def mart_lines(marts: list[MartFiles]) -> list[str]:
    """A line per mart. It has a file for each day."""
    lines = [
        f"{'mart':<18} {'':>10} {'':>6} {'':>7} {'MB':>9} {'days':>5}  {'first':<10}  {'last':<10} {'':>10}  built"
    ]
    for one in marts:
        built = "not built yet" if one.built_at is None else f"{one.built_at:%Y-%m-%d %H:%M:%S} UTC"
        lines.append(
            f"{one.mart:<18} {'':>10} {'':>6} {'':>7} {one.bytes / 1e6:>9.2f} {_days(one.days)} {'':>10}  {built}"
        )
    return lines


def _days(days: Days) -> str:
    first, last = (day.isoformat() if day else "-" for day in (days.first, days.last))
    return f"{days.days:>5}  {first:<10}  {last:<10}"
