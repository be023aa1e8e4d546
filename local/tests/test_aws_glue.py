"""The local Glue catalog, through unchanged boto3 and pyiceberg."""

from __future__ import annotations

import concurrent.futures
import uuid
from typing import Any

import botocore.exceptions
import pyarrow as pa
import pytest
from pyiceberg.catalog.glue import GlueCatalog

ClientError = botocore.exceptions.ClientError


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.fixture
def glue(aws_endpoints: Any) -> Any:
    return aws_endpoints.client("glue")


@pytest.fixture
def database(glue: Any) -> str:
    name = f"d{uuid.uuid4().hex[:8]}"
    glue.create_database(DatabaseInput={"Name": name.upper(), "Description": "a test", "LocationUri": "s3://b/d"})
    return name


def test_a_database_lives(glue: Any, database: str) -> None:
    found = glue.get_database(Name=database)["Database"]
    assert (found["Name"], found["Description"], found["LocationUri"]) == (database, "a test", "s3://b/d")
    with pytest.raises(ClientError) as error:
        glue.create_database(DatabaseInput={"Name": database})
    assert _code(error) == "AlreadyExistsException"
    glue.update_database(Name=database, DatabaseInput={"Name": database, "Description": "changed"})
    assert glue.get_database(Name=database)["Database"]["Description"] == "changed"
    assert database in [each["Name"] for each in glue.get_databases()["DatabaseList"]]
    glue.create_table(DatabaseName=database, TableInput={"Name": "t"})
    glue.delete_database(Name=database)
    with pytest.raises(ClientError) as error:
        glue.get_table(DatabaseName=database, Name="t")
    assert _code(error) == "EntityNotFoundException"


def test_a_tables_versions(glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput={"Name": "T", "Parameters": {"n": "0"}})
    assert glue.get_table(DatabaseName=database, Name="t")["Table"]["VersionId"] == "0"
    glue.update_table(DatabaseName=database, TableInput={"Name": "t", "Parameters": {"n": "1"}}, VersionId="0")
    with pytest.raises(ClientError) as error:
        glue.update_table(DatabaseName=database, TableInput={"Name": "t", "Parameters": {"n": "x"}}, VersionId="0")
    assert _code(error) == "ConcurrentModificationException"
    glue.update_table(DatabaseName=database, TableInput={"Name": "t", "Parameters": {"n": "2"}}, SkipArchive=True)
    versions = glue.get_table_versions(DatabaseName=database, TableName="t")["TableVersions"]
    # Version 1 was not archived: the update that replaced it said SkipArchive.
    assert [(each["VersionId"], each["Table"]["Parameters"]["n"]) for each in versions] == [("2", "2"), ("0", "0")]


def test_tables_are_listed_in_pages(glue: Any, database: str) -> None:
    names = [f"t{number:03}" for number in range(230)]
    for name in names:
        glue.create_table(DatabaseName=database, TableInput={"Name": name})
    pages = list(glue.get_paginator("get_tables").paginate(DatabaseName=database))
    assert len(pages) == 3
    assert [table["Name"] for page in pages for table in page["TableList"]] == names
    chosen = glue.get_tables(DatabaseName=database, Expression="t00[0-4]")["TableList"]
    assert [table["Name"] for table in chosen] == names[:5]
    glue.batch_delete_table(DatabaseName=database, TablesToDelete=names[:200])
    assert len(glue.get_tables(DatabaseName=database)["TableList"]) == 30


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("", ["2026-11-20", "2026-11-21", "2026-11-22"]),
        ("dt >= '2026-11-21'", ["2026-11-21", "2026-11-22"]),
        ("dt = '2026-11-21' AND hour > 7", ["2026-11-21"]),
        ("dt IN ('2026-11-20', '2026-11-22') OR hour = 8", ["2026-11-20", "2026-11-21", "2026-11-22"]),
        ("dt BETWEEN '2026-11-21' AND '2026-11-21'", ["2026-11-21"]),
        ("hour > 10", []),
    ],
)
def test_partitions_are_selected(glue: Any, database: str, expression: str, selected: list[str]) -> None:
    keys = [{"Name": "dt", "Type": "string"}, {"Name": "hour", "Type": "int"}]
    glue.create_table(DatabaseName=database, TableInput={"Name": "t", "PartitionKeys": keys})
    values = [["2026-11-20", "9"], ["2026-11-21", "8"], ["2026-11-22", "10"]]
    inputs = [{"Values": each, "StorageDescriptor": {"Location": f"s3://b/{each[0]}"}} for each in values]
    assert glue.batch_create_partition(DatabaseName=database, TableName="t", PartitionInputList=inputs)["Errors"] == []
    found = glue.get_partitions(DatabaseName=database, TableName="t", Expression=expression)["Partitions"]
    assert [each["Values"][0] for each in found] == selected


def test_a_partition_lives(glue: Any, database: str) -> None:
    glue.create_table(
        DatabaseName=database, TableInput={"Name": "t", "PartitionKeys": [{"Name": "dt", "Type": "date"}]}
    )
    where = {"DatabaseName": database, "TableName": "t"}
    glue.create_partition(**where, PartitionInput={"Values": ["2026-11-21"]})
    again = glue.batch_create_partition(**where, PartitionInputList=[{"Values": ["2026-11-21"]}])["Errors"]
    assert again[0]["ErrorDetail"]["ErrorCode"] == "AlreadyExistsException"
    changed = {"Values": ["2026-11-21"], "Parameters": {"rows": "5"}}
    glue.update_partition(**where, PartitionValueList=["2026-11-21"], PartitionInput=changed)
    assert glue.get_partition(**where, PartitionValues=["2026-11-21"])["Partition"]["Parameters"] == {"rows": "5"}
    with pytest.raises(ClientError) as error:
        glue.create_partition(**where, PartitionInput={"Values": ["a", "b"]})
    assert _code(error) == "InvalidInputException"
    glue.delete_partition(**where, PartitionValues=["2026-11-21"])
    with pytest.raises(ClientError) as error:
        glue.get_partition(**where, PartitionValues=["2026-11-21"])
    assert _code(error) == "EntityNotFoundException"


def test_twenty_compare_and_swaps_at_once_lose_none(aws_endpoints: Any, glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput={"Name": "t", "Parameters": {"written": ""}})

    def commit(writer: int) -> int:
        own = aws_endpoints.client("glue")
        for attempt in range(1000):
            table = own.get_table(DatabaseName=database, Name="t")["Table"]
            written = f"{table['Parameters']['written']} {writer}"
            try:
                own.update_table(
                    DatabaseName=database,
                    TableInput={"Name": "t", "Parameters": {"written": written}},
                    VersionId=table["VersionId"],
                    SkipArchive=True,
                )
                return attempt
            except own.exceptions.ConcurrentModificationException:
                continue
        raise AssertionError(f"writer {writer} never won")

    with concurrent.futures.ThreadPoolExecutor(max_workers=20) as pool:
        attempts = list(pool.map(commit, range(20)))
    table = glue.get_table(DatabaseName=database, Name="t")["Table"]
    assert sorted(map(int, table["Parameters"]["written"].split())) == list(range(20))
    assert table["VersionId"] == "20"
    assert sum(attempts) > 0, "no two writers met: the test did not test"


def test_iceberg_writers_at_once_lose_no_row(aws_endpoints: Any, database: str) -> None:
    catalog = GlueCatalog("lake", **aws_endpoints.iceberg_properties())
    catalog.create_table(
        f"{database}.t",
        schema=pa.schema([("writer", pa.int64())]),
        location=f"s3://smartcity-lake/{database}/t",
        properties={
            "commit.retry.num-retries": "50",
            "commit.retry.min-wait-ms": "5",
            "commit.retry.max-wait-ms": "50",
        },
    )

    def write(writer: int) -> None:
        own = GlueCatalog(f"writer-{writer}", **aws_endpoints.iceberg_properties())
        for _ in range(3):
            own.load_table(f"{database}.t").append(pa.table({"writer": [writer]}))

    with concurrent.futures.ThreadPoolExecutor(max_workers=5) as pool:
        list(pool.map(write, range(5)))
    table = catalog.load_table(f"{database}.t")
    assert sorted(table.scan().to_arrow()["writer"].to_pylist()) == sorted([*range(5)] * 3)


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("glue", "start_workflow_run", {"Name": "w"}),
        ("sqs", "list_queues", {}),
        ("redshift-data", "list_schemas", {"Database": "d"}),
        ("athena", "create_prepared_statement", {"StatementName": "n", "WorkGroup": "w", "QueryStatement": "SELECT 1"}),
        ("emr-serverless", "list_job_runs", {"applicationId": "0"}),
        ("quicksight", "list_groups", {"AwsAccountId": "000000000000", "Namespace": "default"}),
    ],
)
def test_what_is_not_served_is_refused_by_name(
    aws_endpoints: Any, service: str, call: str, arguments: dict[str, str]
) -> None:
    client = aws_endpoints.client(service)
    with pytest.raises(ClientError, match="is not served by the local AWS endpoint") as error:
        getattr(client, call)(**arguments)
    assert error.value.operation_name in str(error.value.response["Error"]["Message"])


def test_a_request_is_checked(aws_endpoints: Any) -> None:
    lenient = aws_endpoints.client("glue", parameter_validation=False)
    with pytest.raises(ClientError, match="DatabaseInput") as error:
        lenient.create_database()
    assert _code(error) == "InvalidInputException"


def test_sts_says_who_we_are(aws_endpoints: Any) -> None:
    assert aws_endpoints.client("sts").get_caller_identity()["Account"] == "000000000000"
