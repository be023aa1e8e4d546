"""Column types: Glue's as Arrow's, and Arrow's as Athena's SQL."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ..errors import QueryFailedError

_ARROW = {
    "string": pa.string(), "varchar": pa.string(), "char": pa.string(), "boolean": pa.bool_(), "tinyint": pa.int8(),
    "smallint": pa.int16(), "int": pa.int32(), "integer": pa.int32(), "bigint": pa.int64(), "float": pa.float32(),
    "double": pa.float64(), "date": pa.date32(), "timestamp": pa.timestamp("us"), "binary": pa.binary(),
}  # fmt: skip


def arrow_type(kind: str) -> Any:
    """Arrow's type of a Glue column type."""
    text = kind.lower().replace(" ", "")
    if text.startswith("array<"):
        return pa.list_(arrow_type(text[6:-1]))
    if text.startswith("map<"):
        key, item = _parts(text[4:-1])
        return pa.map_(arrow_type(key), arrow_type(item))
    if text.startswith("struct<"):
        pairs = [part.split(":", 1) for part in _parts(text[7:-1])]
        return pa.struct([(name, arrow_type(inner)) for name, inner in pairs])
    if text.startswith("decimal("):
        precision, scale = text[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    try:
        return _ARROW[text.split("(")[0]]
    except KeyError:
        raise QueryFailedError("NOT_SUPPORTED", f"the column type {kind} is not served by the local Athena") from None


def _parts(text: str) -> list[str]:
    """Split at the commas that are not inside brackets: `a:int,b:array<map<int,int>>`."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def athena_type(arrow: Any) -> str:  # noqa: PLR0911
    """Athena's SQL type of an Arrow type, as the query is checked against."""
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return f"array({athena_type(arrow.value_type)})"
    if pa.types.is_map(arrow):
        return f"map({athena_type(arrow.key_type)}, {athena_type(arrow.item_type)})"
    if pa.types.is_struct(arrow):
        return "row(" + ", ".join(f"{field.name} {athena_type(field.type)}" for field in arrow) + ")"
    if pa.types.is_timestamp(arrow):
        return "timestamp(6) with time zone" if arrow.tz else "timestamp(6)"
    if pa.types.is_decimal(arrow):
        return f"decimal({arrow.precision}, {arrow.scale})"
    if pa.types.is_binary(arrow) or pa.types.is_large_binary(arrow) or pa.types.is_fixed_size_binary(arrow):
        return "varbinary"
    if pa.types.is_date(arrow):
        return "date"
    names = {"bool": "boolean", "int8": "tinyint", "int16": "smallint", "int32": "integer", "int64": "bigint"}
    return {**names, "float": "real", "double": "double"}.get(str(arrow), "varchar")
