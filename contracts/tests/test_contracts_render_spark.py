"""Spark itself parses the DDL and Glue's types, and Iceberg's notion of each type follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from smartcity.contracts.fields import Column, Kind, Rules
from smartcity.contracts.render.files import lake_tables
from smartcity.contracts.render.glue import glue_columns
from smartcity.contracts.render.spark import iceberg_ddl, spark_schema

pyspark_sql = pytest.importorskip("pyspark.sql")
pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def ddl_parser() -> Iterator[Any]:
    """`StructType.fromDDL`, which parses in the JVM and so wants a session."""
    session = pyspark_sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    yield pyspark_sql.types.StructType.fromDDL
    context = session.sparkContext
    session.stop()
    # A JVM keeps its class path for life: the lake's tests, in the same process, need one with other jars.
    kind = type(context)
    kind._gateway.shutdown()
    kind._gateway.proc.stdin.close()
    kind._gateway.proc.wait(20)
    kind._gateway = kind._jvm = None


def without_metadata(schema: Any) -> list[tuple[str, str, bool]]:
    return [(field.name, field.dataType.simpleString(), field.nullable) for field in schema.fields]


def quoting() -> tuple[Column, ...]:
    awkward = Rules(description='it\'s a \\ backslash, a "quote" and a `tick`', unit="°")
    return tuple(
        Column(name=f"{kind.value}_{nullable}", kind=kind, nullable=nullable, rules=awkward)
        for kind in Kind
        for nullable in (False, True)
    )


@pytest.mark.parametrize("columns", [quoting(), *lake_tables().values()], ids=["quoting", *lake_tables()])
def test_spark_parses_ddl_and_glue_types(ddl_parser: Any, columns: tuple[Column, ...]) -> None:
    document = pyspark_sql.types.StructType.fromJson(spark_schema(columns))
    parsed = ddl_parser(iceberg_ddl(columns))
    assert without_metadata(parsed) == without_metadata(document)
    assert [f.metadata["comment"] for f in parsed.fields] == [f.metadata["comment"] for f in document.fields]
    hive = ddl_parser(", ".join(f"`{column['Name']}` {column['Type']}" for column in glue_columns(columns)))
    assert [f.dataType.simpleString() for f in hive.fields] == [f.dataType.simpleString() for f in document.fields]
