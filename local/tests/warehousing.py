"""One test's namespace and workgroup, and what is copied into it: for the tests of the local Redshift."""

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

ClientError = botocore.exceptions.ClientError
LOST = (ClientError, botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
BUCKET = "smartcity-lake"
TIMEOUT_S = 180
ROLE = "IAM_ROLE 'arn:aws:iam::000000000000:role/redshift'"
TABLE = """CREATE TABLE IF NOT EXISTS marts.trips (
    id BIGINT IDENTITY(1, 1), route VARCHAR(5) NOT NULL ENCODE zstd DISTKEY, km DOUBLE PRECISION, n BIGINT ENCODE az64,
    at TIMESTAMP SORTKEY, day DATE, codes SUPER, PRIMARY KEY (id)
) DISTSTYLE KEY COMPOUND SORTKEY (at, route)"""
COPIED = "(route, km, n, at, day, codes)"


def trips(route: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "route": [route, route],
        "km": [1.5, None],
        "n": pa.array([7, 8], pa.int64()),
        "at": pa.array([dt.datetime(2026, 11, 21, 8, 0, 0, 500_000, tzinfo=dt.UTC)] * 2, pa.timestamp("us", "UTC")),
        "day": pa.array([dt.date(2026, 11, 21)] * 2),
        "codes": pa.array([["P0171"], []]),
        **more,
    }


@dataclass
class Redshift:
    """A namespace and a workgroup of one test."""

    endpoints: Any
    name: str = field(default_factory=lambda: f"w{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.data = self.endpoints.client("redshift-data")
        serverless = self.endpoints.client("redshift-serverless")
        serverless.create_namespace(namespaceName=self.name, dbName="smartcity")
        serverless.create_workgroup(workgroupName=self.name, namespaceName=self.name, baseCapacity=8)

    def put(self, key: str, columns: Mapping[str, Any]) -> None:
        file = io.BytesIO()
        pq.write_table(pa.table(dict(columns)), file)
        self.endpoints.client("s3").put_object(Bucket=BUCKET, Key=f"{self.name}/{key}", Body=file.getvalue())

    def run(self, *sqls: str, **more: Any) -> dict[str, Any]:
        """Run one statement, or several as a batch, to the end; what DescribeStatement says."""
        where = {"WorkgroupName": self.name, "Database": "smartcity", **more}
        if len(sqls) == 1:
            identity = self.data.execute_statement(Sql=sqls[0], **where)["Id"]
        else:
            identity = self.data.batch_execute_statement(Sqls=list(sqls), **where)["Id"]
        return self.ended(identity)

    def ended(self, identity: str) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            described: dict[str, Any] = self.data.describe_statement(Id=identity)
            if described["Status"] in ("FINISHED", "FAILED", "ABORTED"):
                return described
            time.sleep(0.01)
        raise AssertionError(f"not ended: {described}")

    def done(self, *sqls: str, **more: Any) -> dict[str, Any]:
        described = self.run(*sqls, **more)
        assert described["Status"] == "FINISHED", described
        return described

    def rows(self, sql: str, **more: Any) -> list[list[Any]]:
        pages = self.data.get_paginator("get_statement_result").paginate(Id=self.done(sql, **more)["Id"])
        return [
            [None if "isNull" in each else next(iter(each.values())) for each in record]
            for page in pages
            for record in page["Records"]
        ]

    def error(self, *sqls: str, **more: Any) -> str:
        described = self.run(*sqls, **more)
        assert described["Status"] == "FAILED", described
        return str(described["Error"])
