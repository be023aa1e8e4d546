"""Camera frames: each stored once under its hash, before the row that names it commits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from pyspark.sql import DataFrame, Row

from .s3 import s3_client
from .settings import Storage

UPLOADS_AT_ONCE = 8
"""A PUT waits most of its time, for the network and for S3. botocore keeps ten connections."""

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
    """Put each key once, some at a time; how many there were. After a failure, which is raised, no other begins."""
    stored: set[str] = set()
    under_way: deque[Future[None]] = deque()
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        for key, frame in frames:
            if key in stored:
                continue
            if len(under_way) == UPLOADS_AT_ONCE:
                under_way.popleft().result()
            under_way.append(pool.submit(put, key, frame))
            stored.add(key)
        for upload in under_way:
            upload.result()
    return len(stored)


def s3_put(storage: Storage) -> Put:
    """Puts into the lake's bucket."""
    client = s3_client(storage)

    def put(key: str, frame: bytes) -> None:
        client.put_object(Bucket=storage.bucket, Key=key, Body=frame, ContentType="image/jpeg")

    return put
