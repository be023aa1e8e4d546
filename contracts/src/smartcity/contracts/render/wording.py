"""A column's meaning in one line, as every rendering's comment."""

from __future__ import annotations

from ..fields import Column


def comment(column: Column) -> str:
    """Description, and the unit in brackets where there is one: `Speed over ground [km/h]`."""
    unit = column.rules.unit
    return f"{column.rules.description} [{unit}]" if unit else column.rules.description
