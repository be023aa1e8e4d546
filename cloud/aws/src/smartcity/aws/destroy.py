"""Removes a stack; its data too, where that is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import botocore.exceptions

from .buckets import MISSING
from .clients import error_code
from .errors import DeploymentError
from .progress import GONE, follow, seen_events
from .stack import Stack

_AT_ONCE_MAX = 1000
"""Objects in one DeleteObjects, by S3's limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What holds data. Objects and bytes count every version; delete markers hold nothing. None: there is no bucket."""

    bucket: str
    objects: int | None
    bytes: int
    database: str
    tables: tuple[str, ...] | None


def holdings(stack: Stack, *, s3: Any, glue: Any) -> Holdings:
    """Count what the stack's bucket and database hold."""
    bucket, database = stack.parameters.get("BucketName", ""), stack.parameters.get("DatabaseName", "")
    if not bucket:
        return Holdings(bucket=bucket, objects=None, bytes=0, database=database, tables=None)
    objects, size = 0, 0
    try:
        for page in _pages(s3, bucket):
            objects += len(page.get("Versions", []))
            size += sum(each["Size"] for each in page.get("Versions", []))
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in MISSING:
            raise
        return Holdings(bucket=bucket, objects=None, bytes=0, database=database, tables=_tables(glue, database))
    return Holdings(bucket=bucket, objects=objects, bytes=size, database=database, tables=_tables(glue, database))


def _tables(glue: Any, database: str) -> tuple[str, ...] | None:
    try:
        pages = glue.get_paginator("get_tables").paginate(DatabaseName=database)
        return tuple(each["Name"] for page in pages for each in page["TableList"])
    except botocore.exceptions.ClientError as error:
        if error_code(error) != "EntityNotFoundException":
            raise
        return None


def remove_stack(
    cloudformation: Any, stack: Stack, say: Callable[[str], None], *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Delete it and follow; bucket and database stay, as the template says.

    Raises:
        DeploymentError: something could not be deleted; its reason.
    """
    seen = seen_events(cloudformation, stack.stack_id)
    cloudformation.delete_stack(StackName=stack.stack_id)
    outcome = follow(cloudformation, stack.stack_id, seen, say, sleep=sleep)
    if outcome.status != GONE:
        reason = outcome.failures[0] if outcome.failures else "no reason given"
        raise DeploymentError(f"the stack is in {outcome.status}: {reason}. Mend that, and destroy it again")


def remove_data(held: Holdings, *, s3: Any, glue: Any) -> Iterator[str]:
    """Delete every version of every object, the bucket, and the database; a line for each that was there.

    Raises:
        DeploymentError: S3 kept an object; its key and reason.
    """
    if held.objects is not None:
        try:
            yield f"{_empty(s3, held.bucket):,} versions and delete markers removed from {held.bucket}"
            s3.delete_bucket(Bucket=held.bucket)
            yield f"bucket {held.bucket}: removed"
        except botocore.exceptions.ClientError as error:
            if error_code(error) not in MISSING:
                raise
    if held.tables is not None:
        try:
            glue.delete_database(Name=held.database)
            yield f"Glue database {held.database}: removed"
        except botocore.exceptions.ClientError as error:
            if error_code(error) != "EntityNotFoundException":
                raise


def _empty(s3: Any, bucket: str) -> int:
    removed = 0
    for page in _pages(s3, bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        names = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        for first in range(0, len(names), _AT_ONCE_MAX):
            some = names[first : first + _AT_ONCE_MAX]
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})
            for kept in answer.get("Errors", []):
                raise DeploymentError(f"S3 keeps {bucket}/{kept['Key']}: {kept['Code']}: {kept.get('Message', '')}")
            removed += len(some)
    return removed


def _pages(s3: Any, bucket: str) -> Iterator[dict[str, Any]]:
    yield from s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
