"""Brings the marts' days into Redshift: those whose file is new or another than was loaded, each day as a whole.

A day is deleted, copied and noted with its file's ETag in one transaction, so that a load can be repeated, or end in
the middle, at any time. A file that is replaced between the listing and its COPY is loaded again the next time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import Any

from smartcity.contracts.marts import MARTS, Mart

from .clients import client, explained
from .engine import Engine
from .marts import day_objects
from .settings import Settings
from .warehouse import STATEMENTS_MAX, Warehouse

Day = tuple[str, str]
"""A mart's name, and a day as `2026-11-21`."""

_STATEMENTS_PER_DAY = 4
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def load(warehouse: Warehouse, settings: Settings, say: Callable[[str], None], *, s3: Any = None) -> str:
    """Load what has changed, and remove the days whose file is gone.

    Raises:
        WarehouseError: Redshift's reason; days that were said before are loaded.
        CredentialsError, EndpointError, ServiceError: see `errors.py`.
    """
    with explained():
        s3 = s3 or client("s3", settings)
        files = {day: etag for mart in MARTS for day, etag in _files(s3, settings.bucket, mart)}
    loaded = {
        (mart, day): etag
        for mart, day, etag in warehouse.rows("SELECT mart, CAST(day AS VARCHAR), etag FROM ops.loaded_days")
    }
    touched = sorted(day for day in files.keys() | loaded.keys() if files.get(day) != loaded.get(day))
    for done, days in enumerate(_at_once(touched), 1):
        warehouse.transact([sql for day in days for sql in _statements(day, files, settings.bucket)])
        most = min(done * (STATEMENTS_MAX // _STATEMENTS_PER_DAY), len(touched))
        say(f"{most} of {len(touched)} days: {days[-1][0]} {days[-1][1]}")
    gone = len([day for day in touched if day not in files])
    return f"{len(touched) - gone} days loaded, {gone} removed, {len(files) - len(touched) + gone} were loaded already"


def _files(s3: Any, bucket: str, mart: Mart) -> Iterator[tuple[Day, str]]:
    """Each day's file by its ETag."""
    for day, each in day_objects(s3, bucket, mart):
        if _DAY.fullmatch(day) and each["Key"] == mart.key(date.fromisoformat(day)):
            yield (mart.name, day), each["ETag"].strip('"')


def _at_once(days: Sequence[Day]) -> Iterator[list[Day]]:
    """As many days as one transaction may have statements for."""
    rest = iter(days)
    while part := list(islice(rest, STATEMENTS_MAX // _STATEMENTS_PER_DAY)):
        yield part


def _statements(day: Day, files: Mapping[Day, str], bucket: str) -> list[str]:
    name, text = day
    mart = next(one for one in MARTS if one.name == name)
    literal = Engine.REDSHIFT.literal
    next_day = date.fromisoformat(text) + timedelta(days=1)
    where = f"{mart.time_column} >= '{text}' AND {mart.time_column} < '{next_day}'"
    statements = [
        f"DELETE FROM marts.{name} WHERE {where}",
        f"DELETE FROM ops.loaded_days WHERE mart = {literal(name)} AND day = '{text}'",
    ]
    if day in files:
        location = f"s3://{bucket}/{mart.key(date.fromisoformat(text))}"
        statements += [
            f"COPY marts.{name} FROM {literal(location)} IAM_ROLE default FORMAT AS PARQUET SERIALIZETOJSON",
            f"INSERT INTO ops.loaded_days VALUES ({literal(name)}, '{text}', {literal(files[day])}, GETDATE())",
        ]
    return statements
