"""Values and columns as Redshift's Data API gives them."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

_TYPES = {
    "BIGINT": "int8", "INTEGER": "int4", "SMALLINT": "int2", "TINYINT": "int2", "BOOLEAN": "bool", "DOUBLE": "float8",
    "FLOAT": "float4", "VARCHAR": "varchar", "DATE": "date", "TIMESTAMP": "timestamp", "BLOB": "varbyte",
    "TIMESTAMP WITH TIME ZONE": "timestamptz", "TIME": "time", "HUGEINT": "numeric", "JSON": "super",
}  # fmt: skip
_PRECISION = {"int8": 19, "int4": 10, "int2": 5, "float8": 17, "float4": 8, "bool": 1, "date": 13, "timestamp": 29}
_TEXT_LENGTH = 65_535


def redshift_type(duckdb_type: str) -> str:
    """Redshift's internal name of a DuckDB type; nested types are SUPER."""
    name = duckdb_type.upper()
    if name.startswith("DECIMAL"):
        return "numeric"
    if name.startswith(("STRUCT", "MAP", "JSON")) or name.endswith("]"):
        return "super"
    return _TYPES.get(name, _TYPES.get(name.split("_")[0], "varchar"))


def column_metadata(name: str, duckdb_type: str) -> dict[str, Any]:
    """One entry of ColumnMetadata. `nullable` 2 is unknown."""
    kind = redshift_type(duckdb_type)
    precision, scale = _PRECISION.get(kind, 0), 0
    if kind == "numeric":
        inside = duckdb_type[duckdb_type.index("(") + 1 : -1] if "(" in duckdb_type else "38,0"
        precision, scale = (int(part) for part in inside.split(","))
    return {
        "name": name,
        "label": name,
        "typeName": kind,
        "precision": _TEXT_LENGTH if kind == "varchar" else precision,
        "scale": scale,
        "length": _TEXT_LENGTH if kind == "varchar" else 0,
        "nullable": 2,
        "isSigned": kind in ("int8", "int4", "int2", "float8", "float4", "numeric"),
        "isCaseSensitive": kind in ("varchar", "super"),
        "isCurrency": False,
        "schemaName": "",
        "tableName": "",
        "columnDefault": "",
    }


def field(value: Any, duckdb_type: str) -> dict[str, Any]:  # noqa: PLR0911
    """One Field of a record: null, boolean, long, double, or text as Redshift prints it."""
    if value is None:
        return {"isNull": True}
    if isinstance(value, bool):
        return {"booleanValue": value}
    kind = redshift_type(duckdb_type)
    if isinstance(value, int) and kind != "numeric":
        return {"longValue": value}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, bytes):
        return {"blobValue": base64.b64encode(value).decode()}
    if isinstance(value, list | dict):
        return {"stringValue": json.dumps(value, default=str, separators=(",", ":"))}
    return {"stringValue": _text(value)}


def _text(value: Any) -> str:
    """Timestamps as PostgreSQL prints them: a fraction only where there is one, `+00` for UTC."""
    if not isinstance(value, datetime):
        return str(value)
    text = value.replace(tzinfo=None).isoformat(" ")
    text = text.rstrip("0") if "." in text else text
    return f"{text}+00" if value.tzinfo is not None else text
