"""Maintenance on real Iceberg tables, beside a stream that appends, judged by a reader without Spark."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.glue import GlueCatalog

from smartcity.contracts.streams import GPS
from smartcity.lake import maintain as maintenance
from smartcity.lake.batch import Outcome, process_batch
from smartcity.lake.commit import BatchIdentity, drop_tags, newest_batch, tag_newest
from smartcity.lake.errors import TransientError
from smartcity.lake.maintain import Upkeep, compact, declare_order, expire, maintain, remove_orphans, rewrite_manifests
from smartcity.lake.parse import parse
from smartcity.lake.s3 import s3_client
from smartcity.lake.seen import Seen
from smartcity.lake.settings import Limits, Storage
from smartcity.lake.tables import ROW_GROUP_BYTES, STREAM_TABLES, TABLES, ensure_tables, load

pytestmark = pytest.mark.spark
GPS_TABLE = next(table for table in STREAM_TABLES if table.name == "gps")
NOW = Limits(snapshots_keep=timedelta(0), orphans_after=timedelta(days=1))
RECENT = Limits(snapshots_keep=timedelta(seconds=30))
"""A batch of the test reads a snapshot for a few seconds, so that one must live so long."""
_numbers = itertools.count(1)


@pytest.fixture
def boot() -> str:
    return f"{next(_numbers):016x}"


@pytest.fixture
def run(spark: Any, as_records: Any, grid_rows: Any, storage: Storage, make_record: Any) -> Callable[..., Outcome]:
    """One batch of GPS readings of a boot, which is the query's id too."""
    known: dict[str, Seen] = defaultdict(Seen)

    def batch(boot: str, batch_id: int, sequences: Iterator[int] | range) -> Outcome:
        records = [make_record(GPS, n, boot=boot) for n in sequences]
        return process_batch(
            parse(as_records(records), grid_rows),
            BatchIdentity(query_id=boot, batch_id=batch_id),
            storage,
            known[boot],
        )

    return batch


def rows_without_spark(storage: Storage) -> dict[str, dict[str, Any]]:
    """Every row of gps by id, read by pyiceberg; fails where an id is there twice."""
    properties = {
        "client.region": storage.region,
        "glue.endpoint": storage.endpoint,
        "s3.endpoint": storage.s3_endpoint,
    }
    keys = {"client.access-key-id": "test", "client.secret-access-key": "test"}
    rows = GlueCatalog("lake", **properties, **keys).load_table(("smartcity", "gps")).scan().to_arrow().to_pylist()
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def append_as_a_stranger(spark: Any) -> None:
    """A commit without a query's id, above the stream's, as another tool's would be."""
    spark.table(GPS_TABLE.qualified_name).limit(0).writeTo(GPS_TABLE.qualified_name).append()


def test_a_replay_after_compaction_and_expiry_is_skipped(spark: Any, run: Any, storage: Storage, boot: str) -> None:
    for batch_id in range(7):
        run(boot, batch_id, range(10 * batch_id, 10 * batch_id + 10))
    before = rows_without_spark(storage)
    assert compact(spark, GPS_TABLE, NOW) == 7
    rewrite_manifests(spark, GPS_TABLE, NOW)
    append_as_a_stranger(spark)
    append_as_a_stranger(spark)
    assert expire(spark, GPS_TABLE, NOW) >= 8
    table = load(spark, GPS_TABLE)
    assert table.snapshot(table.currentSnapshot().parentId()) is None
    assert newest_batch(table, boot) == 6
    assert run(boot, 6, range(60, 70)).skipped == ("gps",)
    assert run(boot, 7, range(65, 75)).rows == {"gps": 5}
    after = rows_without_spark(storage)
    assert {id_: after[id_] for id_ in before} == before
    assert len(after) == len(before) + 5


def test_compacted_files_are_sorted_and_marked_so(spark: Any, add_rows: Any) -> None:
    start = datetime(2026, 11, 3, 8, tzinfo=UTC)
    for second in range(6):
        moments = [(n, start + timedelta(minutes=11 * n, seconds=second)) for n in range(12)]
        add_rows(GPS, [{"device_id": f"car-{n % 3}", "timestamp": moment} for n, moment in moments])
    where = "timestamp < TIMESTAMP '2026-11-04'"
    wanted = "_file, _pos, date_trunc('HOUR', timestamp) AS hour, device_id, timestamp"
    rows = f"SELECT {wanted} FROM {GPS_TABLE.qualified_name}"
    compact(spark, GPS_TABLE, NOW)
    found = [tuple(row) for row in spark.sql(f"{rows} WHERE {where} ORDER BY _file, _pos").collect()]
    assert len(found) == 72
    assert len({row[0] for row in found}) == 1
    assert [row[2:] for row in found] == sorted(row[2:] for row in found)
    marks = {
        row["file_path"]: row["sort_order_id"]
        for row in spark.sql(f"SELECT file_path, sort_order_id FROM {GPS_TABLE.qualified_name}.files").collect()
    }
    table = load(spark, GPS_TABLE)
    assert marks[found[0][0]] in {id_ for id_, order in table.sortOrders().items() if order.isSorted()}
    # The stream's appends need no sorting.
    assert not table.sortOrder().isSorted()
    orders = len(table.sortOrders())
    declare_order(spark, GPS_TABLE)
    assert len(load(spark, GPS_TABLE).sortOrders()) == orders


def test_tables_of_an_earlier_version_get_the_properties_of_today(spark: Any) -> None:
    name = GPS_TABLE.qualified_name
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('write.parquet.row-group-size-bytes'='1')")
    ensure_tables(spark, (GPS_TABLE,))
    properties = load(spark, GPS_TABLE).properties()
    assert properties["write.parquet.row-group-size-bytes"] == str(ROW_GROUP_BYTES)
    before = load(spark, GPS_TABLE).operations().current().metadataFileLocation()
    ensure_tables(spark, (GPS_TABLE,))
    assert load(spark, GPS_TABLE).operations().current().metadataFileLocation() == before


def test_without_the_tag_expiry_would_lose_the_batch(
    spark: Any, run: Any, boot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for batch_id in range(5):
        run(boot, batch_id, range(10 * batch_id, 10 * batch_id + 10))
    compact(spark, GPS_TABLE, NOW)
    append_as_a_stranger(spark)
    monkeypatch.setattr(maintenance, "tag_newest", lambda _table: {})
    expire(spark, GPS_TABLE, NOW)
    assert newest_batch(load(spark, GPS_TABLE), boot) is None
    assert run(boot, 4, range(40, 50)).skipped == ()


def worked(upkeep: list[Upkeep]) -> bool:
    """Files that the stream appended meanwhile were compacted, and snapshots of it expired."""
    return sum(one.compacted_files for one in upkeep) >= 5 and sum(one.expired_snapshots for one in upkeep) >= 5


def test_appends_and_maintenance_at_once_lose_and_change_nothing(
    spark: Any, run: Any, storage: Storage, boot: str
) -> None:
    for batch_id in range(5):
        run(boot, batch_id, range(10 * batch_id, 10 * batch_id + 10))
    first = rows_without_spark(storage)
    failures: list[Exception] = []
    ended = threading.Event()
    appended = itertools.count(5)

    def stream() -> None:
        try:
            while not ended.is_set():
                batch_id = next(appended)
                run(boot, batch_id, range(10 * batch_id, 10 * batch_id + 10))
                assert run(boot, batch_id, range(10 * batch_id, 10 * batch_id + 10)).skipped == ("gps",)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=stream)
    thread.start()
    upkeep: list[Upkeep] = []
    deadline = time.monotonic() + 400
    try:
        while time.monotonic() < deadline and not worked(upkeep[1:]):
            upkeep += maintain(spark, storage, RECENT, tables=[GPS_TABLE])
    finally:
        ended.set()
        thread.join(120)
    assert not failures
    count = next(appended)
    assert {one.given_up for one in upkeep} == {()}
    assert worked(upkeep[1:])
    rows = rows_without_spark(storage)
    assert {id_: rows[id_] for id_ in first} == first
    assert {id_ for id_ in rows if id_.startswith(boot)} == {f"{boot}.{n}" for n in range(10 * count)}


def test_orphans_go_when_they_are_old_and_nothing_else(spark: Any, run: Any, storage: Storage, boot: str) -> None:
    run(boot, 0, range(10))
    before = rows_without_spark(storage)
    location = load(spark, GPS_TABLE).location().removeprefix(f"s3://{storage.bucket}/")
    key = f"{location}/data/left-by-a-kill.parquet"
    s3_client(storage).put_object(Bucket=storage.bucket, Key=key, Body=b"never committed")
    assert remove_orphans(spark, GPS_TABLE, NOW) == 0
    assert remove_orphans(spark, GPS_TABLE, Limits(orphans_after=timedelta(seconds=-5))) == 1
    left = s3_client(storage).list_objects_v2(Bucket=storage.bucket, Prefix=f"{location}/data/")
    assert key not in [item["Key"] for item in left["Contents"]]
    assert rows_without_spark(storage) == before


def test_tags_of_forgotten_queries_go_and_others_stay(spark: Any, run: Any, boot: str) -> None:
    old, new = f"{boot}-old", boot
    run(old, 0, range(1))
    run(new, 0, range(1))
    table = load(spark, GPS_TABLE)
    assert tag_newest(table).items() >= {new: 0, old: 0}.items()
    assert next(iter(tag_newest(load(spark, GPS_TABLE)))) == new
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert drop_tags(load(spark, GPS_TABLE), but=new, older_than=yesterday) == []
    dropped = drop_tags(load(spark, GPS_TABLE), but=new, older_than=datetime.now(UTC))
    assert f"stream-{old}" in dropped
    assert [tag for tag in load(spark, GPS_TABLE).refs() if tag.startswith("stream-")] == [f"stream-{new}"]


def test_a_step_that_fails_is_given_up_and_the_others_are_done(
    spark: Any, run: Any, storage: Storage, boot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(boot, 0, range(1))

    def loses(*_: object) -> int:
        raise TransientError("another commit was quicker")

    monkeypatch.setitem(maintenance.STEPS, "files compacted", loses)
    monkeypatch.setattr(maintenance, "STEP_PAUSE_S", 0.0)
    done = maintain(spark, storage, NOW, tables=[GPS_TABLE])[0]
    assert done.given_up == ("files compacted: another commit was quicker",)
    assert done.expired_snapshots > 0
    assert newest_batch(load(spark, GPS_TABLE), boot) == 0


def test_the_command_maintains_every_table_and_reports_it(run: Any, storage: Storage, boot: str) -> None:
    for batch_id in range(5):
        run(boot, batch_id, range(10 * batch_id, 10 * batch_id + 10))
    before = rows_without_spark(storage)
    command = [str(Path(sys.executable).with_name("smartcity-lake")), "maintain", "--json", "--bucket", storage.bucket]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [table["table"] for table in report["tables"]] == [table.name for table in TABLES]
    gps = next(table for table in report["tables"] if table["table"] == "gps")
    assert gps["compacted_files"] >= 5
    assert gps["after"]["files"] < gps["before"]["files"]
    assert gps["after"]["rows"] == gps["before"]["rows"]
    assert "gps: files compacted" in done.stderr
    assert rows_without_spark(storage) == before
