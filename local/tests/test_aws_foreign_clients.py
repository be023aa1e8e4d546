"""Clients that know nothing of this project, through their unchanged APIs: pyathena and awswrangler at the local AWS.

They find the endpoints the way boto3 does, by `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_S3`.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import awswrangler as wr
import boto3
import pandas as pd
import pyathena
import pytest
from pyathena.cursor import DictCursor
from pyathena.error import OperationalError
from pyathena.pandas.cursor import PandasCursor

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")

BUCKET = "smartcity-lake"
RESULTS = f"s3://{BUCKET}/athena-results/"


POLL_S = 0.05


@pytest.fixture(autouse=True, scope="module")
def surroundings(aws_endpoints: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": aws_endpoints.aws_url,
            "AWS_ENDPOINT_URL_S3": aws_endpoints.s3_url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        yield


def trips(day: str, kilometres: list[float]) -> pd.DataFrame:
    at = pd.Timestamp(f"{day} 08:00:00.5")
    return pd.DataFrame(
        {
            "route": [f"r{number}" for number in range(len(kilometres))],
            "km": kilometres,
            "n": pd.array(range(len(kilometres)), dtype="Int64"),
            "at": [at] * len(kilometres),
            "late": [number % 2 == 1 for number in range(len(kilometres))],
            "day": [dt.date.fromisoformat(day)] * len(kilometres),
            "dt": [day] * len(kilometres),
        }
    )


def write(table: str, frame: pd.DataFrame, mode: str) -> Any:
    return wr.s3.to_parquet(
        df=frame,
        path=f"s3://{BUCKET}/foreign/{table}/",
        dataset=True,
        database="smartcity",
        table=table,
        partition_cols=["dt"],
        mode=mode,
    )


def two_days() -> Iterator[str]:
    name = f"trips_{uuid.uuid4().hex[:8]}"
    write(name, trips("2026-11-21", [1.5, 2.5]), "overwrite")
    write(name, trips("2026-11-22", [4.0]), "append")
    yield name
    wr.catalog.delete_table_if_exists(database="smartcity", table=name)


@pytest.fixture(scope="module")
def table(surroundings: None) -> Iterator[str]:
    """Two days of trips, written and registered by awswrangler. Nobody changes them."""
    yield from two_days()


@pytest.fixture
def own_table() -> Iterator[str]:
    """The same, to be changed."""
    yield from two_days()


def ask(sql: str, **options: Any) -> pd.DataFrame:
    return wr.athena.read_sql_query(
        sql,
        database="smartcity",
        s3_output=RESULTS,
        ctas_approach=False,
        unload_approach=False,
        athena_query_wait_polling_delay=POLL_S,
        **options,
    )


# ---- pyathena


@pytest.fixture
def connection() -> Iterator[Any]:
    with pyathena.connect(s3_staging_dir=RESULTS, schema_name="smartcity", poll_interval=POLL_S) as made:
        yield made


def test_pyathena_gives_typed_rows_and_their_description(connection: Any, table: str) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SELECT route, km, n, at, late, day, dt FROM {table} ORDER BY dt, route")
    assert [(each[0], each[1]) for each in cursor.description] == [
        ("route", "varchar"),
        ("km", "double"),
        ("n", "bigint"),
        ("at", "timestamp"),
        ("late", "boolean"),
        ("day", "date"),
        ("dt", "varchar"),
    ]
    at, day = dt.datetime(2026, 11, 21, 8, 0, 0, 500_000), dt.date(2026, 11, 21)
    assert cursor.fetchone() == ("r0", 1.5, 0, at, False, day, "2026-11-21")
    assert cursor.fetchall()[-1][:2] == ("r0", 4.0)
    assert cursor.data_scanned_in_bytes > 0
    assert cursor.output_location.startswith(RESULTS)


def test_pyathena_binds_parameters_in_both_of_its_styles(connection: Any, table: str) -> None:
    cursor = connection.cursor()
    sql = f"SELECT count(*) FROM {table} WHERE km > %(least)s AND dt = %(dt)s"
    assert cursor.execute(sql, {"least": 2.0, "dt": "2026-11-21"}).fetchone() == (1,)
    sql = f"SELECT count(*) FROM {table} WHERE km > ? AND dt = ?"
    assert cursor.execute(sql, ["2.0", "'2026-11-21'"], paramstyle="qmark").fetchone() == (1,)


def test_pyathena_gives_dictionaries_and_a_dataframe(connection: Any, table: str) -> None:
    sql = f"SELECT route, km, at FROM {table} WHERE dt = '2026-11-22'"
    assert connection.cursor(DictCursor).execute(sql).fetchall()[0]["km"] == 4.0
    frame = connection.cursor(PandasCursor).execute(sql).as_pandas()
    assert frame["km"].tolist() == [4.0]
    assert frame["at"].tolist() == [pd.Timestamp("2026-11-22 08:00:00.5")]


def test_pyathena_makes_a_database_and_looks_around(connection: Any, table: str) -> None:
    cursor = connection.cursor()
    name = f"made_{uuid.uuid4().hex[:8]}"
    cursor.execute(f"CREATE DATABASE IF NOT EXISTS {name}")
    assert (name,) in cursor.execute("SHOW DATABASES").fetchall()
    cursor.execute(f"DROP DATABASE {name}")
    assert (name,) not in cursor.execute("SHOW DATABASES").fetchall()
    assert (table,) in cursor.execute("SHOW TABLES IN smartcity").fetchall()
    assert cursor.execute(f"SHOW PARTITIONS {table}").fetchall() == [("dt=2026-11-21",), ("dt=2026-11-22",)]
    assert cursor.get_table_metadata(table).partition_keys[0].name == "dt"
    assert table in [each.name for each in cursor.list_table_metadata()]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT * FROM nowhere", "TABLE_NOT_FOUND"),
        ("SELECT nothing FROM {table}", "COLUMN_NOT_FOUND"),
        ("SELECT * FROM {table} WHERE dt = 2026", "GENERIC_USER_ERROR: InvalidInputException: Unsupported expression"),
        ("SELEC 1", "SELEC 1 is not served by the local Athena"),
        ("SELECT 1 +", "SYNTAX_ERROR"),
        ("CREATE EXTERNAL TABLE t (a int) LOCATION 's3://x/'", "CREATE EXTERNAL is not served by the local Athena"),
        ("CREATE TABLE t AS SELECT 1 a", "CREATE TABLE is not served by the local Athena"),
        ("INSERT INTO {table} VALUES (1)", "INSERT INTO is not served by the local Athena"),
        ("MSCK REPAIR TABLE {table}", "MSCK REPAIR is not served by the local Athena"),
    ],
)
def test_pyathena_raises_what_athena_says(connection: Any, table: str, sql: str, reason: str) -> None:
    with pytest.raises(OperationalError, match=reason):
        connection.cursor().execute(sql.format(table=table))


# ---- awswrangler


def test_awswrangler_writes_a_dataset_that_athena_reads(table: str) -> None:
    found = ask(f"SELECT * FROM {table} ORDER BY dt, route")
    assert found["km"].tolist() == [1.5, 2.5, 4.0]
    assert found["dt"].tolist() == ["2026-11-21", "2026-11-21", "2026-11-22"]
    assert found["at"].tolist()[0] == pd.Timestamp("2026-11-21 08:00:00.5")
    assert [str(kind) for kind in found.dtypes[["km", "n", "late"]]] == ["float64", "Int64", "boolean"]


def test_awswrangler_overwrites_the_partitions_that_it_brings_and_no_other(own_table: str) -> None:
    write(own_table, trips("2026-11-22", [7.0, 8.0]), "overwrite_partitions")
    assert ask(f"SELECT km FROM {own_table} ORDER BY km")["km"].tolist() == [1.5, 2.5, 7.0, 8.0]
    write(own_table, trips("2026-11-23", [9.0]), "overwrite")
    assert ask(f"SELECT km FROM {own_table}")["km"].tolist() == [9.0]
    assert list(wr.catalog.get_partitions(database="smartcity", table=own_table).values()) == [["2026-11-23"]]


def test_awswrangler_adds_a_column_to_the_table(own_table: str) -> None:
    more = trips("2026-11-23", [9.0]).assign(driver=["ada"])
    write(own_table, more, "append")
    found = ask(f"SELECT km, driver FROM {own_table} ORDER BY km")
    assert found["driver"].fillna("").tolist() == ["", "", "", "ada"]


def test_awswrangler_reads_the_catalog(table: str) -> None:
    assert "smartcity" in wr.catalog.databases()["Database"].tolist()
    assert table in wr.catalog.tables(database="smartcity")["Table"].tolist()
    assert wr.catalog.get_table_types(database="smartcity", table=table) == {
        "route": "string",
        "km": "double",
        "n": "bigint",
        "at": "timestamp",
        "late": "boolean",
        "day": "date",
        "dt": "string",
    }
    assert wr.catalog.get_table_location(database="smartcity", table=table) == f"s3://{BUCKET}/foreign/{table}/"
    assert wr.catalog.table(database="smartcity", table=table)["Partition"].tolist()[-1]
    found = wr.catalog.get_parquet_partitions(database="smartcity", table=table, expression="dt > '2026-11-21'")
    assert list(found.values()) == [["2026-11-22"]]


def test_awswrangler_reads_and_removes_the_table_s_files(own_table: str) -> None:
    read = wr.s3.read_parquet_table(database="smartcity", table=own_table)
    assert sorted(read["km"].tolist()) == [1.5, 2.5, 4.0]
    assert wr.catalog.delete_table_if_exists(database="smartcity", table=own_table)
    assert not wr.catalog.does_table_exist(database="smartcity", table=own_table)
    wr.s3.delete_objects(f"s3://{BUCKET}/foreign/{own_table}/")
    assert wr.s3.list_objects(f"s3://{BUCKET}/foreign/{own_table}/") == []


def test_awswrangler_binds_parameters_and_reads_in_parts(table: str) -> None:
    sql = f"SELECT km FROM {table} WHERE dt = :day ORDER BY km"
    assert ask(sql, params={"day": "2026-11-21"})["km"].tolist() == [1.5, 2.5]
    qmark = f"SELECT km FROM {table} WHERE dt = ? ORDER BY km"
    assert ask(qmark, params=["'2026-11-22'"], paramstyle="qmark")["km"].tolist() == [4.0]
    assert [len(part) for part in ask(f"SELECT * FROM {table}", chunksize=2)] == [2, 1]


def test_awswrangler_asks_in_a_workgroup_that_names_its_results(aws_endpoints: Any, table: str) -> None:
    name = f"group-{uuid.uuid4().hex[:8]}"
    configuration = {"ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/of-{name}/"}}
    aws_endpoints.client("athena").create_work_group(Name=name, Configuration=configuration)
    found = wr.athena.read_sql_query(
        f"SELECT count(*) c FROM {table}", database="smartcity", workgroup=name, ctas_approach=False
    )
    assert found["c"].tolist() == [3]
    assert wr.s3.list_objects(f"s3://{BUCKET}/of-{name}/", suffix=".csv")


def test_awswrangler_says_what_athena_refuses(table: str) -> None:
    with pytest.raises(wr.exceptions.QueryFailed, match="TABLE_NOT_FOUND"):
        ask("SELECT * FROM nowhere")
    with pytest.raises(wr.exceptions.QueryFailed, match="CREATE TABLE is not served by the local Athena"):
        wr.athena.read_sql_query(f"SELECT * FROM {table}", database="smartcity", s3_output=RESULTS, ctas_approach=True)


def test_awswrangler_reads_redshift_through_the_data_api(aws_endpoints: Any, table: str) -> None:
    name = f"w{uuid.uuid4().hex[:8]}"
    serverless = aws_endpoints.client("redshift-serverless")
    serverless.create_namespace(namespaceName=name, dbName="smartcity")
    serverless.create_workgroup(workgroupName=name, namespaceName=name, baseCapacity=8)
    connection = wr.data_api.redshift.connect(workgroup_name=name, database="smartcity")
    run = wr.data_api.redshift.read_sql_query
    assert run("CREATE TABLE trips (route VARCHAR(10), km DOUBLE PRECISION, late BOOLEAN)", con=connection).empty
    run("INSERT INTO trips VALUES ('r0', 1.5, false), ('r1', NULL, true)", con=connection)
    found = run("SELECT route, km, late FROM trips ORDER BY route", con=connection)
    assert found["route"].tolist() == ["r0", "r1"]
    assert found["km"].tolist()[0] == 1.5
    assert found["late"].tolist() == [False, True]
    with pytest.raises(Exception, match="FAILED"):
        run("SELECT * FROM nowhere", con=connection)
