"""S3 without Spark: one client per process, and what lies under a prefix."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config

from .settings import Storage

UPLOAD_ATTEMPTS_MAX = 5
UPLOAD_TIMEOUT_S = 20


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


def list_objects(storage: Storage, prefix: str) -> Iterator[dict[str, Any]]:
    """Every object of the lake's bucket under a prefix, as S3 lists it: `Key`, `LastModified`, `Size` and more."""
    pages = s3_client(storage).get_paginator("list_objects_v2").paginate(Bucket=storage.bucket, Prefix=prefix)
    for page in pages:
        yield from page.get("Contents", [])
