"""What the lake holds, read from Iceberg's own metadata: Glue's pointer, then the newest metadata file. No Spark."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import DATABASE, DEAD_LETTERS_TABLE

from .errors import TransientError
from .s3 import s3_client
from .settings import Storage

NAMES = (*(stream.table for stream in STREAMS), DEAD_LETTERS_TABLE)
"""Those of `tables.TABLES`, without its Spark, whose import takes a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One table's newest snapshot. `exists` is False where Glue has no such table; `snapshot_at` None where empty."""

    table: str
    exists: bool = True
    rows: int = 0
    files: int = 0
    bytes: int = 0
    delete_files: int = 0
    snapshots: int = 0
    snapshot_at: datetime | None = None
    metadata_location: str | None = None
    """The metadata file that Glue names."""


def describe(storage: Storage) -> list[Description]:
    """All tables, in the contract's order.

    Raises:
        TransientError: AWS does not answer, or refuses.
    """
    glue = glue_client(storage)
    try:
        return [_describe(glue, storage, name) for name in NAMES]
    except (BotoCoreError, ClientError) as error:
        raise TransientError(f"cannot read the lake at {storage.endpoint or 'AWS'}: {error}") from error


def _describe(glue: Any, storage: Storage, name: str) -> Description:
    location = metadata_location(glue, name)
    if location is None:
        return Description(table=name, exists=False)
    place = urlsplit(location)
    body = s3_client(storage).get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
    return dataclasses.replace(read_metadata(name, json.loads(body)), metadata_location=location)


def glue_client(storage: Storage) -> Any:
    return boto3.client("glue", region_name=storage.region, endpoint_url=storage.endpoint)


def metadata_location(glue: Any, name: str) -> str | None:
    """The metadata file that Glue names for a table, or None where there is no such table. `glue` is boto3's client."""
    try:
        return str(glue.get_table(DatabaseName=DATABASE, Name=name)["Table"]["Parameters"]["metadata_location"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "EntityNotFoundException":
            return None
        raise


def read_metadata(name: str, metadata: Mapping[str, Any]) -> Description:
    """A table's metadata file (Iceberg specification, table metadata and snapshot summary)."""
    current = metadata.get("current-snapshot-id")
    snapshots = metadata.get("snapshots", [])
    newest = next((snapshot for snapshot in snapshots if snapshot["snapshot-id"] == current), None)
    if newest is None:
        return Description(table=name)
    summary = newest["summary"]
    return Description(
        table=name,
        rows=int(summary["total-records"]),
        files=int(summary["total-data-files"]),
        bytes=int(summary["total-files-size"]),
        delete_files=int(summary.get("total-delete-files", 0)),
        snapshots=len(snapshots),
        snapshot_at=datetime.fromtimestamp(newest["timestamp-ms"] / 1000, UTC),
    )
