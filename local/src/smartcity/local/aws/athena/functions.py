"""Athena's functions that sqlglot leaves different in DuckDB: elapsed units of `date_diff`, days that stay days,
`max_by` over nulls, lengths of bytes and maps, and printed times.
"""

from __future__ import annotations

import re

from sqlglot import exp

from ..errors import QueryFailedError

_JODA = {
    "yyyy": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%-m", "dd": "%d", "d": "%-d",
    "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M", "ss": "%S", "SSS": "%g", "SSSSSS": "%f",
    "a": "%p", "EEEE": "%A", "EEE": "%a", "E": "%a", "DDD": "%j",
}  # fmt: skip
_JODA_PART = re.compile(r"'(?P<quoted>[^']*)'|(?P<letters>(?P<one>[A-Za-z])(?P=one)*)|(?P<other>[^A-Za-z'])")


def rewritten(statement: exp.Expr) -> exp.Expr:
    """What is inside first: a node's rewriting keeps what was rewritten in it, and its type."""
    for node in reversed(list(statement.walk(bfs=False))):
        fresh = _rewrite(node)
        if fresh is not node:
            fresh.type = node.type
            node.replace(fresh)
    return statement


def _rewrite(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Add | exp.Sub) and node.is_type("date"):
        # A day and an interval are a day in Athena, and a timestamp in DuckDB.
        return exp.cast(node, "date")
    if isinstance(node, exp.DateDiff | exp.TimestampDiff):
        # Athena counts whole elapsed units; DuckDB's date_diff counts crossed boundaries, its date_sub elapsed units.
        unit = exp.Literal.string(str(node.args.get("unit") or "day").strip("'").lower())
        return exp.Anonymous(
            this="date_sub", expressions=[unit, _milliseconds(node.expression), _milliseconds(node.this)]
        )
    if isinstance(node, exp.Floor | exp.Ceil) and node.this.is_type(*exp.DataType.INTEGER_TYPES):
        # Athena's floor of an integer is that integer; DuckDB's is a double.
        return exp.paren(node.this, copy=False)
    if isinstance(node, exp.ArgMax | exp.ArgMin) and not node.args.get("count"):
        name = "arg_max_null" if isinstance(node, exp.ArgMax) else "arg_min_null"
        return exp.Anonymous(this=name, expressions=[node.this, node.expression])
    return _rename(node)


def _milliseconds(value: exp.Expr) -> exp.Expr:
    """Athena's date_diff looks at no more of a timestamp."""
    if value.is_type("date", "time"):
        return value
    return exp.Anonymous(this="date_trunc", expressions=[exp.Literal.string("milliseconds"), value])


def _rename(node: exp.Expr) -> exp.Expr:
    """Functions that DuckDB has under another name for these arguments."""
    if isinstance(node, exp.Length) and (node.this.is_type("binary", "varbinary") or isinstance(node.this, exp.Encode)):
        # Athena's length of bytes counts bytes; DuckDB's takes no bytes.
        return exp.Anonymous(this="octet_length", expressions=[node.this])
    if isinstance(node, exp.ArraySize) and (node.this.is_type("map") or isinstance(node.this, exp.Map | exp.VarMap)):
        return exp.Anonymous(this="cardinality", expressions=[node.this])
    if isinstance(node, exp.Anonymous) and node.name.lower() == "format_datetime" and len(node.expressions) == 2:
        return exp.Anonymous(this="strftime", expressions=[node.expressions[0], _strftime(node.expressions[1])])
    if isinstance(node, exp.Anonymous) and node.name.lower() == "to_iso8601" and len(node.expressions) == 1:
        return _iso8601(node.expressions[0])
    return node


def _iso8601(value: exp.Expr) -> exp.Expr:
    """DuckDB tells the types apart: sqlglot does not know each. Times with a zone are in UTC there."""
    kinds = {"DATE": "%Y-%m-%d", "TIMESTAMP WITH TIME ZONE": "%Y-%m-%dT%H:%M:%S.%gZ"}
    case = exp.Case(this=exp.Anonymous(this="typeof", expressions=[value]))
    for kind, shape in kinds.items():
        case = case.when(exp.Literal.string(kind), _printed(value, shape))
    return case.else_(_printed(value, "%Y-%m-%dT%H:%M:%S.%g"))


def _printed(value: exp.Expr, shape: str) -> exp.Expr:
    return exp.Anonymous(this="strftime", expressions=[value.copy(), exp.Literal.string(shape)])


def _strftime(pattern: exp.Expr) -> exp.Expr:
    """A Joda pattern as strftime's. Letters without a counterpart are refused."""
    if not pattern.is_string:
        raise QueryFailedError("NOT_SUPPORTED", "format_datetime is served with a constant pattern only")
    parts = []
    for match in _JODA_PART.finditer(pattern.name):
        if match["letters"] is None:
            parts.append((match["quoted"] if match["other"] is None else match["other"]).replace("%", "%%"))
        elif match["letters"] in _JODA:
            parts.append(_JODA[match["letters"]])
        else:
            raise QueryFailedError("NOT_SUPPORTED", f"format_datetime: the pattern {match['letters']!r} is not served")
    return exp.Literal.string("".join(parts))
