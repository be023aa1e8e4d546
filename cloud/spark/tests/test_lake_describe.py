"""What `smartcity-lake describe` prints, and where marts are counted, without Spark: tables made by pyiceberg."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest

from smartcity.contracts.marts import CITY_HOURS, INCIDENT_RESPONSE, JOURNEYS
from smartcity.contracts.tables import DATABASE
from smartcity.lake.describe import NAMES, describe
from smartcity.lake.describe_command import mart_lines, table_lines
from smartcity.lake.describe_days import Days, mart_files, spread, table_days
from smartcity.lake.errors import TerminalError, TransientError
from smartcity.lake.main import main
from smartcity.lake.marts import run
from smartcity.lake.marts.recipes import RECIPES
from smartcity.lake.marts.touched import days_of, fingerprint
from smartcity.lake.partitions import DayCount, count_days
from smartcity.lake.s3 import s3_client
from smartcity.lake.settings import Storage
from smartcity.lake.tables import TABLES

_numbers = itertools.count()
MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)


@pytest.fixture(scope="module")
def place(storage: Storage) -> Storage:
    own = dataclasses.replace(storage, bucket="described")
    s3_client(own).create_bucket(Bucket=own.bucket)
    boto3.client("glue", region_name=own.region, endpoint_url=own.endpoint).create_database(
        DatabaseInput={"Name": DATABASE}
    )
    return own


@pytest.fixture(scope="module")
def make_table(place: Storage) -> Callable[..., Any]:
    """An Iceberg table in the Glue catalog, by name: partitioned by the day of `timestamp`, perhaps by `device_id` too,
    or not at all.
    """
    from pyiceberg.catalog.glue import GlueCatalog  # noqa: PLC0415
    from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec  # noqa: PLC0415
    from pyiceberg.schema import Schema  # noqa: PLC0415
    from pyiceberg.transforms import DayTransform, IdentityTransform  # noqa: PLC0415
    from pyiceberg.types import NestedField, StringType, TimestamptzType  # noqa: PLC0415

    catalog = GlueCatalog("lake", **place.pyiceberg())
    schema = Schema(
        NestedField(1, "timestamp", TimestamptzType(), required=False), NestedField(2, "device_id", StringType())
    )
    device = PartitionField(source_id=2, field_id=1001, transform=IdentityTransform(), name="device_id")
    day = PartitionField(source_id=1, field_id=1000, transform=DayTransform(), name="timestamp_day")
    specs = {
        "day": PartitionSpec(day), "device and day": PartitionSpec(device, day), "": UNPARTITIONED_PARTITION_SPEC
    }  # fmt: skip

    def make(name: str, *, by: str = "day") -> Any:
        spec = specs[by]
        location = f"{place.warehouse}/{DATABASE}/{name}"
        return catalog.create_table_if_not_exists((DATABASE, name), schema, location=location, partition_spec=spec)

    return make


def append(table: Any, files: dict[date, list[int]], *before: str) -> None:
    """One snapshot with files of so many records each, by day; `before` are the partition's values before the day. The
    files themselves are never read, and not there.
    """
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat  # noqa: PLC0415
    from pyiceberg.typedef import Record  # noqa: PLC0415

    with table.transaction() as change, change.update_snapshot().fast_append() as added:
        for day, counts in files.items():
            for number, records in enumerate(counts):
                added.append_data_file(
                    DataFile.from_args(
                        content=DataFileContent.DATA, file_format=FileFormat.PARQUET, record_count=records,
                        file_path=f"{table.location()}/data/{day}-{number}-{next(_numbers)}.parquet",
                        file_size_in_bytes=1000 * records, spec_id=0,
                        partition=Record(*before, (day - date(1970, 1, 1)).days),
                    )
                )  # fmt: skip


def test_the_names_are_those_of_the_tables() -> None:
    assert list(NAMES) == [table.name for table in TABLES]


def test_days_are_counted_over_all_files_of_the_current_snapshot(place: Storage, make_table: Any) -> None:
    table = make_table("gps")
    assert days_of(place, "gps") == {}
    append(table, {MONDAY: [2], TUESDAY: [1]})
    append(table, {MONDAY: [1]})
    location = next(one.metadata_location for one in describe(place) if one.table == "gps")
    assert location is not None
    assert count_days(place, location) == {
        MONDAY: DayCount(files=2, records=3, deletes=0),
        TUESDAY: DayCount(files=1, records=1, deletes=0),
    }
    assert days_of(place, "gps") == {MONDAY: (3, 0), TUESDAY: (1, 0)}
    assert table_days(place, location) == Days(days=2, first=MONDAY, last=TUESDAY)
    with pytest.raises(TransientError, match=r"there is no table smartcity\.weather yet"):
        days_of(place, "weather")


def test_a_day_in_several_partitions_is_one_day(place: Storage, make_table: Any) -> None:
    table = make_table("emergency", by="device and day")
    append(table, {MONDAY: [2, 2]}, "car-1")
    append(table, {MONDAY: [5], TUESDAY: [1]}, "car-2")
    assert days_of(place, "emergency") == {MONDAY: (9, 0), TUESDAY: (1, 0)}


def test_a_table_without_days_is_refused(place: Storage, make_table: Any) -> None:
    make_table("vehicle", by="")
    with pytest.raises(TerminalError, match="not partitioned by the day"):
        days_of(place, "vehicle")


def test_a_run_without_a_touched_day_starts_no_spark(
    place: Storage, make_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SparkStartedError(Exception):
        pass

    def start(_settings: object) -> None:
        raise SparkStartedError

    monkeypatch.setattr(run, "start_session", start)
    monkeypatch.setattr(run, "require_jars", lambda _jars: [])
    append(make_table("emergency", by="device and day"), {MONDAY: [1]}, "car-3")
    choice = run.Choice(recipes=[recipe for recipe in RECIPES if recipe.mart is INCIDENT_RESPONSE])
    told: list[str] = []

    def build() -> list[run.Built]:
        return run.run_marts(choice, place, jars=Path(), master="local[1]", driver_memory="1g", say=told.append)

    with pytest.raises(SparkStartedError):
        build()
    (plan,) = run.plan_marts(choice, place, told.append)
    for day in plan.days:
        plan.state.remember(day, fingerprint(plan.recipe, day, plan.tables))
    assert build() == []
    assert told == ["incident_response: no day to build"]


def test_marts_are_described_by_their_files(
    place: Storage, make_table: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    client = s3_client(place)
    for day in (TUESDAY, MONDAY):
        client.put_object(Bucket=place.bucket, Key=JOURNEYS.key(day), Body=b"x" * 500_000)
    client.put_object(Bucket=place.bucket, Key=f"{JOURNEYS.prefix}notes.txt", Body=b"x")
    found = {one.mart: one for one in mart_files(place)}
    journeys = found[JOURNEYS.name]
    assert (journeys.days, journeys.bytes) == (Days(days=2, first=MONDAY, last=TUESDAY), 1_000_000)
    assert journeys.built_at is not None
    assert found[CITY_HOURS.name].built_at is None
    append(make_table("camera"), {TUESDAY: [1]})
    boto3.client("glue", region_name=place.region, endpoint_url=place.endpoint).delete_table(
        DatabaseName=DATABASE, Name="vehicle"
    )
    assert main(["describe", "--json", "--bucket", place.bucket]) == 0
    document = json.loads(capsys.readouterr().out)
    camera = next(one for one in document["tables"] if one["table"] == "camera")
    assert (camera["rows"], camera["days"]["first"]) == (1, "2026-03-03")
    assert next(one for one in document["tables"] if one["table"] == "vehicle")["exists"] is False
    assert [one["mart"] for one in document["marts"] if one["bytes"]] == ["journeys"]
    assert main(["describe", "--bucket", place.bucket]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("journeys")).split()[1:5] == [
        "1.00", "2", "2026-03-02", "2026-03-03",
    ]  # fmt: skip
    assert any(line.split() == ["vehicle", "missing"] for line in lines)
    assert any(line.startswith("city_hours") and line.endswith("not built yet") for line in lines)


def test_nothing_has_no_first_day() -> None:
    assert spread([]) == Days()
    assert len(table_lines([])) == len(mart_lines([])) == 1
