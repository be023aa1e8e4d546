"""The marts' definitions, and that the languages of their readers can say them."""

from __future__ import annotations

from datetime import date

import pytest
import sqlglot
from sqlglot import exp

from smartcity.contracts.fields import Kind
from smartcity.contracts.marts import JOURNEYS, MARTS, PARTITION_COLUMN, Mart
from smartcity.contracts.render.files import lake_tables
from smartcity.contracts.render.glue import glue_columns
from smartcity.contracts.render.marts_page import marts_page
from smartcity.contracts.render.redshift import redshift_table

every_mart = pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.name)


def test_a_day_has_one_key() -> None:
    assert JOURNEYS.key(date(2026, 11, 20)) == "marts/journeys/dt=2026-11-20/journeys.parquet"


def test_no_mart_is_named_like_another_or_like_a_table_of_the_lake() -> None:
    names = [mart.name for mart in MARTS]
    assert len(set(names)) == len(names)
    assert not set(names) & set(lake_tables())


@every_mart
def test_every_row_has_a_time_that_gives_its_day(mart: Mart) -> None:
    times = [column for column in mart.columns if column.name == mart.time_column]
    assert [(column.kind, column.nullable) for column in times] == [(Kind.TIMESTAMP, False)]
    assert PARTITION_COLUMN not in [column.name for column in mart.columns]


@every_mart
def test_redshift_and_glue_can_hold_it(mart: Mart) -> None:
    names = [column.name for column in mart.columns]
    create = sqlglot.parse(redshift_table("city", mart.name, mart.columns, sort_key=mart.time_column), "redshift")[0]
    assert create is not None
    assert [found.name for found in create.find_all(exp.ColumnDef)] == names
    assert [column["Name"] for column in glue_columns(mart.columns)] == names


@every_mart
def test_the_page_tells_every_column(mart: Mart) -> None:
    section = marts_page().split(f"### {mart.name}\n")[1].split("### ")[0]
    assert all(f"| `{column.name}` |" in section for column in mart.columns)
