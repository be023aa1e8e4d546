"""Every rendered file of the repository, as a value: relative path to content."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from ..fields import Column
from ..streams import STREAMS
from ..tables import DATABASE, DEAD_LETTERS_TABLE, dead_letter_columns, lake_columns
from .asyncapi import asyncapi_document
from .glue import glue_columns
from .jsonschema import value_schema
from .markdown import fields_page
from .marts_page import marts_page
from .redshift import redshift_table
from .spark import spark_schema

FOLDER = PurePosixPath("contracts/rendered")
"""Holds rendered files and nothing else."""

_SQL_HEADER = """\
-- The contract as Redshift tables. Rendered by `python -m smartcity.contracts.render --write`; edits are overwritten.

"""


def lake_tables() -> dict[str, tuple[Column, ...]]:
    """Columns of every table of the lake, by name."""
    return {stream.table: lake_columns(stream) for stream in STREAMS} | {DEAD_LETTERS_TABLE: dead_letter_columns()}


def rendered_files() -> dict[PurePosixPath, str]:
    """All of them. Text ends in a line feed; JSON is indented by two."""
    tables = lake_tables()
    files = {FOLDER / f"{stream.name}.schema.json": _json(value_schema(stream)) for stream in STREAMS}
    files |= {FOLDER / "spark" / f"{name}.json": _json(spark_schema(columns)) for name, columns in tables.items()}
    files[FOLDER / "glue.json"] = _json({name: glue_columns(columns) for name, columns in tables.items()})
    files[FOLDER / "redshift.sql"] = _SQL_HEADER + "\n".join(
        redshift_table(DATABASE, name, columns, sort_key=_time_column(name)) for name, columns in tables.items()
    )
    files[FOLDER / "asyncapi.json"] = _json(asyncapi_document())
    files[PurePosixPath("docs/fields.md")] = fields_page()
    files[PurePosixPath("docs/marts.md")] = marts_page()
    return files


def _time_column(table: str) -> str:
    return "received_at" if table == DEAD_LETTERS_TABLE else "timestamp"


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
