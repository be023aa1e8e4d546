"""The local Redshift through unchanged boto3: namespaces, SQL, COPY, external schemas, and what a kill leaves."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.exceptions
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smartcity.contracts.render.files import lake_tables
from smartcity.contracts.render.redshift import redshift_table
from smartcity.local.aws.redshift.data import RedshiftData
from smartcity.local.aws.redshift.documents import new_document
from smartcity.local.aws.redshift.engine import Cancel, Warehouse
from smartcity.local.aws.redshift.serverless import RedshiftServerless
from smartcity.local.aws.store import Store

ClientError = botocore.exceptions.ClientError
LOST = (ClientError, botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
BUCKET = "smartcity-lake"
TIMEOUT_S = 180
ROLE = "IAM_ROLE 'arn:aws:iam::000000000000:role/redshift'"
TABLE = """CREATE TABLE IF NOT EXISTS marts.trips (
    id BIGINT IDENTITY(1, 1), route VARCHAR(5) NOT NULL ENCODE zstd DISTKEY, km DOUBLE PRECISION, n BIGINT ENCODE az64,
    at TIMESTAMP SORTKEY, day DATE, codes SUPER, PRIMARY KEY (id)
) DISTSTYLE KEY COMPOUND SORTKEY (at, route)"""
COPIED = "(route, km, n, at, day, codes)"


def trips(route: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "route": [route, route],
        "km": [1.5, None],
        "n": pa.array([7, 8], pa.int64()),
        "at": pa.array([dt.datetime(2026, 11, 21, 8, 0, 0, 500_000, tzinfo=dt.UTC)] * 2, pa.timestamp("us", "UTC")),
        "day": pa.array([dt.date(2026, 11, 21)] * 2),
        "codes": pa.array([["P0171"], []]),
        **more,
    }


@dataclass
class Redshift:
    """A namespace and a workgroup of one test."""

    endpoints: Any
    name: str = field(default_factory=lambda: f"w{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.data = self.endpoints.client("redshift-data")
        serverless = self.endpoints.client("redshift-serverless")
        serverless.create_namespace(namespaceName=self.name, dbName="smartcity")
        serverless.create_workgroup(workgroupName=self.name, namespaceName=self.name, baseCapacity=8)

    def put(self, key: str, columns: Mapping[str, Any]) -> None:
        file = io.BytesIO()
        pq.write_table(pa.table(dict(columns)), file)
        self.endpoints.client("s3").put_object(Bucket=BUCKET, Key=f"{self.name}/{key}", Body=file.getvalue())

    def run(self, *sqls: str, **more: Any) -> dict[str, Any]:
        """Run one statement, or several as a batch, to the end; what DescribeStatement says."""
        where = {"WorkgroupName": self.name, "Database": "smartcity", **more}
        if len(sqls) == 1:
            identity = self.data.execute_statement(Sql=sqls[0], **where)["Id"]
        else:
            identity = self.data.batch_execute_statement(Sqls=list(sqls), **where)["Id"]
        return self.ended(identity)

    def ended(self, identity: str) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            described: dict[str, Any] = self.data.describe_statement(Id=identity)
            if described["Status"] in ("FINISHED", "FAILED", "ABORTED"):
                return described
            time.sleep(0.01)
        raise AssertionError(f"not ended: {described}")

    def done(self, *sqls: str, **more: Any) -> dict[str, Any]:
        described = self.run(*sqls, **more)
        assert described["Status"] == "FINISHED", described
        return described

    def rows(self, sql: str, **more: Any) -> list[list[Any]]:
        pages = self.data.get_paginator("get_statement_result").paginate(Id=self.done(sql, **more)["Id"])
        return [
            [None if "isNull" in each else next(iter(each.values())) for each in record]
            for page in pages
            for record in page["Records"]
        ]

    def error(self, *sqls: str, **more: Any) -> str:
        described = self.run(*sqls, **more)
        assert described["Status"] == "FAILED", described
        return str(described["Error"])


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


def test_namespaces_and_workgroups_live(aws_endpoints: Any) -> None:
    client = aws_endpoints.client("redshift-serverless")
    redshift = Redshift(aws_endpoints)
    name = redshift.name
    redshift.done("CREATE TABLE t (a INT)")
    assert client.get_namespace(namespaceName=name)["namespace"]["dbName"] == "smartcity"
    workgroup = client.get_workgroup(workgroupName=name)["workgroup"]
    assert (workgroup["status"], workgroup["baseCapacity"]) == ("AVAILABLE", 8)
    assert name in [each["namespaceName"] for each in client.list_namespaces()["namespaces"]]
    assert name in [each["workgroupName"] for each in client.list_workgroups()["workgroups"]]
    assert client.get_credentials(workgroupName=name)["expiration"] > dt.datetime.now(dt.UTC)
    for call, arguments in (
        (client.create_namespace, {"namespaceName": name}),
        (client.create_workgroup, {"workgroupName": f"{name}-2", "namespaceName": name}),
        (client.delete_namespace, {"namespaceName": name}),
    ):
        with pytest.raises(client.exceptions.ConflictException):
            call(**arguments)
    client.delete_workgroup(workgroupName=name)
    with pytest.raises(redshift.data.exceptions.ResourceNotFoundException):
        redshift.run("SELECT 1")
    client.delete_namespace(namespaceName=name)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_namespace(namespaceName=name)
    client.create_namespace(namespaceName=name, dbName="smartcity")
    client.create_workgroup(workgroupName=name, namespaceName=name)
    assert "does not exist" in redshift.error("SELECT * FROM t"), "its rows are gone with the namespace"


def test_statements_are_listed_and_cancelled(redshift: Redshift) -> None:
    where = {"WorkgroupName": redshift.name, "Database": "smartcity"}
    endless = (
        "SELECT COUNT(*) FROM generate_series(1, 100000) a(x), generate_series(1, 100000) b(y) WHERE x * y % 7 = 8"
    )
    assert "in FROM is not served" in redshift.error(endless)
    redshift.done(
        "CREATE TABLE n (x BIGINT)", "INSERT INTO n VALUES (1), (2)", *["INSERT INTO n SELECT a.x FROM n a, n b"] * 4
    )
    endless = "SELECT COUNT(*) FROM n a, n b WHERE SIN(a.x * b.x) > 2"
    identity = redshift.data.execute_statement(Sql=endless, StatementName="slow", **where)["Id"]
    assert redshift.data.cancel_statement(Id=identity)["Status"]
    assert redshift.ended(identity)["Status"] == "ABORTED"
    listed = redshift.data.list_statements(WorkgroupName=redshift.name)["Statements"]
    assert [each["Status"] for each in listed] == ["ABORTED", "FINISHED", "FAILED"]
    assert listed[0]["StatementName"] == "slow"
    with pytest.raises(redshift.data.exceptions.ValidationException, match="already in ABORTED"):
        redshift.data.cancel_statement(Id=identity)
    token = {"Sql": "SELECT 1", "ClientToken": uuid.uuid4().hex, **where}
    assert redshift.data.execute_statement(**token)["Id"] == redshift.data.execute_statement(**token)["Id"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ClusterIdentifier": "c"}, "ClusterIdentifier is not served"),
        ({"SecretArn": "arn"}, "SecretArn is not served"),
        ({"WithEvent": True}, "WithEvent is not served"),
        ({"ResultFormat": "CSV"}, "ResultFormat CSV is not served"),
        ({"Database": "other"}, 'database "other" does not exist'),
    ],
)
def test_an_option_that_is_not_served_is_refused_by_name(shared: Redshift, options: Any, message: str) -> None:
    with pytest.raises(shared.data.exceptions.ValidationException, match=message):
        shared.run("SELECT 1", **options)


def test_an_interrupted_transaction_is_finished_exactly_if_it_was_committed(tmp_path: Path) -> None:
    store = Store(tmp_path / "aws.db")
    serverless = RedshiftServerless(store, region="us-east-1")
    namespace = serverless.create_namespace({"namespaceName": "n"})["namespace"]["namespaceId"]
    request, sqls = {"WorkgroupName": "w"}, ["CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)"]
    documents = [new_document(request, sqls, database="dev", namespace=namespace, is_batch=True) for _ in range(2)]
    with store.transaction() as connection:
        for each in documents:
            row = (each["Id"], json.dumps({**each, "Status": "STARTED"}))
            connection.execute("INSERT INTO redshift_statements (id, document) VALUES (?, ?)", row)

    def open_warehouse(path: Path) -> Warehouse:
        return Warehouse(path, s3=None, new_system=lambda: None, new_reader=lambda: None)  # type: ignore[arg-type, return-value]

    def run(identity: str, statements: list[str]) -> None:
        nothing: dict[str, str] = {}
        warehouse.run(identity, statements, nothing, outcomes=[], cancel=Cancel(), create_database=lambda name: None)

    warehouse = open_warehouse(tmp_path / "redshift" / f"{namespace}.duckdb")
    run(documents[0]["Id"], sqls)
    run("another that follows before the kill", ["INSERT INTO t VALUES (2)"])
    warehouse.close()
    data = RedshiftData(
        store=store,
        folder=tmp_path / "redshift",
        serverless=serverless,
        open_warehouse=open_warehouse,
        create_database=lambda name: None,
    )
    described = [data.describe_statement({"Id": each["Id"]}) for each in documents]
    data.close()
    assert [each["Status"] for each in described] == ["FINISHED", "FAILED"]
    assert "it was rolled back: start it again" in described[1]["Error"]


def test_a_kill_loses_no_row_that_was_answered_as_finished(own_endpoints: Any) -> None:
    own_endpoints.start_s3()
    own_endpoints.start_aws()
    redshift = Redshift(own_endpoints)
    redshift.done("CREATE TABLE t (a BIGINT, b BIGINT)")
    kept = redshift.done("SELECT 42")["Id"]
    finished: list[int] = []
    submitted: dict[str, int] = {}

    def write(first: int) -> None:
        own = own_endpoints.client("redshift-data")
        for number in range(first, first + 1000):
            insert = f"INSERT INTO t VALUES ({number}, 0)"
            try:
                where = {"WorkgroupName": redshift.name, "Database": "smartcity"}
                identity = own.batch_execute_statement(Sqls=[insert, insert], **where)["Id"]
                submitted[identity] = number
                if redshift.ended(identity)["Status"] == "FINISHED":
                    finished.append(number)
            except LOST:
                return

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 1000)]
    for writer in writers:
        writer.start()
    deadline = time.monotonic() + TIMEOUT_S
    while len(finished) < 20 and writers[0].is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    own_endpoints.aws.kill()
    own_endpoints.aws.wait()
    for writer in writers:
        writer.join(timeout=60)
    assert len(finished) >= 20
    own_endpoints.start_aws()
    rows = dict(redshift.rows("SELECT a, COUNT(*) FROM t GROUP BY a"))
    assert set(finished) <= set(rows)
    assert set(rows.values()) == {2}, "a batch is there as a whole, or not at all"
    # What the kill interrupted says truly whether it was committed.
    told = {number for identity, number in submitted.items() if redshift.ended(identity)["Status"] == "FINISHED"}
    assert told == set(rows) & set(submitted.values())
    assert redshift.data.get_statement_result(Id=kept)["Records"] == [[{"longValue": 42}]]
