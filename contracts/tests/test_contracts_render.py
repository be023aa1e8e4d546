"""Every kind, required and nullable, survives every rendering: each is read back by a reader that is not ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from smartcity.contracts.fields import Column, Kind
from smartcity.contracts.fields import columns as contract_columns
from smartcity.contracts.render.files import lake_tables
from smartcity.contracts.render.glue import COMMENT_CHARACTERS_MAX, OPTIONAL_PARAMETER, glue_columns
from smartcity.contracts.render.jsonschema import object_schema, value_schema
from smartcity.contracts.render.markdown import table
from smartcity.contracts.render.redshift import VARCHAR_BYTES_MAX, redshift_table
from smartcity.contracts.render.spark import iceberg_ddl, spark_schema, spark_schema_json
from smartcity.contracts.render.wording import comment
from smartcity.contracts.streams import STREAMS

types = pytest.importorskip("pyspark.sql.types")

Shape = list[tuple[str, Kind, bool]]

SPARK_KINDS = {
    types.StringType(): Kind.STRING,
    types.LongType(): Kind.INTEGER,
    types.DoubleType(): Kind.NUMBER,
    types.BooleanType(): Kind.BOOLEAN,
    types.TimestampType(): Kind.TIMESTAMP,
    types.ArrayType(types.StringType(), containsNull=False): Kind.STRINGS,
    types.BinaryType(): Kind.BYTES,
}

SQL_KINDS = {
    exp.DataType.Type.TEXT: Kind.STRING,
    exp.DataType.Type.VARCHAR: Kind.STRING,
    exp.DataType.Type.BIGINT: Kind.INTEGER,
    exp.DataType.Type.DOUBLE: Kind.NUMBER,
    exp.DataType.Type.BOOLEAN: Kind.BOOLEAN,
    exp.DataType.Type.TIMESTAMP: Kind.TIMESTAMP,
    exp.DataType.Type.TIMESTAMPTZ: Kind.TIMESTAMP,
    exp.DataType.Type.ARRAY: Kind.STRINGS,
    exp.DataType.Type.SUPER: Kind.STRINGS,
    exp.DataType.Type.BINARY: Kind.BYTES,
    exp.DataType.Type.VARBINARY: Kind.BYTES,
}


def shape(columns: Iterable[Column]) -> Shape:
    return [(column.name, column.kind, column.nullable) for column in columns]


def is_required(definition: exp.ColumnDef) -> bool:
    constraints = (constraint.kind for constraint in definition.constraints)
    return any(isinstance(kind, exp.NotNullColumnConstraint) for kind in constraints)


def sql_shape(statement: exp.Expression) -> Shape:
    definitions = statement.find_all(exp.ColumnDef)
    return [(found.name, SQL_KINDS[found.kind.this], not is_required(found)) for found in definitions]


@given(st.data())
@settings(max_examples=50)
def test_spark_reads_the_schema_document(
    any_columns: st.SearchStrategy[tuple[Column, ...]], data: st.DataObject
) -> None:
    columns = data.draw(any_columns)
    read = types.StructType.fromJson(json.loads(spark_schema_json(columns)))
    assert [(f.name, SPARK_KINDS[f.dataType], f.nullable) for f in read.fields] == shape(columns)
    assert [f.metadata["comment"] for f in read.fields] == [comment(column) for column in columns]
    assert spark_schema(columns) == read.jsonValue()


@given(st.data())
@settings(max_examples=50)
def test_spark_sql_reads_the_iceberg_columns(
    any_columns: st.SearchStrategy[tuple[Column, ...]], data: st.DataObject
) -> None:
    columns = data.draw(any_columns)
    statement = sqlglot.parse_one(f"CREATE TABLE t ({iceberg_ddl(columns)}) USING iceberg", dialect="spark")
    assert sql_shape(statement) == shape(columns)
    comments = [found.find(exp.CommentColumnConstraint).this.name for found in statement.find_all(exp.ColumnDef)]
    assert comments == [comment(column) for column in columns]


@given(st.data())
@settings(max_examples=50)
def test_redshift_reads_the_table(any_columns: st.SearchStrategy[tuple[Column, ...]], data: st.DataObject) -> None:
    columns = data.draw(any_columns)
    ddl = redshift_table("city", "t", columns, sort_key=columns[0].name)
    create, *comments = sqlglot.parse(ddl, dialect="redshift")
    assert sql_shape(create) == shape(columns)
    assert [found.expression.name for found in comments if found is not None] == [comment(c) for c in columns]


@given(st.data())
@settings(max_examples=50)
def test_redshift_strings_have_room_for_what_the_rules_allow(
    any_columns: st.SearchStrategy[tuple[Column, ...]], data: st.DataObject
) -> None:
    columns = [column for column in data.draw(any_columns) if column.kind is Kind.STRING]
    create = sqlglot.parse(redshift_table("city", "t", columns, sort_key="x"), dialect="redshift")[0]
    for column, definition in zip(columns, create.find_all(exp.ColumnDef), strict=True):
        width = int(definition.kind.expressions[0].name)
        longest = "\N{GRINNING FACE}" * (column.rules.length_max or 0)
        needed = max([len(choice.encode()) for choice in column.rules.choices] or [len(longest.encode())])
        assert min(needed, VARCHAR_BYTES_MAX) <= width <= VARCHAR_BYTES_MAX


@given(st.data())
@settings(max_examples=50)
def test_glue_types_are_hive_types(any_columns: st.SearchStrategy[tuple[Column, ...]], data: st.DataObject) -> None:
    columns = data.draw(any_columns)
    rendered = glue_columns(columns)
    parsed = (sqlglot.parse_one(c["Type"], into=exp.DataType, dialect="hive").this for c in rendered)
    kinds = [SQL_KINDS[kind] for kind in parsed]
    optional = [c["Parameters"][OPTIONAL_PARAMETER] == "true" for c in rendered]
    assert list(zip([c["Name"] for c in rendered], kinds, optional, strict=True)) == shape(columns)
    assert all(len(c["Comment"]) <= COMMENT_CHARACTERS_MAX for c in rendered)


def json_kind(schema: dict[str, Any]) -> Kind:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kind = next(kind for kind in kinds if kind != "null")
    if kind == "string" and schema.get("format") == "date-time":
        return Kind.TIMESTAMP
    if kind == "string" and "contentEncoding" in schema:
        return Kind.BYTES
    return {"array": Kind.STRINGS}.get(kind) or Kind(kind)


def json_value(column: Column) -> st.SearchStrategy[Any]:
    """Values that the column allows, as JSON."""
    rules = column.rules
    low, high = int(rules.minimum or 0), int(rules.maximum or 0)
    text = st.text(max_size=min(rules.length_max or 20, 20))
    values: dict[Kind, st.SearchStrategy[Any]] = {
        Kind.STRING: st.sampled_from(rules.choices) if rules.choices else text,
        Kind.INTEGER: st.integers(low, high),
        Kind.NUMBER: st.floats(low, high),
        Kind.BOOLEAN: st.booleans(),
        Kind.TIMESTAMP: st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
        Kind.STRINGS: st.lists(st.text(max_size=5), max_size=min(rules.length_max or 3, 3)),
        Kind.BYTES: st.just("AAEC"),
    }
    return values[column.kind] | st.none() if column.nullable else values[column.kind]


@given(st.data())
@settings(max_examples=50)
def test_json_schema_says_kind_null_and_range(
    any_columns: st.SearchStrategy[tuple[Column, ...]], data: st.DataObject
) -> None:
    columns = data.draw(any_columns)
    # Choices and a length limit that contradict each other allow nothing; a contract has one or the other.
    columns = tuple(c for c in columns if not (c.rules.choices and c.rules.length_max))
    schema = object_schema(columns)
    jsonschema.Draft202012Validator.check_schema(schema)
    rendered = [(name, json_kind(s), isinstance(s["type"], list)) for name, s in schema["properties"].items()]
    assert rendered == shape(columns)
    validator = jsonschema.Draft202012Validator(schema)
    value = {column.name: data.draw(json_value(column)) for column in columns}
    validator.validate(json.loads(json.dumps(value)))
    for column in columns:
        if not column.nullable:
            assert not validator.is_valid({**value, column.name: None})
        if column.rules.maximum is not None:
            assert not validator.is_valid({**value, column.name: column.rules.maximum + 1})
            assert not validator.is_valid({**value, column.name: (column.rules.minimum or 0) - 1})
        without = {name: v for name, v in value.items() if name != column.name}
        assert validator.is_valid(without) == column.nullable
        assert not validator.is_valid({**value, column.name: {"no": "kind"}})


@given(st.data())
@settings(max_examples=50)
def test_markdown_rows_name_kind_and_null(
    any_columns: st.SearchStrategy[tuple[Column, ...]], data: st.DataObject
) -> None:
    columns = data.draw(any_columns)
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table(columns).splitlines()][2:]
    assert all(len(row) == 6 for row in rows)
    read = [(row[0].strip(" `"), Kind(row[1].strip(" ?")), "?" in row[1]) for row in rows]
    assert read == shape(columns)


@pytest.mark.parametrize("table_name", lake_tables())
def test_every_lake_table_survives_spark_and_redshift(table_name: str) -> None:
    columns = lake_tables()[table_name]
    assert len({column.name for column in columns}) == len(columns)
    read = types.StructType.fromJson(spark_schema(columns))
    assert [(f.name, SPARK_KINDS[f.dataType], f.nullable) for f in read.fields] == shape(columns)
    ddl = redshift_table("smartcity", table_name, columns, sort_key="lake_at")
    assert sql_shape(sqlglot.parse(ddl, dialect="redshift")[0]) == shape(columns)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_value_schema_is_a_valid_schema_of_every_field(stream: Any) -> None:
    schema = value_schema(stream)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["required"] == [column.name for column in contract_columns(stream.contract) if not column.nullable]
    assert list(schema["properties"]) == [column.name for column in contract_columns(stream.contract)]
    assert "x-unit" not in schema["properties"]["id"]
    assert schema["properties"]["timestamp"]["x-unit"] == "UTC"


def test_value_schema_anchors_patterns() -> None:
    schema = value_schema(STREAMS[0])["properties"]["device_id"]
    jsonschema.validate("bus-7", schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate("bus-7/../other", schema)
