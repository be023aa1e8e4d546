"""The data sets, `sql/*.sql`: what each holds, its columns and its parameters stand in its comment.

A column is a line `-- Column: <name> <type> <unit, or -> <title>`; types are those of `ColumnType`. Columns that a
filter is set by have one name and type in all data sets: `moment`, `route`, `vehicle`, `weather`.
"""

from __future__ import annotations

import re
from importlib import resources

from .definition import Column, ColumnType, DataSet

_COLUMN = re.compile(r"^-- Column: (\w+) (\w+) (\S+) (.+)$", re.MULTILINE)


def data_set(name: str, title: str) -> DataSet:
    """The data set of a file."""
    text = resources.files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    columns = tuple(
        Column(name=column, type=ColumnType(kind), unit="" if unit == "-" else unit, title=words)
        for column, kind, unit, words in _COLUMN.findall(text)
    )
    return DataSet(name=name, title=title, text=text, columns=columns)
