"""The local Redshift through unchanged boto3: namespaces, statements' lives, refused options, what a kill leaves."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from smartcity.local.aws.cancellation import Cancellation
from smartcity.local.aws.redshift.data import RedshiftData
from smartcity.local.aws.redshift.documents import new_document
from smartcity.local.aws.redshift.engine import Warehouse
from smartcity.local.aws.redshift.serverless import RedshiftServerless
from smartcity.local.aws.store import Store

from .warehousing import LOST, TIMEOUT_S, Redshift


@pytest.fixture
def redshift(aws_endpoints: Any) -> Redshift:
    return Redshift(aws_endpoints)


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
def test_an_option_that_is_not_served_is_refused_by_name(redshift: Redshift, options: Any, message: str) -> None:
    with pytest.raises(redshift.data.exceptions.ValidationException, match=message):
        redshift.run("SELECT 1", **options)


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
        warehouse.run(
            identity,
            statements,
            nothing,
            outcomes=[],
            cancellation=Cancellation(refusal=RuntimeError),
            create_database=lambda name: None,
        )

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
