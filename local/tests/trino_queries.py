"""Every query that we ship for Athena, on the local Athena and on Trino, over one catalog: the answers are equal.

`make trino` runs it. It is not part of `make test`, since Trino is 800 MB and wants a JDK 24.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from smartcity.aws.dashboard.ask import visual_query
from smartcity.aws.dashboard.city import DASHBOARD
from smartcity.aws.dashboard.definition import Aggregation, DataSet, Kind
from smartcity.aws.dashboard.quicksight import data_set_id, resources
from smartcity.aws.query import run_query
from smartcity.aws.questions import require_equal
from smartcity.aws.saved import parameters, saved_names, saved_query
from smartcity.aws.settings import Settings
from smartcity.aws.template.console import console_names, console_query
from smartcity.local.layout import default_var

from . import random_lake
from .conftest import Endpoints
from .trino_server import Trino, install

pytestmark = pytest.mark.timeout(1_800)

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
"""The console's queries reckon from it. Times are of milliseconds, as the contract's are."""
TODAY = NOW.date()
SEED = 20261128
SETTINGS = Settings(bucket="judged", database="judged", workgroup="judged", region="us-east-1", query_timeout_s=120)
GIVEN = {
    "first_day": (TODAY - dt.timedelta(days=1)).isoformat(),
    "last_day": TODAY.isoformat(),
    "day": TODAY.isoformat(),
    "route": "london-birmingham",
    "device_id": "device-3",
    "since": f"{TODAY - dt.timedelta(days=1)}T06:00:00Z",
    "until": NOW.isoformat(),
}

COMPARABLE = {
    visual.id: visual
    for _, visual in DASHBOARD.placed()
    if visual.kind is not Kind.TABLE and not any(each.aggregation is Aggregation.MEDIAN for each in visual.measures)
}
"""Trino's `approx_percentile` is approximate, and a table ends anywhere among rows of one time."""


@pytest.fixture(scope="module")
def lake(aws_endpoints: Endpoints) -> Settings:
    print(f"seed {SEED}")
    random_lake.fill(SETTINGS, aws_endpoints, NOW, SEED)
    return SETTINGS


@pytest.fixture(scope="module")
def trino(aws_endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trino]:
    home = install(default_var() / "trino")
    server = Trino(home, tmp_path_factory.mktemp("trino"), aws_endpoints)
    yield server
    server.stop()


@pytest.mark.parametrize("name", saved_names())
def test_a_saved_query(lake: Settings, trino: Trino, aws_endpoints: Endpoints, name: str) -> None:
    sql = saved_query(name, {each.name: GIVEN[each.name] for each in parameters(name)})
    _compare(name, sql, lake, trino, aws_endpoints)


@pytest.mark.parametrize("name", console_names())
def test_a_query_of_the_console(lake: Settings, trino: Trino, aws_endpoints: Endpoints, name: str) -> None:
    sql = console_query(name)
    for each in parameters(name):
        if each.default == "required":
            sql = sql.replace("?", f"'{GIVEN[each.name]}'", 1)
    _compare(name, sql, lake, trino, aws_endpoints)


@pytest.mark.parametrize("data_set", DASHBOARD.data_sets, ids=lambda each: each.name)
def test_a_data_set_of_the_dashboard(lake: Settings, trino: Trino, aws_endpoints: Endpoints, data_set: DataSet) -> None:
    """As QuickSight gets it, with its computed defaults."""
    properties = resources(DASHBOARD)[data_set_id(data_set)]["Properties"]
    [table] = properties["PhysicalTableMap"].values()
    sql = table["CustomSql"]["SqlQuery"]["Fn::Sub"].replace("${Database}", lake.database)
    columns = ", ".join(str(number) for number in range(1, len(data_set.columns) + 1))
    _compare(data_set.name, f"SELECT * FROM ({sql}) ORDER BY {columns}", lake, trino, aws_endpoints)


@pytest.mark.parametrize("name", COMPARABLE)
def test_a_visual_of_the_dashboard(lake: Settings, trino: Trino, aws_endpoints: Endpoints, name: str) -> None:
    _compare(name, visual_query(DASHBOARD, COMPARABLE[name], now=NOW), lake, trino, aws_endpoints)


def _compare(name: str, sql: str, lake: Settings, trino: Trino, endpoints: Endpoints) -> None:
    ours = run_query(sql, lake, athena=endpoints.client("athena")).rows
    theirs = trino.rows(sql, lake.database)
    require_equal(name, {"Trino": theirs, "the local Athena": ours})
