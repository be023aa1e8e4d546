"""Create what the lake needs before its first commit: bucket, Glue database, Athena workgroup. Repeatable."""

from __future__ import annotations

from functools import partial
from typing import Any

import botocore.exceptions

from .buckets import MISSING, block_public_access, create_bucket, encrypt, unserved
from .clients import client, error_code, explained
from .errors import ConflictError
from .settings import Settings


def prepare(settings: Settings, *, s3: Any = None, glue: Any = None, athena: Any = None) -> list[str]:
    """Create what is missing; returns a line for each thing, saying whether it was created or there.

    Raises:
        ConflictError: the bucket belongs to someone else, or the workgroup writes elsewhere.
        CredentialsError, EndpointError, ServiceError: see `errors.py`.
    """
    with explained():
        return [
            *_bucket(s3 or client("s3", settings), settings.bucket),
            _database(glue or client("glue", settings), settings),
            _workgroup(athena or client("athena", settings), settings),
        ]


def _bucket(s3: Any, name: str) -> list[str]:
    lines = [_make_bucket(s3, name)]
    protections = (
        ("public access blocked", block_public_access),
        ("encrypted at rest (SSE-S3)", encrypt),
    )
    for what, protect in protections:
        operation = unserved(partial(protect, s3, name))
        lines.append(
            f"bucket {name}: not {what}: this endpoint does not serve {operation}"
            if operation
            else f"bucket {name}: {what}"
        )
    return lines


def _make_bucket(s3: Any, name: str) -> str:
    try:
        s3.head_bucket(Bucket=name)
        return f"bucket {name}: there"
    except botocore.exceptions.ClientError as error:
        if error_code(error) == "403":
            raise ConflictError(
                f"the bucket {name} belongs to another account, or these credentials may not see it: "
                "choose another name with SMARTCITY_BUCKET"
            ) from None
        if error_code(error) not in MISSING:
            raise
    try:
        create_bucket(s3, name)
    except botocore.exceptions.ClientError as error:
        if error_code(error) == "BucketAlreadyOwnedByYou":
            return f"bucket {name}: there"
        if error_code(error) == "BucketAlreadyExists":
            raise ConflictError(
                f"the bucket name {name} is taken by another account: choose another with SMARTCITY_BUCKET"
            ) from None
        raise
    return f"bucket {name}: created"


def _database(glue: Any, settings: Settings) -> str:
    try:
        glue.create_database(
            DatabaseInput={
                "Name": settings.database,
                "Description": "The lake of the smart city: Iceberg tables of the streams, and their dead letters",
                "LocationUri": f"{settings.warehouse}/{settings.database}.db",
            }
        )
    except botocore.exceptions.ClientError as error:
        if error_code(error) != "AlreadyExistsException":
            raise
        return f"Glue database {settings.database}: there"
    return f"Glue database {settings.database}: created"


def _workgroup(athena: Any, settings: Settings) -> str:
    name = settings.workgroup
    try:
        group = athena.get_work_group(WorkGroup=name)["WorkGroup"]
    except botocore.exceptions.ClientError as error:
        if error_code(error) != "InvalidRequestException":
            raise
        athena.create_work_group(
            Name=name,
            Description="Queries over the lake of the smart city",
            Configuration={
                "ResultConfiguration": {"OutputLocation": settings.results},
                "EnforceWorkGroupConfiguration": True,
            },
        )
        return f"Athena workgroup {name}: created, results in {settings.results}"
    results = group.get("Configuration", {}).get("ResultConfiguration", {}).get("OutputLocation", "")
    if results.rstrip("/") != settings.results.rstrip("/"):
        raise ConflictError(
            f"the Athena workgroup {name} writes to {results or 'nowhere'}, not to {settings.results}: "
            "choose another workgroup with SMARTCITY_WORKGROUP, or change its result location"
        )
    return f"Athena workgroup {name}: there"
