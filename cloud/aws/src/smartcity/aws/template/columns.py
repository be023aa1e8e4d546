"""Whether the saved queries ask for columns that the contract has, in the tables and the marts. sqlglot resolves each
name as an engine would; it comes with the extra `check`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from smartcity.contracts.marts import MARTS, PARTITION_COLUMN, Mart
from smartcity.contracts.render.files import lake_tables
from smartcity.contracts.render.glue import TYPES


def tables(marts: Sequence[Mart] = MARTS) -> dict[str, dict[str, str]]:
    """Columns of every table and mart with their types in Athena, by name."""
    lake = {name: {each.name: TYPES[each.kind] for each in columns} for name, columns in lake_tables().items()}
    built = {mart.name: {each.name: TYPES[each.kind] for each in mart.columns} for mart in marts}
    return lake | {name: {**columns, PARTITION_COLUMN: "string"} for name, columns in built.items()}


def unknown_columns(queries: Mapping[str, str], schema: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A sentence for each query (SQL by name) that names a table or column that the schema lacks, or that is no SQL."""
    found = []
    for name, sql in queries.items():
        try:
            tree = sqlglot.parse_one(sql, dialect="athena")
            own = {each.alias for each in tree.find_all(exp.CTE)}
            named = {each.name for each in tree.find_all(exp.Table)} - own
            found += [f"{name}: there is no table {each}" for each in sorted(named - schema.keys())]
            if named <= schema.keys():
                qualify(tree, schema={each: dict(schema[each]) for each in named}, dialect="athena")
        except SqlglotError as error:
            found.append(f"{name}: {str(error).splitlines()[0]}")
    return found
