"""A day of a mart as one Parquet file under one fixed key. Readers see the old file or the new one, whole."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from smartcity.contracts.fields import Column, Kind
from smartcity.contracts.marts import Mart
from smartcity.contracts.render.wording import comment

from ..errors import TerminalError
from ..settings import Storage

TYPES: dict[Kind, Any] = {
    Kind.STRING: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    Kind.STRINGS: pa.list_(pa.field("element", pa.string(), nullable=False)),
    Kind.BYTES: pa.binary(),
}


def schema(columns: tuple[Column, ...]) -> Any:
    """The contract's columns as an Arrow schema, with their comments."""
    return pa.schema(
        pa.field(column.name, TYPES[column.kind], nullable=column.nullable, metadata={"comment": comment(column)})
        for column in columns
    )


def as_contract(mart: Mart, rows: Any) -> Any:
    """The rows of an Arrow table, in the contract's columns and types.

    Raises:
        TerminalError: the columns are others, of another type, or null where the contract says they are not.
    """
    wanted = schema(mart.columns)
    if rows.column_names != wanted.names:
        raise TerminalError(f"mart {mart.name}: computed columns {rows.column_names} are not {wanted.names}")
    for column in mart.columns:
        found = rows.column(column.name)
        if found.type != wanted.field(column.name).type:
            raise TerminalError(
                f"mart {mart.name}, column {column.name}: {found.type} was computed, not {column.kind.value}"
            )
        if found.null_count and not column.nullable:
            raise TerminalError(f"mart {mart.name}, column {column.name}: {found.null_count} rows have none")
    return rows.cast(wanted)


def parquet(rows: Any) -> bytes:
    """An Arrow table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def replace_day(client: Any, storage: Storage, mart: Mart, day: date, rows: Any) -> int:
    """Put the day in place of what was there, or remove it where there are no rows. Bytes written."""
    if rows.num_rows == 0:
        client.delete_object(Bucket=storage.bucket, Key=mart.key(day))
        return 0
    content = parquet(rows)
    client.put_object(
        Bucket=storage.bucket, Key=mart.key(day), Body=content, ContentType="application/vnd.apache.parquet"
    )
    return len(content)
