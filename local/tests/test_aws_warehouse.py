"""`smartcity-aws redshift` at the local Redshift: numbered steps, and the marts' days loaded once each."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from typing import Any

import pyarrow as pa
import pytest

from smartcity.aws.errors import MigrationError, WarehouseError
from smartcity.aws.load import load
from smartcity.aws.migrations import Migration, migrate, migrations
from smartcity.aws.settings import Settings
from smartcity.aws.warehouse import Warehouse, open_warehouse
from smartcity.contracts.fields import Column, Kind
from smartcity.contracts.marts import CITY_HOURS, MARTS, SPEED_BY_KM, Mart
from smartcity.contracts.render.redshift import redshift_type
from smartcity.lake.marts.files import parquet, schema

FRIDAY, SATURDAY = dt.date(2026, 11, 20), dt.date(2026, 11, 21)
VALUES: dict[Kind, Any] = {
    Kind.STRING: "a", Kind.INTEGER: 1, Kind.NUMBER: 0.5, Kind.BOOLEAN: True, Kind.STRINGS: ["a"], Kind.BYTES: b"a"
}  # fmt: skip


class Lake:
    """A bucket with marts, and the workgroup of a stack with the same name."""

    def __init__(self, endpoints: Any) -> None:
        name = f"w{uuid.uuid4().hex[:8]}"
        self.settings = Settings(bucket=name, database=name, stack=name)
        self.s3, self.glue = endpoints.client("s3"), endpoints.client("glue")
        self.s3.create_bucket(Bucket=name)
        self.glue.create_database(DatabaseInput={"Name": name})
        serverless = endpoints.client("redshift-serverless")
        serverless.create_namespace(namespaceName=name, dbName="smartcity")
        serverless.create_workgroup(workgroupName=name, namespaceName=name)
        self.warehouse: Warehouse = open_warehouse(self.settings, data=endpoints.client("redshift-data"))

    def put(self, mart: Mart, day: dt.date, rows: int) -> None:
        at = dt.datetime.combine(day, dt.time(8), dt.UTC)
        values = {column.name: [VALUES.get(column.kind, at)] * rows for column in mart.columns}
        body = parquet(pa.table(values, schema=schema(mart.columns)))
        self.s3.put_object(Bucket=self.settings.bucket, Key=mart.key(day), Body=body)

    def migrate(self) -> str:
        return migrate(self.warehouse, self.settings, print)

    def load(self) -> str:
        return load(self.warehouse, self.settings, print, s3=self.s3)

    def days(self, mart: Mart) -> dict[str, int]:
        sql = f"SELECT CAST(CAST({mart.time_column} AS DATE) AS VARCHAR), COUNT(*) FROM marts.{mart.name} GROUP BY 1"
        return {str(day): int(rows) for day, rows in self.warehouse.rows(sql)}


@pytest.fixture
def lake(aws_endpoints: Any) -> Lake:
    return Lake(aws_endpoints)


def test_the_steps_lead_to_the_contracts_tables(lake: Lake) -> None:
    """Any change of a mart's columns is noticed here until a further step makes it."""
    assert lake.migrate() == "2 steps, 2 of them new"
    assert lake.migrate() == "2 steps, 0 of them new"
    for mart in MARTS:
        lake.put(mart, FRIDAY, 1)
        names = ", ".join(column.name for column in mart.columns)
        assert lake.warehouse.rows(f"SELECT {names} FROM marts.{mart.name}") == ()
        step = next(one.text for one in migrations() if f"TABLE marts.{mart.name} (" in one.text)
        made = step.partition(f"TABLE marts.{mart.name} (\n")[2].partition("\n)")[0]
        assert made.split(",\n") == [f"  {_definition(column)}" for column in mart.columns]
    lake.load()
    assert {mart.name: lake.days(mart) for mart in MARTS} == {mart.name: {"2026-11-20": 1} for mart in MARTS}


def _definition(column: Column) -> str:
    return f"{column.name} {redshift_type(column)}" + ("" if column.nullable else " NOT NULL")


def test_a_day_is_loaded_again_only_when_its_file_is_another(lake: Lake) -> None:
    lake.migrate()
    for day in (FRIDAY, SATURDAY):
        lake.put(SPEED_BY_KM, day, 2)
    lake.put(CITY_HOURS, FRIDAY, 3)
    lake.s3.put_object(Bucket=lake.settings.bucket, Key="marts/speed_by_km/_state.json", Body=b"{}")
    assert lake.load() == "3 days loaded, 0 removed, 0 were loaded already"
    assert lake.load() == "0 days loaded, 0 removed, 3 were loaded already"
    lake.put(SPEED_BY_KM, SATURDAY, 5)
    lake.s3.delete_object(Bucket=lake.settings.bucket, Key=CITY_HOURS.key(FRIDAY))
    assert lake.load() == "1 days loaded, 1 removed, 1 were loaded already"
    assert (lake.days(SPEED_BY_KM), lake.days(CITY_HOURS)) == ({"2026-11-20": 2, "2026-11-21": 5}, {})


def test_more_days_than_one_transaction_takes(lake: Lake) -> None:
    lake.migrate()
    days = [FRIDAY + dt.timedelta(days=number) for number in range(12)]
    for day in days:
        lake.put(CITY_HOURS, day, 1)
    assert lake.load().startswith("12 days loaded")
    assert lake.days(CITY_HOURS) == {day.isoformat(): 1 for day in days}


def test_a_load_that_fails_leaves_the_days_as_they_were(lake: Lake) -> None:
    lake.migrate()
    lake.put(CITY_HOURS, FRIDAY, 3)
    lake.load()
    lake.s3.put_object(Bucket=lake.settings.bucket, Key=CITY_HOURS.key(FRIDAY), Body=b"no Parquet")
    with pytest.raises(WarehouseError, match="no readable Parquet"):
        lake.load()
    assert lake.days(CITY_HOURS) == {"2026-11-20": 3}


def test_a_step_that_was_run_cannot_change_or_be_forgotten(lake: Lake) -> None:
    lake.migrate()
    first, second = migrations()
    for steps, named in (
        ([dataclasses.replace(first, text=first.text + "-- later"), second], "0001_marts has changed"),
        ([first], "0002_lake, which this version does not know"),
    ):
        with pytest.raises(MigrationError, match=named):
            migrate(lake.warehouse, lake.settings, print, steps)
    wrong = Migration(number=3, name="wrong", text="CREATE TABLE ops.half (n INT);\nCREATE TABLE ops.half (n INT);\n")
    with pytest.raises(WarehouseError, match="already exists"):
        migrate(lake.warehouse, lake.settings, print, [first, second, wrong])
    right = dataclasses.replace(wrong, text="CREATE TABLE ops.half (n INT);\n")
    assert migrate(lake.warehouse, lake.settings, print, [first, second, right]) == "3 steps, 1 of them new"


def test_a_workgroup_that_is_not_there_names_the_remedy(aws_endpoints: Any) -> None:
    warehouse = Warehouse(workgroup="nobody", data=aws_endpoints.client("redshift-data"))
    with pytest.raises(WarehouseError, match=r"workgroup nobody: .* CreateRedshift=true"):
        warehouse.rows("SELECT 1")
