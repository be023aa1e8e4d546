"""Tables and marts with the contract's columns, written where a test's lake lies."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.glue import GlueCatalog

from smartcity.aws.settings import Settings
from smartcity.contracts.marts import Mart
from smartcity.contracts.streams import Stream
from smartcity.local.verify.arrow import arrow_schema, lake_schema

Rows = list[dict[str, Any]]


def catalog_of(settings: Settings, endpoints: Any) -> GlueCatalog:
    """The catalog in which the lake's tables are made."""
    return GlueCatalog("lake", **{**endpoints.iceberg_properties(), "warehouse": settings.warehouse})


def write_table(catalog: GlueCatalog, settings: Settings, stream: Stream, *files: Rows) -> None:
    """Make a stream's table, with a data file of each of these."""
    schema = lake_schema(stream)
    table = catalog.create_table(f"{settings.database}.{stream.table}", schema=schema)
    for rows in files:
        table.append(pa.Table.from_pylist(rows, schema=schema))


def write_mart(s3: Any, settings: Settings, mart: Mart, rows: Rows) -> None:
    """A file for each day of the rows."""
    for day, of_day in by_day(rows, mart.time_column).items():
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(of_day, schema=arrow_schema(mart.columns)), file)
        s3.put_object(Bucket=settings.bucket, Key=mart.key(day), Body=file.getvalue())


def by_day(rows: Rows, column: str) -> dict[dt.date, Rows]:
    """The rows by the day of a time."""
    found: dict[dt.date, Rows] = {}
    for row in rows:
        found.setdefault(row[column].date(), []).append(row)
    return found
