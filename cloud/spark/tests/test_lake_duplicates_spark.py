"""Readings sent again, in every way in which the driver may know, not know, or wrongly believe to know the tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smartcity.contracts.envelope import format_time
from smartcity.contracts.streams import GPS, VEHICLE
from smartcity.lake import batch, deduplicate
from smartcity.lake.batch import Outcome, process_batch
from smartcity.lake.commit import BatchIdentity, append
from smartcity.lake.maintain import compact
from smartcity.lake.parse import parse
from smartcity.lake.seen import Seen
from smartcity.lake.settings import Limits, Storage
from smartcity.lake.tables import STREAM_TABLES

pytestmark = pytest.mark.spark
_boots, _batches = itertools.count(0x1000), itertools.count()
GPS_TABLE = STREAM_TABLES[0]
START = datetime(2026, 11, 10, 8, tzinfo=UTC)


@pytest.fixture
def boot() -> str:
    return f"{next(_boots):016x}"


@pytest.fixture
def run(as_records: Callable[..., Any], grid_rows: Any, storage: Storage) -> Callable[..., Outcome]:
    def one(records: list[Any], seen: Seen) -> Outcome:
        rows = parse(as_records(records), grid_rows)
        return process_batch(rows, BatchIdentity(query_id="duplicates", batch_id=next(_batches)), storage, seen)

    return one


@pytest.fixture
def gps(make_record: Any, boot: str) -> Callable[..., Any]:
    def make(sequence: int, days: int = 0, **fields: Any) -> Any:
        time = format_time(START + timedelta(days=days, seconds=sequence))
        return make_record(GPS, sequence, boot=boot, timestamp=time, **fields)

    return make


@pytest.fixture
def look_ups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many suspects each look-up in a table was for."""
    found: list[int] = []
    look_up = deduplicate._known

    def counted(spark: Any, table: Any, suspects: Any) -> Any:
        found.append(suspects.rows.num_rows)
        return look_up(spark, table, suspects)

    monkeypatch.setattr(deduplicate, "_known", counted)
    return found


def count(spark: Any, boot: str) -> list[int]:
    rows = spark.table("lake.smartcity.gps").where(f"id like '{boot}.%'").select("id").collect()
    return sorted(int(row.id.split(".")[1]) for row in rows)


def test_new_readings_are_looked_up_nowhere_and_repeated_ones_are(
    spark: Any, run: Any, gps: Any, boot: str, look_ups: list[int]
) -> None:
    seen = Seen()
    run([gps(n) for n in (1, 2, 5)], seen)
    run([gps(n) for n in (3, 4, 6)], seen)
    assert look_ups == []
    assert run([gps(n) for n in (4, 7)], seen).duplicates == {"gps": 1}
    assert look_ups == [1]
    assert count(spark, boot) == [1, 2, 3, 4, 5, 6, 7]


def test_a_new_driver_knows_what_the_tables_hold(spark: Any, run: Any, gps: Any, boot: str) -> None:
    run([gps(1), gps(2)], Seen())
    assert run([gps(2), gps(3)], Seen()).duplicates == {"gps": 1}
    assert count(spark, boot) == [1, 2, 3]


def test_an_id_used_in_two_streams_is_kept_in_both(run: Any, gps: Any, make_record: Any, boot: str) -> None:
    time = format_time(START + timedelta(seconds=1))
    vehicle = make_record(VEHICLE, 1, boot=boot, timestamp=time)
    seen = Seen()
    assert run([gps(1), vehicle], seen).rows == {"gps": 1, "vehicle": 1}
    assert run([gps(1), vehicle], seen).rows == {"gps": 0, "vehicle": 0}


def test_readings_of_more_days_than_are_held_are_looked_up(
    spark: Any, run: Any, gps: Any, boot: str, look_ups: list[int]
) -> None:
    seen = Seen(days_max=2)
    run([gps(n, days=-n) for n in range(1, 7)], seen)
    assert look_ups == [4]
    again = run([*(gps(n, days=-n) for n in range(1, 7)), gps(7, days=-40)], seen)
    assert again.duplicates == {"gps": 6}
    assert count(spark, boot) == [1, 2, 3, 4, 5, 6, 7]


def test_another_writers_rows_are_noticed(spark: Any, run: Any, gps: Any, boot: str, add_rows: Any) -> None:
    seen = Seen()
    run([gps(1)], seen)
    add_rows(GPS, [{"id": f"{boot}.2", "timestamp": START + timedelta(seconds=2)}])
    assert run([gps(2), gps(3)], seen).duplicates == {"gps": 1}
    assert count(spark, boot) == [1, 2, 3]


def test_compaction_is_not_another_writer(spark: Any, run: Any, gps: Any, boot: str) -> None:
    seen = Seen()
    for n in range(1, 7):
        run([gps(n, days=5)], seen)
    assert compact(spark, GPS_TABLE, Limits())
    days = set(seen.days)
    assert run([gps(6, days=5), gps(7, days=5)], seen).duplicates == {"gps": 1}
    assert seen.days == days
    assert count(spark, boot) == [1, 2, 3, 4, 5, 6, 7]


def test_after_a_failure_nothing_is_believed(
    run: Any, gps: Any, make_record: Any, boot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch whose commits were made in part, and that Spark then gives another number."""
    seen = Seen()
    records = [gps(1), make_record(VEHICLE, 2, boot=boot, timestamp=format_time(START))]
    run([gps(9)], seen)

    def fail_for_vehicles(rows: Any, table: Any, identity: Any) -> Any:
        if table.name == "vehicle":
            raise RuntimeError("S3 is away")
        return append(rows, table, identity)

    with monkeypatch.context() as patch:
        patch.setattr(batch, "append", fail_for_vehicles)
        with pytest.raises(RuntimeError, match="S3 is away"):
            run(records, seen)
    assert seen.days == set()
    assert run(records, seen).rows == {"gps": 0, "vehicle": 1}


def test_foreign_readings_are_kept_once(run: Any, gps: Any) -> None:
    foreign = gps(1, id="foreign-0123456789abcdef0123456789abcdef")
    seen = Seen()
    assert run([foreign, foreign], seen).rows == {"gps": 1}
    assert run([foreign], seen).rows == {"gps": 0}
