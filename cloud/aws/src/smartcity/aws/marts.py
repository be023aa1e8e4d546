"""The marts in the Glue catalog: an external table each, partitioned by day, and a partition for every day in the
bucket. A day's file keeps its key when it is built again, so only days that are new need registering.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.exceptions

from smartcity.contracts.marts import MARTS, PARTITION_COLUMN, Mart
from smartcity.contracts.render.glue import glue_columns

from .clients import client, error_code, explained
from .settings import Settings

PARQUET: dict[str, Any] = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
"""How the catalog says Parquet."""
_AT_ONCE_MAX = 100
"""Partitions in one BatchCreatePartition, by Glue's limit."""


def register_marts(settings: Settings, *, s3: Any = None, glue: Any = None) -> dict[str, int]:
    """Register what is not yet; the number of days that were new, by mart. Repeatable. Registering a day whose file
    is gone does no harm: it reads as empty.

    Raises:
        CredentialsError, EndpointError, ServiceError: see `errors.py`.
    """
    with explained():
        s3, glue = s3 or client("s3", settings), glue or client("glue", settings)
        return {mart.name: _register(s3, glue, settings, mart) for mart in MARTS}


def _register(s3: Any, glue: Any, settings: Settings, mart: Mart) -> int:
    days = {day for day, _ in day_objects(s3, settings.bucket, mart)}
    names = {"DatabaseName": settings.database, "TableName": mart.name}
    storage = {"Columns": glue_columns(mart.columns), "Location": f"s3://{settings.bucket}/{mart.prefix}", **PARQUET}
    try:
        glue.get_table(DatabaseName=settings.database, Name=mart.name)
    except botocore.exceptions.ClientError as error:
        if error_code(error) != "EntityNotFoundException":
            raise
        if days:
            _create(glue, settings, mart, storage)
    if not days:
        return 0
    pages = glue.get_paginator("get_partitions").paginate(**names)
    known = {one["Values"][0] for page in pages for one in page["Partitions"]}
    new = [
        {
            "Values": [day],
            "StorageDescriptor": {**storage, "Location": f"{storage['Location']}{PARTITION_COLUMN}={day}/"},
        }
        for day in sorted(days - known)
    ]
    for first in range(0, len(new), _AT_ONCE_MAX):
        glue.batch_create_partition(**names, PartitionInputList=new[first : first + _AT_ONCE_MAX])
    return len(new)


def day_objects(s3: Any, bucket: str, mart: Mart) -> Iterator[tuple[str, dict[str, Any]]]:
    """What lies in the mart's folders of days: the day as it stands in the key, and the object as S3 lists it."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=mart.prefix):
        for each in page.get("Contents", []):
            if f"/{PARTITION_COLUMN}=" in each["Key"]:
                yield each["Key"].split(f"{PARTITION_COLUMN}=")[1].split("/")[0], each


def _create(glue: Any, settings: Settings, mart: Mart, storage: dict[str, Any]) -> None:
    table = {
        "Name": mart.name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"classification": "parquet", "EXTERNAL": "TRUE"},
        "PartitionKeys": [{"Name": PARTITION_COLUMN, "Type": "string"}],
        "StorageDescriptor": storage,
    }
    try:
        glue.create_table(DatabaseName=settings.database, TableInput=table)
    except botocore.exceptions.ClientError as error:
        if error_code(error) != "AlreadyExistsException":  # Another process was quicker.
            raise
