"""The local Redshift through unchanged boto3: SQL, COPY, batches and external schemas."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pytest

from smartcity.contracts.render.files import lake_tables
from smartcity.contracts.render.redshift import redshift_table

from .warehousing import BUCKET, COPIED, ROLE, TABLE, Redshift, trips


@pytest.fixture(scope="module")
def shared(aws_endpoints: Any) -> Redshift:
    redshift = Redshift(aws_endpoints)
    redshift.done("CREATE SCHEMA marts", TABLE)
    redshift.put("trips/part.parquet", trips())
    redshift.done(
        f"COPY marts.trips {COPIED} FROM 's3://{BUCKET}/{redshift.name}/trips/' {ROLE} FORMAT PARQUET SERIALIZETOJSON"
    )
    return redshift


@pytest.fixture
def redshift(aws_endpoints: Any) -> Redshift:
    return Redshift(aws_endpoints)


def test_rows_are_copied_and_come_back_typed(shared: Redshift) -> None:
    described = shared.done("SELECT * FROM marts.trips ORDER BY n")
    assert described["HasResultSet"]
    assert described["ResultRows"] == 2
    assert described["Duration"] > 0
    found = shared.data.get_statement_result(Id=described["Id"])
    assert found["Records"] == [
        [
            {"longValue": 1},
            {"stringValue": "a"},
            {"doubleValue": 1.5},
            {"longValue": 7},
            {"stringValue": "2026-11-21 08:00:00.5"},
            {"stringValue": "2026-11-21"},
            {"stringValue": '["P0171"]'},
        ],
        [
            {"longValue": 2},
            {"stringValue": "a"},
            {"isNull": True},
            {"longValue": 8},
            {"stringValue": "2026-11-21 08:00:00.5"},
            {"stringValue": "2026-11-21"},
            {"stringValue": "[]"},
        ],
    ]
    assert [(each["name"], each["typeName"]) for each in found["ColumnMetadata"]] == [
        ("id", "int8"),
        ("route", "varchar"),
        ("km", "float8"),
        ("n", "int8"),
        ("at", "timestamp"),
        ("day", "date"),
        ("codes", "super"),
    ]
    assert found["TotalNumRows"] == 2


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT 7 / 2, n / 2 FROM marts.trips ORDER BY n", [[3, 3], [3, 4]]),
        ("SELECT AVG(n), AVG(km), SUM(n), COUNT(*), COUNT(km) FROM marts.trips", [[7, 1.5, "15", 2, 1]]),
        ("SELECT DATEDIFF(hour, '2026-11-21 08:50:00'::timestamp, '2026-11-21 09:10:00'::timestamp)", [[1]]),
        ("SELECT TOP 1 NVL(km, 0), LEN(route) FROM marts.trips ORDER BY n DESC", [[0.0, 1]]),
        ("SELECT LISTAGG(n, ',') WITHIN GROUP (ORDER BY n DESC) FROM marts.trips", [["8,7"]]),
        ("SELECT TO_CHAR(at, 'YYYY-MM-DD'), DATE_TRUNC('hour', at), EXTRACT(hour FROM at) FROM marts.trips WHERE n = 7",
         [["2026-11-21", "2026-11-21 08:00:00", 8]]),
        ("SELECT true, NULL, 1.50::decimal(5, 2)", [[True, None, "1.50"]]),
        ("WITH w AS (SELECT route, n FROM marts.trips) SELECT w.route, MAX(n) m FROM w GROUP BY 1", [["a", 8]]),
        ("SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts'", [["trips"]]),
    ],
)  # fmt: skip
def test_a_query(shared: Redshift, sql: str, rows: list[list[Any]]) -> None:
    assert shared.rows(sql) == rows


def test_the_contracts_tables_are_created_as_rendered(redshift: Redshift) -> None:
    tables = lake_tables()
    redshift.done("CREATE SCHEMA smartcity")
    for name, columns in tables.items():
        ddl = redshift_table("smartcity", name, columns, sort_key=columns[0].name).split(";\n")
        redshift.done(*ddl[:2])
    found = redshift.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'smartcity'")
    assert {name for (name,) in found} == set(tables)


def test_parameters_are_values_and_never_sql(shared: Redshift) -> None:
    given = [{"name": "n", "value": "7"}, {"name": "route", "value": "a' OR '1'='1"}]
    assert shared.rows("SELECT n FROM marts.trips WHERE n = :n", Parameters=given[:1]) == [[7]]
    assert shared.rows("SELECT n FROM marts.trips WHERE n = :n AND route = :route", Parameters=given) == []
    assert "unused parameters: ['route']" in shared.error("SELECT :n", Parameters=given)
    assert ":n has no value" in shared.error("SELECT :n")
    described = shared.done("SELECT :n", "SELECT :route, 1", Parameters=given)
    records = shared.data.get_statement_result(Id=described["SubStatements"][1]["Id"])["Records"]
    assert records[0][0] == {"stringValue": "a' OR '1'='1"}


def test_an_unnamed_column_has_redshifts_name(shared: Redshift) -> None:
    identity = shared.done("SELECT COUNT(*), n::int, n + 1 FROM marts.trips GROUP BY n")["Id"]
    names = [each["name"] for each in shared.data.get_statement_result(Id=identity)["ColumnMetadata"]]
    assert names == ["count", "n", "?column?"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT nope FROM marts.trips", "nope"),
        ("SELECT * FROM nope", "nope"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1; SELECT 2", "give several to BatchExecuteStatement"),
        ("INSERT INTO marts.trips (route) VALUES ('äöü')", "Value too long"),
        ("INSERT INTO marts.trips (km) VALUES (1)", "NOT NULL"),
        ("UNLOAD ('SELECT 1') TO 's3://b/x' IAM_ROLE default", "UNLOAD .* is not served by the local Redshift"),
        ("GRANT SELECT ON marts.trips TO PUBLIC", "GRANT .* is not served"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE MATERIALIZED VIEW is not served"),
        ("SELECT 1 INTO new", "SELECT 1 INTO is not served"),
        ("BEGIN", "BEGIN is not served"),
        ("CREATE TABLE marts.other (LIKE marts.trips)", "CREATE TABLE MARTS.OTHER is not served"),
        ("COPY marts.trips FROM 's3://b/x' IAM_ROLE default CSV", "COPY's option CSV is not served"),
        ("COPY marts.trips FROM 's3://b/x' ACCESS_KEY_ID 'a' FORMAT PARQUET", "COPY needs IAM_ROLE"),
        ("SELECT * FROM read_csv('/etc/passwd')", "READ_CSV.* in FROM is not served"),
        ("SELECT * FROM '/etc/passwd'", "/etc/passwd"),
        ("COPY marts.trips TO '/tmp/x'", "COPY is served from"),
        ("PRAGMA database_list", "PRAGMA DATABASE_LIST is not served"),
        ("SET enable_external_access = true", "SET .* is not served"),
        ("SELECT * FROM local_state.committed", "relation local_state.committed does not exist"),
    ],
)  # fmt: skip
def test_what_fails_says_why(shared: Redshift, sql: str, message: str) -> None:
    described = shared.run(sql)
    assert described["Status"] == "FAILED"
    assert described["Error"].startswith("ERROR: ")
    assert re.search(message, described["Error"]), described["Error"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (trips(n=pa.array([1, 2], pa.int32())), "incompatible Parquet schema for column 'n': column type BIGINT"),
        ({"route": ["a"]}, "has 1 columns, marts.trips takes 6"),
        (trips(route="longer"), "Value too long"),
    ],
)
def test_a_copy_that_does_not_fit_fails_and_keeps_nothing(redshift: Redshift, columns: Any, message: str) -> None:
    redshift.done("CREATE SCHEMA marts", TABLE)
    redshift.put("t/a.parquet", trips())
    redshift.put("t/b.parquet", columns)
    copy = f"COPY marts.trips {COPIED} FROM 's3://{BUCKET}/{redshift.name}/t/' {ROLE} FORMAT AS PARQUET SERIALIZETOJSON"
    assert message in redshift.error(copy)
    assert redshift.rows("SELECT COUNT(*) FROM marts.trips") == [[0]]
    assert "The specified S3 prefix" in redshift.error(copy.replace("/t/", "/none/"))


def test_a_batch_is_one_transaction(redshift: Redshift) -> None:
    redshift.done("CREATE SCHEMA marts", TABLE, "INSERT INTO marts.trips (route, day) VALUES ('old', '2026-11-21')")
    for day in ("21", "22"):
        redshift.put(f"t/dt=2026-11-{day}/x.parquet", trips(route=day))
    place = f"'s3://{BUCKET}/{redshift.name}/t/dt=2026-11-21/'"
    replace = [
        "DELETE FROM marts.trips WHERE day = '2026-11-21'",
        f"COPY marts.trips {COPIED} FROM {place} {ROLE} FORMAT AS PARQUET SERIALIZETOJSON",
    ]
    described = redshift.run(*replace, "INSERT INTO marts.nope VALUES (1)")
    assert described["Status"] == "FAILED"
    assert described["Error"].startswith("Query #3 failed with ERROR: ")
    assert [each["Status"] for each in described["SubStatements"]] == ["ABORTED", "ABORTED", "FAILED"]
    assert redshift.rows("SELECT route FROM marts.trips") == [["old"]]
    described = redshift.done(*replace, "SELECT COUNT(*) FROM marts.trips")
    assert [each["ResultRows"] for each in described["SubStatements"]] == [1, 2, 1]
    last = described["SubStatements"][2]
    assert last["HasResultSet"]
    assert redshift.data.get_statement_result(Id=last["Id"])["Records"] == [[{"longValue": 2}]]
    assert redshift.rows("SELECT DISTINCT route FROM marts.trips") == [["21"]]


def test_an_external_schema_reads_what_the_catalog_has_registered(redshift: Redshift) -> None:
    glue = redshift.endpoints.client("glue")
    glue.create_database(DatabaseInput={"Name": redshift.name})
    for day in ("20", "21", "22"):
        redshift.put(f"trips/dt=2026-11-{day}/x.parquet", {"n": [int(day)], "codes": [["a"]]})
    form = {"InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"}
    columns = [{"Name": "n", "Type": "bigint"}, {"Name": "codes", "Type": "array<string>"}]
    place = f"s3://{BUCKET}/{redshift.name}/trips/"
    keys = [{"Name": "dt", "Type": "string"}]
    storage = {**form, "Columns": columns, "Location": place}
    given = {"Name": "trips", "PartitionKeys": keys, "StorageDescriptor": storage}
    glue.create_table(DatabaseName=redshift.name, TableInput=given)
    for day in ("2026-11-20", "2026-11-21"):
        partition = {"Values": [day], "StorageDescriptor": {**storage, "Location": f"{place}dt={day}/"}}
        glue.create_partition(DatabaseName=redshift.name, TableName="trips", PartitionInput=partition)
    create = f"CREATE EXTERNAL SCHEMA lake FROM DATA CATALOG DATABASE '{redshift.name}' {ROLE}"
    redshift.done(create)
    assert "already exists" in redshift.error(create)
    redshift.done(create.replace("SCHEMA lake", "SCHEMA IF NOT EXISTS lake"))
    assert redshift.rows("SELECT COUNT(*) FROM lake.trips") == [[2]]
    assert redshift.rows("SELECT dt, n, codes FROM lake.trips t WHERE t.n > 20") == [["2026-11-21", 21, '["a"]']]
    redshift.done(
        "CREATE TABLE days (dt VARCHAR(10), label VARCHAR(10))", "INSERT INTO days VALUES ('2026-11-20', 'Fri')"
    )
    joined = "SELECT d.label, lake.trips.n FROM days d JOIN lake.trips ON d.dt = lake.trips.dt"
    assert redshift.rows(joined) == [["Fri", 20]]
    redshift.done("CREATE TABLE copied AS SELECT * FROM lake.trips")
    assert redshift.rows("SELECT SUM(n) FROM copied") == [["41"]]
    assert "can only be read" in redshift.error("DELETE FROM lake.trips")
    assert "can only be read" in redshift.error("DROP TABLE lake.trips")
    assert "TABLE_NOT_FOUND" in redshift.error("SELECT * FROM lake.nope")
    redshift.done("DROP SCHEMA lake")
    assert "lake" in redshift.error("SELECT * FROM lake.trips")
