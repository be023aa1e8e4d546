"""Camera frames: each stored once under its hash, before the row that names it commits."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyspark.sql import DataFrame, Row

from .s3 import s3_client
from .settings import Storage

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
