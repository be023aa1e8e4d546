"""One test's crawler, and the objects that it reads: for the tests of the local Glue's crawlers."""

from __future__ import annotations

import datetime as dt
import io
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ClientError = botocore.exceptions.ClientError
BUCKET = "smartcity-lake"
TIMEOUT_S = 180
PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
LOG_ONLY = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
EVERY_TYPE = {
    "Route": pa.array(["a", None]),
    "n": pa.array([1, 2], pa.int64()),
    "late": pa.array([1, 2], pa.int32()),
    "km": pa.array([1.5, 2.5]),
    "at": pa.array([dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)] * 2, pa.timestamp("us", "UTC")),
    "day": pa.array([dt.date(2026, 11, 21)] * 2),
    "is_wet": pa.array([True, False]),
    "codes": pa.array([["P0171"], []]),
    "place": pa.array([{"lat": 51.5, "name": "London"}, None]),
}


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def parquet(columns: Mapping[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), file, **options)
    return file.getvalue()


def put(endpoints: Any, key: str, columns: Mapping[str, Any]) -> None:
    endpoints.client("s3").put_object(Bucket=BUCKET, Key=key, Body=parquet(columns))


@dataclass
class Crawl:
    """One test's crawler, over a folder and a database of its own."""

    endpoints: Any
    name: str = field(default_factory=lambda: f"c{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.glue = self.endpoints.client("glue")
        self.glue.create_database(DatabaseInput={"Name": self.name})

    def put(self, key: str, columns: Mapping[str, Any]) -> None:
        put(self.endpoints, f"{self.name}/{key}", columns)

    def delete(self, key: str) -> None:
        self.endpoints.client("s3").delete_object(Bucket=BUCKET, Key=f"{self.name}/{key}")

    def create(self, **more: Any) -> None:
        target = {"Path": f"s3://{BUCKET}/{self.name}/", "Exclusions": more.pop("exclusions", [])}
        given = {"DatabaseName": self.name, "Targets": {"S3Targets": [target]}, **more}
        self.glue.create_crawler(Name=self.name, Role="arn:aws:iam::000000000000:role/crawl", **given)

    def run(self) -> dict[str, Any]:
        """Start it, wait until it is READY, and give its LastCrawl."""
        self.glue.start_crawler(Name=self.name)
        return self.ended()

    def ended(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            crawler = self.glue.get_crawler(Name=self.name)["Crawler"]
            if crawler["State"] == "READY":
                last: dict[str, Any] = crawler["LastCrawl"]
                return last
            time.sleep(0.01)
        raise AssertionError(f"{self.name} is still {crawler['State']}")

    def succeed(self) -> None:
        last = self.run()
        assert last["Status"] == "SUCCEEDED", last

    def table(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.glue.get_table(DatabaseName=self.name, Name=name)["Table"]
        return found

    def columns(self, name: str) -> dict[str, str]:
        return {each["Name"]: each["Type"] for each in self.table(name)["StorageDescriptor"]["Columns"]}

    def partitions(self, name: str) -> dict[str, dict[str, Any]]:
        found = self.glue.get_partitions(DatabaseName=self.name, TableName=name)["Partitions"]
        return {"/".join(each["Values"]): each for each in found}

    def tables(self) -> list[str]:
        return [each["Name"] for each in self.glue.get_tables(DatabaseName=self.name)["TableList"]]

    def rows(self, sql: str) -> list[list[str | None]]:
        athena = self.endpoints.client("athena")
        identity = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": self.name},
            ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/athena-results/"},
        )["QueryExecutionId"]
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            status = athena.get_query_execution(QueryExecutionId=identity)["QueryExecution"]["Status"]
            if status["State"] not in ("QUEUED", "RUNNING"):
                break
            time.sleep(0.01)
        assert status["State"] == "SUCCEEDED", status
        rows = athena.get_query_results(QueryExecutionId=identity)["ResultSet"]["Rows"]
        return [[each.get("VarCharValue") for each in row["Data"]] for row in rows[1:]]
