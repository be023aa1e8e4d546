"""The marts' way through the local AWS: files as the lake writes them, crawled, copied, and asked of both engines."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from typing import Any

import pyarrow as pa
import pytest

from smartcity.aws.crawl import crawl, marts_crawler
from smartcity.aws.marts import PARQUET
from smartcity.aws.settings import Settings
from smartcity.contracts.fields import Kind
from smartcity.contracts.marts import MARTS, MARTS_PREFIX, PARTITION_COLUMN, Mart
from smartcity.contracts.render.glue import glue_columns
from smartcity.contracts.render.redshift import redshift_table
from smartcity.lake.marts.files import parquet, schema

DAYS = (dt.date(2026, 11, 20), dt.date(2026, 11, 21))
TIMEOUT_S = 180
VALUES: dict[Kind, Any] = {
    Kind.STRING: "a",
    Kind.INTEGER: 1,
    Kind.NUMBER: 0.5,
    Kind.BOOLEAN: True,
    Kind.TIMESTAMP: dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC),
    Kind.STRINGS: ["a"],
    Kind.BYTES: b"a",
}


def _rows(mart: Mart) -> Any:
    wanted = schema(mart.columns)
    return pa.table({column.name: [VALUES[column.kind]] * 2 for column in mart.columns}, schema=wanted)


def _until(done: Any) -> Any:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        result = done()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError("not ended")


@pytest.fixture
def bucket(aws_endpoints: Any) -> str:
    name = f"b{uuid.uuid4().hex[:8]}"
    s3 = aws_endpoints.client("s3")
    s3.create_bucket(Bucket=name)
    for mart in MARTS:
        for day in DAYS:
            s3.put_object(Bucket=name, Key=mart.key(day), Body=parquet(_rows(mart)))
    return name


def test_the_marts_are_crawled_as_contracted_and_copied_day_by_day(aws_endpoints: Any, bucket: str) -> None:
    glue = aws_endpoints.client("glue")
    glue.create_database(DatabaseInput={"Name": bucket})
    targets = {"S3Targets": [{"Path": f"s3://{bucket}/{MARTS_PREFIX}/"}]}
    glue.create_crawler(Name=bucket, Role="crawl", DatabaseName=bucket, Targets=targets)
    glue.start_crawler(Name=bucket)
    _until(lambda: glue.get_crawler(Name=bucket)["Crawler"]["State"] == "READY")
    assert glue.get_crawler(Name=bucket)["Crawler"]["LastCrawl"]["Status"] == "SUCCEEDED"
    tables = {each["Name"]: each for each in glue.get_tables(DatabaseName=bucket)["TableList"]}
    assert set(tables) == {mart.name for mart in MARTS}
    for mart in MARTS:
        found = [(each["Name"], each["Type"]) for each in tables[mart.name]["StorageDescriptor"]["Columns"]]
        assert found == [(each["Name"], each["Type"]) for each in glue_columns(mart.columns)], mart.name

    serverless, data = aws_endpoints.client("redshift-serverless"), aws_endpoints.client("redshift-data")
    serverless.create_namespace(namespaceName=bucket)
    serverless.create_workgroup(workgroupName=bucket, namespaceName=bucket)

    def run(*sqls: str) -> dict[str, Any]:
        identity = data.batch_execute_statement(Sqls=list(sqls), WorkgroupName=bucket, Database="dev")["Id"]
        ended = ("FINISHED", "FAILED", "ABORTED")
        _until(lambda: data.describe_statement(Id=identity)["Status"] in ended)
        described: dict[str, Any] = data.describe_statement(Id=identity)
        assert described["Status"] == "FINISHED", described
        return described

    role = "IAM_ROLE 'arn:aws:iam::000000000000:role/redshift'"
    run("CREATE SCHEMA marts", f"CREATE EXTERNAL SCHEMA lake FROM DATA CATALOG DATABASE '{bucket}' {role}")
    for mart in MARTS:
        create = redshift_table("marts", mart.name, mart.columns, sort_key=mart.time_column).split(";\n")[0]
        days = [f"s3://{bucket}/{mart.key(day)}" for day in DAYS]
        described = run(
            create,
            f"DELETE FROM marts.{mart.name}",
            *[f"COPY marts.{mart.name} FROM '{day}' {role} FORMAT AS PARQUET SERIALIZETOJSON" for day in days],
            f"SELECT (SELECT COUNT(*) FROM marts.{mart.name}), (SELECT COUNT(*) FROM lake.{mart.name})",
        )
        last = described["SubStatements"][-1]["Id"]
        assert data.get_statement_result(Id=last)["Records"] == [[{"longValue": 4}, {"longValue": 4}]]


def test_a_crawler_over_the_contracts_tables_adds_days_and_changes_no_column(aws_endpoints: Any, bucket: str) -> None:
    """The template's crawler: tables as targets, started and followed by `smartcity-aws crawl`."""
    glue, settings = aws_endpoints.client("glue"), Settings(bucket=bucket, database=bucket, stack=bucket)
    glue.create_database(DatabaseInput={"Name": bucket})
    for mart in MARTS:
        storage = {"Columns": glue_columns(mart.columns), "Location": f"s3://{bucket}/{mart.prefix}", **PARQUET}
        keys = [{"Name": PARTITION_COLUMN, "Type": "string"}]
        table = {"Name": mart.name, "StorageDescriptor": storage, "PartitionKeys": keys, "TableType": "EXTERNAL_TABLE"}
        glue.create_table(DatabaseName=bucket, TableInput=table)
    targets = {"CatalogTargets": [{"DatabaseName": bucket, "Tables": [mart.name]} for mart in MARTS]}
    leave = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
    name = marts_crawler(settings)
    glue.create_crawler(Name=name, Role="crawl", Targets=targets, SchemaChangePolicy=leave)
    assert crawl(settings, name, print, glue=glue).endswith("0 created, 6 updated, 0 deleted")
    assert crawl(settings, name, print, glue=glue).endswith("0 created, 0 updated, 0 deleted")
    for mart in MARTS:
        found = glue.get_table(DatabaseName=bucket, Name=mart.name)["Table"]["StorageDescriptor"]["Columns"]
        assert found == glue_columns(mart.columns)
        days = glue.get_partitions(DatabaseName=bucket, TableName=mart.name)["Partitions"]
        assert [one["Values"] for one in days] == [[day.isoformat()] for day in DAYS]
