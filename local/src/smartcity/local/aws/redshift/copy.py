"""COPY … FROM 's3://…' FORMAT AS PARQUET: all objects under a key prefix, by position, into one table.

As in Redshift, the objects' columns stand for the table's in their order, their number must be equal, and their types
must be those of the columns: a 32-bit integer does not go into a BIGINT. Names that begin with `_` or `.` are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import botocore.exceptions
import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from ..errors import StatementError

COPY_BYTES_MAX = 2 * 1024**3
"""Compressed bytes of one COPY: its rows have to fit into memory."""

_IGNORED = ("COMPUPDATE", "STATUPDATE", "REGION", "MAXERROR")
_FITS: Mapping[str, Sequence[str]] = {
    "BIGINT": ("int64",), "INTEGER": ("int32",), "SMALLINT": ("int16", "int32"), "BOOLEAN": ("bool",),
    "DOUBLE": ("double",), "FLOAT": ("float",), "VARCHAR": ("string", "large_string"), "DATE": ("date32[day]",),
    "BLOB": ("binary", "large_binary"), "JSON": (),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One COPY: target, columns by name (none: all), and what it loads. `nested_as_json` is SERIALIZETOJSON."""

    table: exp.Table
    columns: Sequence[str]
    location: str
    nested_as_json: bool


def parse_copy(statement: exp.Copy) -> Copy:
    """What a COPY says.

    Raises:
        StatementError: it is not a COPY of Parquet from S3 by a role, or has an option that is not served.
    """
    target = statement.this
    columns = [each.name.lower() for each in target.expressions] if isinstance(target, exp.Schema) else []
    table = target.this if isinstance(target, exp.Schema) else target
    files = statement.args.get("files") or []
    location = files[0].name if len(files) == 1 else ""
    if not isinstance(table, exp.Table) or not re.fullmatch(r"s3://[^/]+/.+", location):
        raise StatementError("COPY is served from 's3://bucket/prefix' into a table")
    credentials = statement.args.get("credentials")
    if credentials is None or not credentials.args.get("iam_role"):
        raise StatementError("COPY needs IAM_ROLE 'arn:aws:iam::…:role/…' or IAM_ROLE default")
    has_format = nested = False
    for each in statement.args.get("params") or []:
        name, value = each.name.upper(), str(each.expression.name if each.expression else "").upper()
        if name == "FORMAT" and value == "PARQUET":
            has_format = True
        elif name == "SERIALIZETOJSON":
            nested = True
        elif name not in _IGNORED:
            raise StatementError(f"COPY's option {name} {value} is not served by the local Redshift".replace("  ", " "))
    if not has_format:
        raise StatementError("COPY is served by the local Redshift with FORMAT AS PARQUET only")
    return Copy(table=table, columns=columns, location=location, nested_as_json=nested)


def read(copy: Copy, wanted: Mapping[str, str], *, s3: Any, system: Any) -> pa.Table:
    """The rows to load, as columns named and typed like `wanted` ({name: DuckDB type}).

    Raises:
        StatementError: nothing is there, an object is no Parquet, or it does not fit the columns.
    """
    tables = [_rows(path, copy, wanted, system) for path in _paths(copy.location, s3)]
    return pa.concat_tables(tables)


def _paths(location: str, s3: Any) -> list[str]:
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    paths, size = [], 0
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for each in page.get("Contents", []):
                if each["Size"] and not each["Key"].rsplit("/", 1)[-1].startswith(("_", ".")):
                    paths.append(f"{bucket}/{each['Key']}")
                    size += each["Size"]
    except botocore.exceptions.ClientError as error:
        raise StatementError(f"S3ServiceException: {location}: {error.response['Error']['Code']}") from None
    except botocore.exceptions.BotoCoreError as error:
        raise StatementError(f"S3ServiceException: {location}: {error}") from None
    if not paths:
        raise StatementError(f"The specified S3 prefix '{prefix}' does not exist: there is no object at {location}")
    if size > COPY_BYTES_MAX:
        raise StatementError(f"{location} holds {size} bytes, the local Redshift copies {COPY_BYTES_MAX} at once")
    return sorted(paths)


def _rows(path: str, copy: Copy, wanted: Mapping[str, str], system: Any) -> pa.Table:
    try:
        with pq.ParquetFile(path, filesystem=system) as file:
            rows = file.read()
    except (OSError, pa.ArrowException) as error:
        raise StatementError(f"s3://{path} is no readable Parquet: {' '.join(str(error).split())[:200]}") from None
    if rows.num_columns != len(wanted):
        raise StatementError(
            f"s3://{path} has {rows.num_columns} columns, {copy.table.sql('redshift')} takes {len(wanted)}: COPY from "
            "Parquet goes by position"
        )
    columns = [
        _column(rows.column(number), rows.field(number), name, kind, path=path, nested_as_json=copy.nested_as_json)
        for number, (name, kind) in enumerate(wanted.items())
    ]
    return pa.table(columns, names=list(wanted))


def _column(held: Any, found: Any, name: str, kind: str, *, path: str, nested_as_json: bool) -> Any:
    arrow = found.type
    is_nested = pa.types.is_nested(arrow)
    if kind == "JSON" and is_nested and nested_as_json:
        values = [None if value is None else json.dumps(value, default=str) for value in held.to_pylist()]
        return pa.chunked_array([pa.array(values, pa.string())])
    if kind == "TIMESTAMP" and pa.types.is_timestamp(arrow):
        return held.cast(pa.timestamp("us"))
    if kind.startswith("DECIMAL") and pa.types.is_decimal(arrow) and kind[7:] == f"({arrow.precision},{arrow.scale})":
        return held
    if str(arrow) in _FITS.get(kind, ()):
        plain = {"large_string": pa.string(), "large_binary": pa.binary()}
        return held.cast(plain.get(str(arrow), arrow))
    hint = "; a nested column needs SUPER and the option SERIALIZETOJSON" if is_nested else ""
    raise StatementError(
        f"s3://{path} has an incompatible Parquet schema for column {name!r}: column type {kind}, Parquet schema "
        f"{found.name!r} {arrow}{hint}"
    )
