"""What the local AWS and S3 endpoints answered as done is there after kill -9."""

from __future__ import annotations

import hashlib
import json
import resource
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from smartcity.local.aws.s3 import recover

LOST = (botocore.exceptions.ClientError, botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)


def _kill_after(process: Any, answered: list[Any], count: int, writers: list[threading.Thread]) -> None:
    enough = threading.Event()

    def watch() -> None:
        while len(answered) < count and any(writer.is_alive() for writer in writers):
            enough.wait(0.002)
        process.kill()

    watcher = threading.Thread(target=watch)
    for thread in (*writers, watcher):
        thread.start()
    for thread in (*writers, watcher):
        thread.join(timeout=60)
    process.wait()


def test_glue_keeps_every_answered_write(own_endpoints: Any) -> None:
    own_endpoints.start_s3()
    own_endpoints.start_aws()
    glue = own_endpoints.client("glue")
    glue.create_database(DatabaseInput={"Name": "d"})
    glue.create_table(DatabaseName="d", TableInput={"Name": "pointer", "Parameters": {"n": "0"}})
    answered: list[tuple[str, int]] = []

    def create(writer: int) -> None:
        own = own_endpoints.client("glue")
        for number in range(1000):
            try:
                own.create_table(DatabaseName="d", TableInput={"Name": f"t{writer}_{number}"})
            except LOST:
                return
            answered.append((f"t{writer}_{number}", 0))

    def commit() -> None:
        own = own_endpoints.client("glue")
        for number in range(1, 1000):
            given = {"Name": "pointer", "Parameters": {"n": str(number)}}
            try:
                own.update_table(DatabaseName="d", TableInput=given, VersionId=str(number - 1), SkipArchive=True)
            except LOST:
                return
            answered.append(("pointer", number))

    writers = [threading.Thread(target=create, args=(0,)), threading.Thread(target=create, args=(1,))]
    _kill_after(own_endpoints.aws, answered, 150, [*writers, threading.Thread(target=commit)])
    assert len(answered) >= 150
    own_endpoints.start_aws()
    tables = {
        table["Name"]: table
        for page in glue.get_paginator("get_tables").paginate(DatabaseName="d")
        for table in page["TableList"]
    }
    assert {name for name, _ in answered} <= set(tables)
    newest = max(number for name, number in answered if name == "pointer")
    version = int(tables["pointer"]["VersionId"])
    # The commit that the kill interrupted may be there or not; none that was answered is missing.
    assert newest <= version <= newest + 1
    assert tables["pointer"]["Parameters"]["n"] == str(version)
    glue.update_table(DatabaseName="d", TableInput={"Name": "pointer"}, VersionId=str(version))
    assert glue.get_table(DatabaseName="d", Name="pointer")["Table"]["VersionId"] == str(version + 1)


def test_queries_that_ran_are_failed_after_a_kill(own_endpoints: Any) -> None:
    own_endpoints.start_s3()
    own_endpoints.start_aws()
    own_endpoints.client("s3").create_bucket(Bucket="results")
    athena = own_endpoints.client("athena")
    slow = (
        "SELECT count(*) FROM unnest(sequence(1, 100000)) a(x), unnest(sequence(1, 1000000)) b(y) WHERE x * y % 7 = 3"
    )
    place = {"OutputLocation": "s3://results/"}
    identity = athena.start_query_execution(QueryString=slow, ResultConfiguration=place)["QueryExecutionId"]
    own_endpoints.aws.kill()
    own_endpoints.aws.wait()
    own_endpoints.start_aws()
    status = athena.get_query_execution(QueryExecutionId=identity)["QueryExecution"]["Status"]
    assert status["State"] == "FAILED"
    assert "ended while this query was running" in status["StateChangeReason"]


def test_s3_keeps_every_answered_object_whole(own_endpoints: Any) -> None:
    own_endpoints.start_s3()
    s3 = own_endpoints.client("s3")
    s3.create_bucket(Bucket="kept")
    s3.create_bucket(Bucket="empty-one")
    s3.put_bucket_encryption(
        Bucket="empty-one",
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    answered: list[tuple[str, int]] = []
    tried: dict[str, int] = {}

    def body(key: str, number: int) -> bytes:
        return hashlib.sha256(f"{key} {number}".encode()).digest() * (1 + number * 37 % 900)

    def write(writer: int) -> None:
        own = own_endpoints.client("s3")
        for number in range(5000):
            key = f"overwritten/{writer}" if number % 2 else f"single/{writer}/{number}"
            tried[key] = number
            try:
                own.put_object(Bucket="kept", Key=key, Body=body(key, number), Metadata={"n": str(number)})
            except LOST:
                return
            answered.append((key, number))

    _kill_after(own_endpoints.s3, answered, 300, [threading.Thread(target=write, args=(n,)) for n in range(3)])
    assert len(answered) >= 300
    own_endpoints.start_s3()
    newest = dict(answered)
    for key, number in newest.items():
        found = s3.get_object(Bucket="kept", Key=key)
        content = found["Body"].read()
        kept = int(found["Metadata"]["n"])
        assert kept in (number, tried[key])
        assert content == body(key, kept)
        assert found["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
        assert s3.head_object(Bucket="kept", Key=key)["ContentLength"] == len(content)
    assert {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} == {"kept", "empty-one"}
    assert s3.get_bucket_encryption(Bucket="empty-one")["ServerSideEncryptionConfiguration"]["Rules"]


def test_s3_does_not_answer_done_what_it_could_not_write(own_endpoints: Any) -> None:
    limit = 1024 * 1024
    own_endpoints.start_s3()
    resource.prlimit(own_endpoints.s3.pid, resource.RLIMIT_FSIZE, (limit, limit))
    s3 = own_endpoints.client("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="small", Body=b"x" * 1000)
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        s3.put_object(Bucket="kept", Key="large", Body=b"x" * 2 * limit)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 500


def test_s3_serves_no_page_that_wipes_it(own_endpoints: Any) -> None:
    own_endpoints.start_s3()
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{own_endpoints.s3_url}/_ministack/reset", data=b"", timeout=5)


@pytest.mark.parametrize("is_written", [True, False])
def test_recovery_completes_a_write_or_drops_it(tmp_path: Path, is_written: bool) -> None:
    new, old = b"new bytes", b"old"
    (tmp_path / "object").write_bytes(new if is_written else old)
    (tmp_path / "object.meta.json").write_text(json.dumps({"size": len(old)}))
    ahead = {"size": len(new), "body_sha256": hashlib.sha256(new).hexdigest()}
    (tmp_path / "object.meta.json.tmp").write_text(json.dumps(ahead))
    (tmp_path / "object.tmp").write_bytes(b"new b")
    assert recover(tmp_path) == ((1, 0) if is_written else (0, 1))
    described = json.loads((tmp_path / "object.meta.json").read_text())
    assert described["size"] == len((tmp_path / "object").read_bytes())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["object", "object.meta.json"]
