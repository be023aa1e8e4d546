"""Camera frames: each stored once under its hash, before the row that names it commits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import boto3
from botocore.config import Config
from pyspark.sql import DataFrame, Row

from .settings import Storage

UPLOAD_ATTEMPTS_MAX = 5
UPLOAD_TIMEOUT_S = 20

Put = Callable[[str, bytes], None]
"""Stores bytes under an object key."""


def store_frames(rows: DataFrame, storage: Storage) -> None:
    """Upload the frames of camera rows (columns `snapshot`, `bytes`); returns when all are stored.

    Storing a frame again writes the same bytes to the same key, so a repeated batch does no harm.
    """

    def upload(partition: Iterable[Row]) -> None:
        upload_distinct(((row["snapshot"], bytes(row["bytes"])) for row in partition), s3_put(storage))

    rows.select("snapshot", "bytes").foreachPartition(upload)


def upload_distinct(frames: Iterable[tuple[str, bytes]], put: Put) -> int:
    """Put each key once; how many there were."""
    stored: set[str] = set()
    for key, frame in frames:
        if key not in stored:
            put(key, frame)
            stored.add(key)
    return len(stored)


def s3_put(storage: Storage) -> Put:
    """Puts into the lake's bucket."""
    client = s3_client(storage)

    def put(key: str, frame: bytes) -> None:
        client.put_object(Bucket=storage.bucket, Key=key, Body=frame, ContentType="image/jpeg")

    return put


@functools.cache
def s3_client(storage: Storage) -> Any:
    """One client per process: making one takes longer than many uploads."""
    config = Config(
        retries={"max_attempts": UPLOAD_ATTEMPTS_MAX, "mode": "standard"},
        connect_timeout=UPLOAD_TIMEOUT_S,
        read_timeout=UPLOAD_TIMEOUT_S,
        s3={"addressing_style": "path"} if storage.s3_endpoint else {},
    )
    return boto3.client("s3", region_name=storage.region, endpoint_url=storage.s3_endpoint, config=config)
