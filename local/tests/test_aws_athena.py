"""The local Athena through unchanged boto3: SQL that runs over Iceberg and Parquet, and what it says when it cannot."""

from __future__ import annotations

import datetime as dt
import io
import time
from typing import Any

import botocore.exceptions
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.glue import GlueCatalog

START = dt.datetime(2026, 11, 21, 8, 0, tzinfo=dt.UTC)
TIMEOUT_S = 60


class Athena:
    """Runs a query to its end."""

    def __init__(self, endpoints: Any) -> None:
        self.client = endpoints.client("athena")

    def execute(self, sql: str, **more: Any) -> dict[str, Any]:
        identity = self.client.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": "smartcity"},
            ResultConfiguration={"OutputLocation": "s3://smartcity-lake/athena-results/"},
            **more,
        )["QueryExecutionId"]
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            execution: dict[str, Any] = self.client.get_query_execution(QueryExecutionId=identity)["QueryExecution"]
            if execution["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return execution
            time.sleep(0.01)
        raise AssertionError(f"not ended: {sql}")

    def rows(self, sql: str, **more: Any) -> list[list[str | None]]:
        execution = self.execute(sql, **more)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
        pages = self.client.get_paginator("get_query_results").paginate(QueryExecutionId=execution["QueryExecutionId"])
        rows = [
            [each.get("VarCharValue") for each in row["Data"]] for page in pages for row in page["ResultSet"]["Rows"]
        ]
        return rows[1:] if execution["StatementType"] == "DML" else rows

    def reason(self, sql: str) -> str:
        status = self.execute(sql)["Status"]
        assert status["State"] == "FAILED"
        return str(status["StateChangeReason"])


@pytest.fixture(scope="module")
def athena(aws_endpoints: Any) -> Athena:
    """Over an Iceberg table of two files (1,000 rows each, one per day) and a Hive table of two partitions."""
    catalog = GlueCatalog("lake", **aws_endpoints.iceberg_properties())
    days = [_readings(day) for day in range(2)]
    table = catalog.create_table("smartcity.readings", schema=days[0].schema)
    for each in days:
        table.append(each)
    _hive_table(aws_endpoints)
    return Athena(aws_endpoints)


def _readings(day: int) -> pa.Table:
    numbers = range(day * 1000, day * 1000 + 1000)
    return pa.table(
        {
            "n": pa.array(numbers, pa.int64()),
            "device_id": [f"car-{n % 4}" for n in numbers],
            "timestamp": pa.array(
                [START + dt.timedelta(days=day, seconds=n % 1000) for n in numbers], pa.timestamp("us", "UTC")
            ),
            "speed": pa.array([None if n % 10 == 9 else float(n % 100) for n in numbers], pa.float64()),
            "codes": [["P0171", "P0300"] if n % 2 else [] for n in numbers],
            "raw": pa.array([bytes(n % 5) for n in numbers], pa.binary()),
            "padding": [f"{n * 7919 % 1_000_003:x}" * 8 for n in numbers],
        }
    )


def _hive_table(endpoints: Any) -> None:
    s3, glue = endpoints.client("s3"), endpoints.client("glue")
    columns = [{"Name": "route", "Type": "string"}, {"Name": "km", "Type": "double"}, {"Name": "late", "Type": "int"}]
    place = {
        "Columns": columns,
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "Location": "s3://smartcity-lake/marts/trips",
    }
    glue.create_table(
        DatabaseName="smartcity",
        TableInput={
            "Name": "trips",
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": "dt", "Type": "string"}],
            "StorageDescriptor": place,
        },
    )
    for day, kms in (("2026-11-21", [1.5, 2.5]), ("2026-11-22", [4.0]), ("2026-11-23", [100.0])):
        file = io.BytesIO()
        # The files lack the column `late`, as files from before it was added would.
        pq.write_table(pa.table({"route": ["a"] * len(kms), "km": kms}), file)
        s3.put_object(Bucket="smartcity-lake", Key=f"marts/trips/dt={day}/part.parquet", Body=file.getvalue())
        if day != "2026-11-23":  # That partition's file lies in S3, but is not registered.
            location = {**place, "Location": f"s3://smartcity-lake/marts/trips/dt={day}"}
            partition = {"Values": [day], "StorageDescriptor": location}
            glue.create_partition(DatabaseName="smartcity", TableName="trips", PartitionInput=partition)


QUERIES: list[tuple[str, list[list[str | None]]]] = [
    ("SELECT count(*) FROM readings", [["2000"]]),
    ("SELECT length(to_utf8('Größe')), length('Größe')", [["7", "5"]]),
    ("SELECT sum(length(raw)), max(length(device_id)) FROM readings", [["4000", "5"]]),
    ("SELECT count(speed), sum(n), avg(speed) FROM readings", [["1800", "1999000", "49.0"]]),
    ("SELECT n, speed FROM readings WHERE n IN (8, 9) ORDER BY n", [["8", "8.0"], ["9", None]]),
    (
        'SELECT "timestamp", codes FROM smartcity.readings WHERE n = 1001',
        [["2026-11-22 08:00:01.000000 UTC", "[P0171, P0300]"]],
    ),
    (
        "SELECT floor(n / 500) * 500 AS bin, count(*), round(avg(speed), 2) FROM readings "
        "GROUP BY floor(n / 500) * 500 ORDER BY 1",
        [["0", "500", "49.0"], ["500", "500", "49.0"], ["1000", "500", "49.0"], ["1500", "500", "49.0"]],
    ),
    ("SELECT floor(speed / 10) * 10 AS v, count(*) FROM readings WHERE speed < 20 GROUP BY 1 ORDER BY 1",
     [["0.0", "180"], ["10.0", "180"]]),
    ("SELECT 7 / 2, 7 / 2.0, 7 % 4, n / 2 FROM readings WHERE n = 7", [["3", "3.5", "3", "3"]]),
    ("SELECT approx_percentile(n, 0.5) BETWEEN 950 AND 1050 FROM readings", [["true"]]),
    (
        "SELECT date_trunc('minute', \"timestamp\") AS m, count(*) FROM readings "
        "WHERE \"timestamp\" >= TIMESTAMP '2026-11-22 08:15:00 UTC' GROUP BY 1 ORDER BY 1",
        [["2026-11-22 08:15:00.000000 UTC", "60"], ["2026-11-22 08:16:00.000000 UTC", "40"]],
    ),
    (
        "SELECT count(*) FROM readings WHERE \"timestamp\" BETWEEN from_iso8601_timestamp('2026-11-21T08:00:10Z') "
        "AND from_iso8601_timestamp('2026-11-21T08:00:19Z')",
        [["10"]],
    ),
    ("SELECT count(*) FROM readings WHERE date(\"timestamp\") = DATE '2026-11-22'", [["1000"]]),
    (
        "SELECT date_diff('hour', TIMESTAMP '2026-11-21 08:59:00', TIMESTAMP '2026-11-21 09:01:00'), "
        "date_diff('second', TIMESTAMP '2026-11-21 08:59:00', TIMESTAMP '2026-11-21 09:01:00')",
        [["0", "120"]],
    ),
    (
        "SELECT at_timezone(\"timestamp\", 'America/Toronto'), hour(at_timezone(\"timestamp\", 'America/Toronto')) "
        "FROM readings WHERE n = 0",
        [["2026-11-21 03:00:00.000000 America/Toronto", "3"]],
    ),
    ("SELECT current_timestamp > \"timestamp\" - INTERVAL '90' DAY FROM readings WHERE n = 0", [["true"]]),
    ("SELECT cardinality(codes), element_at(codes, 2), codes[1] FROM readings WHERE n = 1", [["2", "P0300", "P0171"]]),
    ("SELECT element_at(codes, 3) FROM readings WHERE n = 1", [[None]]),
    (
        "SELECT code, count(*) FROM readings CROSS JOIN UNNEST(codes) AS t (code) GROUP BY code ORDER BY code",
        [["P0171", "1000"], ["P0300", "1000"]],
    ),
    ("SELECT try_cast('x' AS bigint), try_cast('5' AS bigint)", [[None, "5"]]),
    (
        "SELECT device_id, n FROM (SELECT *, row_number() OVER (PARTITION BY device_id ORDER BY n DESC) AS place "
        "FROM readings) WHERE place = 1 ORDER BY device_id",
        [["car-0", "1996"], ["car-1", "1997"], ["car-2", "1998"], ["car-3", "1999"]],
    ),
    ("SELECT lag(n) OVER (ORDER BY n) FROM readings WHERE n < 2 ORDER BY n", [[None], ["0"]]),
    ("SELECT max_by(device_id, n), min_by(speed, n), max_by(speed, n) FROM readings", [["car-3", "0.0", None]]),
    (
        "SELECT format_datetime(\"timestamp\", 'yyyy-MM-dd''T''HH:mm'), date_format(\"timestamp\", '%H:%i:%s') "
        "FROM readings WHERE n = 61",
        [["2026-11-21T08:01", "08:01:01"]],
    ),
    (
        "WITH slow AS (SELECT n, speed FROM readings WHERE speed < 1) "
        "SELECT s.n, r.device_id FROM slow s JOIN readings r ON r.n = s.n + 1 WHERE r.n > 1850",
        [["1900", "car-1"]],
    ),
    ("SELECT n FROM readings a WHERE NOT EXISTS (SELECT 1 FROM readings b WHERE b.n = a.n + 1)", [["1999"]]),
    ("SELECT 1 UNION ALL SELECT 2 ORDER BY 1", [["1"], ["2"]]),
    (
        "SELECT to_iso8601(DATE '2026-11-28' - INTERVAL '6' DAY), to_iso8601(TIMESTAMP '2026-11-28 08:00:00.5'), "
        "to_iso8601(\"timestamp\") FROM readings WHERE n = 61",
        [["2026-11-22", "2026-11-28T08:00:00.500", "2026-11-21T08:01:01.000Z"]],
    ),
    (
        "SELECT date_diff('millisecond', TIMESTAMP '2026-11-21 08:00:00.0009', TIMESTAMP '2026-11-21 08:00:00.0010')",
        [["1"]],
    ),
    ("SELECT -7 / 2, mod(-7, 2), floor(7 / 2), floor(7e0 / 2)", [["-3", "-1", "3", "3.0"]]),
    (
        "SELECT 1e10, 1e-4, CAST(0.1 AS real), 0e0, CAST(1.5 AS decimal(5,2))",
        [["1.0E10", "1.0E-4", "0.1", "0.0", "1.50"]],
    ),
    (
        "SELECT true, DATE '2026-11-21', TIMESTAMP '2026-11-21 08:00:00', ARRAY['a', NULL], MAP(ARRAY['k'], ARRAY[1]), "
        "ROW(1, 'x'), X'0aff', '', NULL, 'say \"hi\", twice'",
        [["true", "2026-11-21", "2026-11-21 08:00:00.000", "[a, null]", "{k=1}", "{field0=1, field1=x}", "0a ff", "",
          None, 'say "hi", twice']],
    ),
    ("SELECT sum(km), count(*) FROM trips", [["8.0", "3"]]),
    ("SELECT dt, km, late FROM trips WHERE dt = '2026-11-22'", [["2026-11-22", "4.0", None]]),
    ("SHOW TABLES LIKE 'tr*'", [["trips"]]),
    ("SHOW PARTITIONS trips", [["dt=2026-11-21"], ["dt=2026-11-22"]]),
    ("DESCRIBE trips", [["route", "string", ""], ["km", "double", ""], ["late", "int", ""], ["dt", "string", ""]]),
    ("CREATE DATABASE IF NOT EXISTS smartcity", []),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), QUERIES, ids=[sql[:60] for sql, _ in QUERIES])
def test_sql_executes(athena: Athena, sql: str, expected: list[list[str | None]]) -> None:
    assert athena.rows(sql) == expected


FAILURES = [
    ("SELECT nope FROM readings", "COLUMN_NOT_FOUND", "nope"),
    ("SELECT * FROM nope", "TABLE_NOT_FOUND", "'awsdatacatalog.smartcity.nope'"),
    ("SELECT * FROM nodb.readings", "SCHEMA_NOT_FOUND", "'nodb'"),
    ("SELECT FROM WHERE", "SYNTAX_ERROR", ""),
    ("SELECT 1; SELECT 2", "SYNTAX_ERROR", "Only one sql statement is allowed"),
    ("SELECT nofunc(1)", "FUNCTION_NOT_FOUND", "nofunc"),
    ("SELECT CAST('x' AS integer)", "INVALID_CAST_ARGUMENT", "x"),
    ("CREATE TABLE t AS SELECT 1 AS a", "NOT_SUPPORTED", "CREATE TABLE"),
    ("CREATE EXTERNAL TABLE t (a int) LOCATION 's3://b/t'", "NOT_SUPPORTED", "CREATE EXTERNAL"),
    ("DROP TABLE readings", "NOT_SUPPORTED", "DROP TABLE"),
    ("INSERT INTO readings SELECT * FROM readings", "NOT_SUPPORTED", "INSERT INTO"),
    ("SELECT * FROM read_csv('/etc/passwd')", "NOT_SUPPORTED", "READ_CSV"),
    ("SELECT * FROM \"/etc/passwd\"", "TABLE_NOT_FOUND", "/etc/passwd"),
    (
        "SELECT 1 FROM readings WHERE at_timezone(\"timestamp\", 'UTC') > current_timestamp",
        "NOT_SUPPORTED",
        "at_timezone",
    ),
    ("SELECT format_datetime(current_timestamp, 'QQ')", "NOT_SUPPORTED", "QQ"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "code", "names"), FAILURES, ids=[sql[:60] for sql, _, _ in FAILURES])
def test_what_cannot_run_fails_with_its_reason(athena: Athena, sql: str, code: str, names: str) -> None:
    reason = athena.reason(sql)
    assert reason.startswith(f"{code}: ")
    assert names in reason


def test_columns_have_athenas_types(athena: Athena) -> None:
    sql = (
        'SELECT n, speed, device_id, "timestamp", codes, n > 1 AS b, date("timestamp") AS d, sum(n) OVER () AS s, '
        "CAST(speed AS decimal(9, 2)) AS e, at_timezone(\"timestamp\", 'UTC') AS z FROM readings LIMIT 1"
    )
    identity = athena.execute(sql)["QueryExecutionId"]
    metadata = athena.client.get_query_results(QueryExecutionId=identity)["ResultSet"]["ResultSetMetadata"]
    assert [(each["Name"], each["Type"]) for each in metadata["ColumnInfo"]] == [
        ("n", "bigint"), ("speed", "double"), ("device_id", "varchar"), ("timestamp", "timestamp with time zone"),
        ("codes", "array"), ("b", "boolean"), ("d", "date"), ("s", "bigint"), ("e", "decimal"),
        ("z", "timestamp with time zone"),
    ]  # fmt: skip
    decimal = metadata["ColumnInfo"][8]
    assert (decimal["Precision"], decimal["Scale"]) == (9, 2)


def test_unnamed_columns_are_called_as_in_athena(athena: Athena) -> None:
    identity = athena.execute("SELECT count(*), max(n) AS m, 1, n + 1 FROM readings GROUP BY n LIMIT 1")[
        "QueryExecutionId"
    ]
    header = athena.client.get_query_results(QueryExecutionId=identity)["ResultSet"]["Rows"][0]["Data"]
    assert [each["VarCharValue"] for each in header] == ["_col0", "m", "_col2", "_col3"]


def test_results_come_in_pages_and_lie_in_s3(athena: Athena, aws_endpoints: Any) -> None:
    execution = athena.execute("SELECT n FROM readings ORDER BY n")
    identity = execution["QueryExecutionId"]
    pages = list(
        athena.client.get_paginator("get_query_results").paginate(
            QueryExecutionId=identity, PaginationConfig={"PageSize": 999}
        )
    )
    assert [len(page["ResultSet"]["Rows"]) for page in pages] == [999, 999, 3]
    values = [row["Data"][0]["VarCharValue"] for page in pages for row in page["ResultSet"]["Rows"]]
    assert values == ["n", *map(str, range(2000))]
    place = execution["ResultConfiguration"]["OutputLocation"]
    assert place == f"s3://smartcity-lake/athena-results/{identity}.csv"
    file = aws_endpoints.client("s3").get_object(Bucket="smartcity-lake", Key=f"athena-results/{identity}.csv")
    assert file["Body"].read().startswith(b'"n"\n"0"\n"1"\n')


def test_scanned_bytes_are_those_of_the_columns_and_files_read(athena: Athena) -> None:
    def scanned(sql: str) -> int:
        return int(athena.execute(sql)["Statistics"]["DataScannedInBytes"])

    whole = scanned("SELECT * FROM readings")
    narrow = scanned("SELECT max(n) FROM readings")
    pruned = scanned("SELECT max(n) FROM readings WHERE \"timestamp\" >= TIMESTAMP '2026-11-22 00:00:00 UTC'")
    one_day = scanned('SELECT max(n), max("timestamp") FROM readings')
    assert 0 < narrow < whole / 2
    assert 0 < pruned < one_day
    assert scanned("SELECT 1") == 0
    assert 0 < scanned("SELECT km FROM trips WHERE dt = '2026-11-22'") < scanned("SELECT km FROM trips")


def test_parameters_take_the_place_of_question_marks(athena: Athena) -> None:
    sql = "SELECT count(*) FROM readings WHERE n < ? AND device_id = ?"
    assert athena.rows(sql, ExecutionParameters=["100", "'car-1'"]) == [["25"]]


def test_a_query_sees_the_newest_commit(athena: Athena, aws_endpoints: Any) -> None:
    catalog = GlueCatalog("lake", **aws_endpoints.iceberg_properties())
    table = catalog.create_table("smartcity.growing", schema=pa.schema([("a", pa.int64())]))
    assert athena.rows("SELECT count(*) FROM growing") == [["0"]]
    for count in (1, 2):
        table.append(pa.table({"a": [1]}))
        assert athena.rows("SELECT count(*) FROM growing") == [[str(count)]]


def test_a_query_can_be_stopped(athena: Athena) -> None:
    slow = (
        "SELECT count(*) FROM unnest(sequence(1, 100000)) a(x), unnest(sequence(1, 1000000)) b(y) WHERE x * y % 7 = 3"
    )
    place = {"OutputLocation": "s3://smartcity-lake/athena-results/"}
    identity = athena.client.start_query_execution(QueryString=slow, ResultConfiguration=place)["QueryExecutionId"]
    state = "QUEUED"
    deadline = time.monotonic() + TIMEOUT_S
    while state != "CANCELLED" and time.monotonic() < deadline:
        athena.client.stop_query_execution(QueryExecutionId=identity)
        state = athena.client.get_query_execution(QueryExecutionId=identity)["QueryExecution"]["Status"]["State"]
        time.sleep(0.02)
    assert state == "CANCELLED"
    with pytest.raises(botocore.exceptions.ClientError, match="Final query state: CANCELLED"):
        athena.client.get_query_results(QueryExecutionId=identity)


def test_a_query_needs_a_place_for_its_result(athena: Athena) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match="No output location provided"):
        athena.client.start_query_execution(QueryString="SELECT 1")
    place = {"OutputLocation": "s3://no-such-bucket/x/"}
    identity = athena.client.start_query_execution(QueryString="SELECT 1", ResultConfiguration=place)[
        "QueryExecutionId"
    ]
    deadline = time.monotonic() + TIMEOUT_S
    status: dict[str, Any] = {"State": "QUEUED"}
    while status["State"] in ("QUEUED", "RUNNING") and time.monotonic() < deadline:
        status = athena.client.get_query_execution(QueryExecutionId=identity)["QueryExecution"]["Status"]
    assert status["State"] == "FAILED"
    assert "NoSuchBucket" in status["StateChangeReason"]


def test_workgroups_and_metadata(athena: Athena) -> None:
    client = athena.client
    with pytest.raises(botocore.exceptions.ClientError, match="WorkGroup absent is not found"):
        client.start_query_execution(QueryString="SELECT 1", WorkGroup="absent")
    place = {"ResultConfiguration": {"OutputLocation": "s3://smartcity-lake/results-of-group/"}}
    client.create_work_group(Name="group", Configuration=place)
    identity = client.start_query_execution(QueryString="SELECT 1", WorkGroup="group")["QueryExecutionId"]
    execution = client.get_query_execution(QueryExecutionId=identity)["QueryExecution"]
    assert execution["ResultConfiguration"]["OutputLocation"].startswith("s3://smartcity-lake/results-of-group/")
    assert client.list_query_executions(WorkGroup="group")["QueryExecutionIds"] == [identity]
    assert {each["Name"] for each in client.list_work_groups()["WorkGroups"]} == {"primary", "group"}
    listed = client.list_table_metadata(CatalogName="AwsDataCatalog", DatabaseName="smartcity")["TableMetadataList"]
    assert {"readings", "trips"} <= {each["Name"] for each in listed}


def test_one_token_starts_one_query(athena: Athena) -> None:
    token = "t" * 40
    first, second = (athena.execute("SELECT 1", ClientRequestToken=token)["QueryExecutionId"] for _ in range(2))
    assert first == second
