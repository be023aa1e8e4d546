"""DuckDB's types and values as Athena names and prints them, in result files and in GetQueryResults."""

from __future__ import annotations

import math
import re
import struct
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from ..errors import QueryFailedError

_TYPES = {
    "TINYINT": "tinyint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "HUGEINT": "bigint",
    "UTINYINT": "smallint",
    "USMALLINT": "integer",
    "UINTEGER": "bigint",
    "UBIGINT": "bigint",
    "FLOAT": "float",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "BLOB": "varbinary",
    "INTERVAL": "interval day to second",
    '"NULL"': "unknown",
    "NULL": "unknown",
}
_BIGINT = 2**63
_PRECISION = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "float": 17, "double": 17, "boolean": 0}


def athena_type(duckdb_type: str) -> str:
    """Athena's name of a DuckDB type, as ColumnInfo gives it."""
    name = duckdb_type.upper()
    if name.endswith("]"):
        return "array"
    for start, known in (("MAP(", "map"), ("STRUCT(", "row"), ("DECIMAL", "decimal")):
        if name.startswith(start):
            return known
    if name.startswith("TIMESTAMP") and "ZONE" not in name:
        return "timestamp"
    return _TYPES.get(name, "varchar")


def column_info(name: str, duckdb_type: str, kind: str) -> dict[str, Any]:
    """One entry of ResultSetMetadata."""
    precision, scale = _PRECISION.get(kind, 0), 0
    if kind == "decimal" and "(" in duckdb_type:
        precision, scale = (int(part) for part in duckdb_type[duckdb_type.index("(") + 1 : -1].split(","))
    if kind in ("varchar", "varbinary"):
        precision = 2_147_483_647 if kind == "varchar" else 1_073_741_824
    if kind.startswith("timestamp"):
        precision = 3
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": kind,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": kind == "varchar",
    }


def printed(value: Any, duckdb_type: str, digits: int = 6) -> str | None:  # noqa: PLR0911
    """A value as Athena prints it; None stays None. `digits` of a second's fraction are printed: 3 or 6."""
    if value is None:
        return None
    name = duckdb_type.upper()
    if isinstance(value, bool):
        return "true" if value else "false"
    if name in ("HUGEINT", "UBIGINT"):
        return _whole(value)
    if isinstance(value, float):
        return real(value) if name == "FLOAT" else double(value)
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(" ", "microseconds")
        text = text if digits == 6 else text[:-3]
        return f"{text} UTC" if value.tzinfo is not None else text
    if isinstance(value, time):
        return value.isoformat("milliseconds")
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, timedelta):
        return _interval(value)
    if isinstance(value, list | dict):
        return _nested(value, duckdb_type, digits)
    return str(value) if isinstance(value, str | int | date | Decimal) else repr(value)


def _nested(value: Any, duckdb_type: str, digits: int) -> str:
    def inside(each: Any) -> str:
        text = printed(each, "DOUBLE" if isinstance(each, float) else "", digits)
        return "null" if text is None else text

    if isinstance(value, dict):
        # Fields of an anonymous row are called field0, field1, … by Athena, and _0, _1, … by sqlglot.
        names = [f"field{key[1:]}" if re.fullmatch("_[0-9]+", key) else key for key in value]
        return "{" + ", ".join(f"{key}={inside(each)}" for key, each in zip(names, value.values(), strict=True)) + "}"
    if duckdb_type.upper().startswith("MAP(") or any(isinstance(each, tuple) for each in value):
        return "{" + ", ".join(f"{inside(key)}={inside(each)}" for key, each in value) + "}"
    return "[" + ", ".join(inside(each) for each in value) + "]"


def _whole(value: Any) -> str:
    number = int(value)
    if not -_BIGINT <= number < _BIGINT:
        raise QueryFailedError("NUMERIC_VALUE_OUT_OF_RANGE", f"bigint overflow: {number}")
    return str(number)


def double(value: float) -> str:
    """A double as Java's `Double.toString` prints it: shortest digits, `1.0E10` from 10⁷ on and below 10⁻³."""
    return _java(value, repr(value))


def real(value: float) -> str:
    """A 32-bit float likewise: the shortest digits that give the same float back."""
    if not math.isfinite(value):
        return _java(value, "")
    wanted = struct.pack("f", value)
    shortest = next(text for size in range(1, 18) if struct.pack("f", float(text := f"{value:.{size}g}")) == wanted)
    return _java(value, repr(float(shortest)))


def _java(value: float, shortest: str) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return format(Decimal(shortest), "f") if "e" in shortest else shortest
    sign, digits, exponent = Decimal(shortest).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    power = len(digits) - 1 + int(exponent)
    return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{power}"


def _interval(value: timedelta) -> str:
    sign = "-" if value < timedelta(0) else ""
    value = abs(value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{value.days} {hours:02}:{minutes:02}:{seconds:02}.{value.microseconds // 1000:03}"
