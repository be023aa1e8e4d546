"""The schema of Parquet objects by their footers: Arrow's types as Glue names them, and several schemas as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import CrawlError
from .listing import DataObject

Columns = Mapping[str, str]
"""Glue's type of each column, in order."""

_NAMES = {
    "bool": "boolean", "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "uint8": "smallint",
    "uint16": "int", "uint32": "bigint", "uint64": "decimal(20,0)", "halffloat": "float", "float": "float",
    "double": "double", "string": "string", "large_string": "string", "binary": "binary", "large_binary": "binary",
    "date32[day]": "date", "null": "void",
}  # fmt: skip
_WIDER = ("tinyint", "smallint", "int", "bigint")
_UNKNOWN = "void"
"""Type of a column that is null in every row of a file; it gives way to any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What one object's footer says."""

    columns: Columns
    rows: int


def footer(system: Any, found: DataObject) -> Footer:
    """Read an object's footer through pyarrow's file system.

    Raises:
        CrawlError: the object is gone, no Parquet, or has a column without a type in Glue.
    """
    try:
        with pq.ParquetFile(f"{found.bucket}/{found.key}", filesystem=system) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except pa.ArrowInvalid as error:
        what = "is not Parquet, and the local crawler reads nothing else: exclude it, or remove it"
        raise CrawlError(f"{found.location} {what} ({_line(error)})") from None
    except (OSError, pa.ArrowException) as error:
        raise CrawlError(f"{found.location} cannot be read: {_line(error)}") from None
    columns: dict[str, str] = {}
    for field in schema:
        name = field.name.lower()
        if name in columns:
            raise CrawlError(f"{found.location} has two columns that are {name!r} in Glue: rename one")
        try:
            columns[name] = glue_type(field.type)
        except CrawlError as error:
            raise CrawlError(f"{found.location}, column {name!r}: {error}") from None
    return Footer(columns=columns, rows=rows)


def glue_type(arrow: Any) -> str:  # noqa: PLR0911
    """Glue's (Hive's) name of an Arrow type."""
    if pa.types.is_timestamp(arrow):
        return "timestamp"
    if pa.types.is_decimal(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow) or pa.types.is_fixed_size_list(arrow):
        return f"array<{glue_type(arrow.value_type)}>"
    if pa.types.is_map(arrow):
        return f"map<{glue_type(arrow.key_type)},{glue_type(arrow.item_type)}>"
    if pa.types.is_struct(arrow):
        return "struct<" + ",".join(f"{field.name.lower()}:{glue_type(field.type)}" for field in arrow) + ">"
    if pa.types.is_dictionary(arrow):
        return glue_type(arrow.value_type)
    if pa.types.is_fixed_size_binary(arrow):
        return "binary"
    try:
        return _NAMES[str(arrow)]
    except KeyError:
        raise CrawlError(f"Parquet's {arrow} has no type in Glue") from None


def merged(schemas: Iterable[Columns], *, where: str) -> dict[str, str]:
    """One schema of several: columns in the order of their first appearance, the wider of two numbers.

    Raises:
        CrawlError: a column has types of which none is wide enough for both.
    """
    together: dict[str, str] = {}
    for columns in schemas:
        for name, kind in columns.items():
            try:
                together[name] = _wider(together.get(name, _UNKNOWN), kind)
            except ValueError:
                raise CrawlError(
                    f"{where}: the column {name!r} is {together[name]} in some objects and {kind} in others; write "
                    "them with one type, or exclude one kind"
                ) from None
    return together


def known(columns: Columns) -> dict[str, str]:
    """Columns as they are registered: one without any value is a string."""
    return {name: kind.replace(_UNKNOWN, "string") for name, kind in columns.items()}


def _wider(one: str, other: str) -> str:
    if other in (one, _UNKNOWN):
        return one
    if one == _UNKNOWN:
        return other
    if one in _WIDER and other in _WIDER:
        return max(one, other, key=_WIDER.index)
    if {one, other} == {"float", "double"}:
        return "double"
    raise ValueError(one, other)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
