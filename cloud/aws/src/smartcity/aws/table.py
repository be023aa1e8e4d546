"""A query's result as text: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from .query import Result

_NUMBERS = (int, float, Decimal)


def as_table(result: Result) -> str:
    """Columns aligned, numbers to the right, with the count of rows below."""
    names = [column.name for column in result.columns]
    cells = [[_shown(value) for value in row] for row in result.rows]
    widths = [max([len(name), *(len(row[n]) for row in cells)]) for n, name in enumerate(names)]
    right = [any(isinstance(row[n], _NUMBERS) for row in result.rows) for n in range(len(names))]

    def line(values: list[str]) -> str:
        padded = (
            value.rjust(width) if to_right else value.ljust(width)
            for value, width, to_right in zip(values, widths, right, strict=True)
        )
        return "  ".join(padded).rstrip()

    lines = [line(names), "  ".join("-" * width for width in widths), *(line(row) for row in cells)] if names else []
    count = f"{len(result.rows)} row{'' if len(result.rows) == 1 else 's'}"
    scanned = "" if result.scanned_bytes is None else f", {result.scanned_bytes:,} bytes scanned"
    return "\n".join([*lines, f"({count}{scanned})"])


def as_json(result: Result) -> str:
    """One document: columns with their types, and each row as an object of its columns."""
    names = [column.name for column in result.columns]
    document = {
        "columns": [{"name": column.name, "type": column.type} for column in result.columns],
        "rows": [dict(zip(names, map(_plain, row), strict=True)) for row in result.rows],
        "query_id": result.query_id,
        "scanned_bytes": result.scanned_bytes,
        "engine_ms": result.engine_ms,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_csv(result: Result) -> str:
    """RFC 4180 with a header; null is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(column.name for column in result.columns)
    writer.writerows([_plain(value) for value in row] for row in result.rows)
    return text.getvalue().rstrip("\r\n")


def _shown(value: Any) -> str:
    return "" if value is None else str(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
