"""Everything at once, both processes killed again and again: nothing that was answered as done is lost.

Writers of every kind work side by side, each on numbers that are used once. What was answered is noted; what a kill
interrupted may be there or not. After the last kill every noted answer is looked for, and what was removed stays away.
"""

from __future__ import annotations

import functools
import hashlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions

LOST = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
ENDS = (("s3", signal.SIGKILL), ("aws", signal.SIGKILL), ("both", signal.SIGKILL), ("both", signal.SIGTERM))
"""In an order of their own each time; after them both are killed once more."""
ANSWERS_BETWEEN_KILLS = 4
"""Of every kind, at least."""
PAUSE_S = 0.06
"""Between a writer's calls: the processes shall be at work, and start again soon."""
TIMEOUT_S = 240
FINISHED_TIMEOUT_S = 60
BUCKET, DATABASE, WORKGROUP = "smartcity-lake", "smartcity", "city"
KINDS = (
    "bucket",
    "object",
    "removed_object",
    "database",
    "table",
    "version",
    "removed_table",
    "partition",
    "workgroup",
    "row",
)


def body(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest() * (1 + number * 37 % 900)


@dataclass
class Work:
    """Writers, and what each was answered. A kind's name is that of the method that does it."""

    endpoints: Any
    answered: dict[str, list[int]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def prepare(self) -> None:
        client = self.endpoints.client
        client("s3").create_bucket(Bucket=BUCKET)
        glue = client("glue")
        glue.create_database(DatabaseInput={"Name": DATABASE})
        storage = {"Columns": [{"Name": "a", "Type": "string"}], "Location": f"s3://{BUCKET}/days/"}
        keys = [{"Name": "n", "Type": "bigint"}]
        table = {"Name": "days", "PartitionKeys": keys, "StorageDescriptor": storage}
        glue.create_table(DatabaseName=DATABASE, TableInput=table)
        glue.create_table(DatabaseName=DATABASE, TableInput={"Name": "versions"})
        serverless = client("redshift-serverless")
        serverless.create_namespace(namespaceName=WORKGROUP, dbName="smartcity")
        serverless.create_workgroup(workgroupName=WORKGROUP, namespaceName=WORKGROUP, baseCapacity=8)
        assert self.sql(client("redshift-data"), "CREATE TABLE kept (a BIGINT)")

    # ---- One answer each; False for what was answered as not done.

    def bucket(self, number: int, client: Callable[[str], Any]) -> bool:
        client("s3").create_bucket(Bucket=f"bucket-{number}")
        return True

    def object(self, number: int, client: Callable[[str], Any]) -> bool:
        client("s3").put_object(Bucket=BUCKET, Key=f"objects/{number}", Body=body(number))
        return True

    def removed_object(self, number: int, client: Callable[[str], Any]) -> bool:
        client("s3").put_object(Bucket=BUCKET, Key=f"removed/{number}", Body=b"x")
        client("s3").delete_object(Bucket=BUCKET, Key=f"removed/{number}")
        return True

    def database(self, number: int, client: Callable[[str], Any]) -> bool:
        client("glue").create_database(DatabaseInput={"Name": f"database_{number}"})
        return True

    def table(self, number: int, client: Callable[[str], Any]) -> bool:
        client("glue").create_table(DatabaseName=DATABASE, TableInput={"Name": f"table_{number}"})
        return True

    def version(self, number: int, client: Callable[[str], Any]) -> bool:
        given = {"Name": "versions", "Parameters": {"n": str(number)}}
        client("glue").update_table(DatabaseName=DATABASE, TableInput=given)
        return True

    def removed_table(self, number: int, client: Callable[[str], Any]) -> bool:
        client("glue").create_table(DatabaseName=DATABASE, TableInput={"Name": f"removed_{number}"})
        client("glue").delete_table(DatabaseName=DATABASE, Name=f"removed_{number}")
        return True

    def partition(self, number: int, client: Callable[[str], Any]) -> bool:
        given = {"Values": [str(number)], "StorageDescriptor": {"Location": f"s3://{BUCKET}/days/n={number}/"}}
        client("glue").create_partition(DatabaseName=DATABASE, TableName="days", PartitionInput=given)
        return True

    def workgroup(self, number: int, client: Callable[[str], Any]) -> bool:
        place = {"ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/{number}/"}}
        client("athena").create_work_group(Name=f"group-{number}", Configuration=place)
        return True

    def row(self, number: int, client: Callable[[str], Any]) -> bool:
        return self.sql(client("redshift-data"), f"INSERT INTO kept VALUES ({number})")

    def sql(self, data: Any, sql: str) -> bool:
        """Whether it was answered FINISHED."""
        identity = data.execute_statement(Sql=sql, WorkgroupName=WORKGROUP, Database="smartcity")["Id"]
        deadline = time.monotonic() + FINISHED_TIMEOUT_S
        while (status := data.describe_statement(Id=identity)["Status"]) not in ("FINISHED", "FAILED", "ABORTED"):
            assert time.monotonic() < deadline, status
            time.sleep(0.005)
        return bool(status == "FINISHED")

    # ---- All of them, for as long as it takes.

    @contextmanager
    def running(self) -> Iterator[None]:
        self.answered = {kind: [] for kind in KINDS}
        threads = [threading.Thread(target=self._write, args=(kind,)) for kind in KINDS]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join(timeout=FINISHED_TIMEOUT_S)
        assert not any(thread.is_alive() for thread in threads)

    def _write(self, kind: str) -> None:
        client = functools.cache(self.endpoints.client)
        number = 0
        while not self.stopped.is_set():
            number += 1
            try:
                if getattr(self, kind)(number, client):
                    self.answered[kind].append(number)
            except LOST:
                pass
            except Exception as error:
                self.failures.append(f"{kind} {number}: {error!r}")
                return
            self.stopped.wait(PAUSE_S)

    def wait(self, more: int) -> None:
        """Until every kind has so many answers more."""
        wanted = {kind: len(found) + more for kind, found in self.answered.items()}
        deadline = time.monotonic() + TIMEOUT_S
        while any(len(self.answered[kind]) < count for kind, count in wanted.items()):
            assert not self.failures, self.failures
            assert time.monotonic() < deadline, {kind: len(found) for kind, found in self.answered.items()}
            time.sleep(0.002)

    # ---- What is there.

    def found(self) -> dict[str, set[int]]:
        """The numbers of each kind that are there; a removed one counts where it is there no more."""
        client = self.endpoints.client
        s3, glue, athena, data = (client(name) for name in ("s3", "glue", "athena", "redshift-data"))
        keys = [
            each["Key"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
            for each in page.get("Contents", [])
        ]
        whole = {
            number
            for number in _numbers(keys, "objects/")
            if s3.get_object(Bucket=BUCKET, Key=f"objects/{number}")["Body"].read() == body(number)
        }
        tables = [
            each["Name"]
            for page in glue.get_paginator("get_tables").paginate(DatabaseName=DATABASE)
            for each in page["TableList"]
        ]
        databases = [
            each["Name"] for page in glue.get_paginator("get_databases").paginate() for each in page["DatabaseList"]
        ]
        versions = {
            int(each["Table"].get("Parameters", {}).get("n", 0))
            for page in glue.get_paginator("get_table_versions").paginate(DatabaseName=DATABASE, TableName="versions")
            for each in page["TableVersions"]
        }
        partitions = {
            int(each["Values"][0])
            for page in glue.get_paginator("get_partitions").paginate(DatabaseName=DATABASE, TableName="days")
            for each in page["Partitions"]
        }
        identity = data.execute_statement(Sql="SELECT a FROM kept", WorkgroupName=WORKGROUP, Database="smartcity")["Id"]
        while data.describe_statement(Id=identity)["Status"] not in ("FINISHED", "FAILED", "ABORTED"):
            time.sleep(0.01)
        rows = [
            record[0]["longValue"]
            for page in data.get_paginator("get_statement_result").paginate(Id=identity)
            for record in page["Records"]
        ]
        assert len(rows) == len(set(rows)), "a row is there once"
        return {
            "bucket": _numbers([each["Name"] for each in s3.list_buckets()["Buckets"]], "bucket-"),
            "object": whole,
            "removed_object": set(self.answered["removed_object"]) - _numbers(keys, "removed/"),
            "database": _numbers(databases, "database_"),
            "table": _numbers(tables, "table_"),
            "version": versions,
            "removed_table": set(self.answered["removed_table"]) - _numbers(tables, "removed_"),
            "partition": partitions,
            "workgroup": _numbers(_work_groups(athena), "group-"),
            "row": set(rows),
        }


def _numbers(names: Iterable[str], prefix: str) -> set[int]:
    return {int(name.removeprefix(prefix)) for name in names if name.startswith(prefix)}


def _work_groups(athena: Any) -> Iterator[str]:
    more: dict[str, str] = {}
    while True:
        page = athena.list_work_groups(**more)
        yield from (each["Name"] for each in page["WorkGroups"])
        if "NextToken" not in page:
            return
        more = {"NextToken": page["NextToken"]}


def _end(process: Any, number: int) -> None:
    process.send_signal(number)
    process.wait(timeout=60)


def test_kills_and_stops_at_any_moment_lose_nothing_that_was_answered(own_endpoints: Any) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    own_endpoints.start_s3()
    own_endpoints.start_aws()
    work = Work(own_endpoints)
    work.prepare()
    with work.running():
        for ended, number in rng.sample(ENDS, len(ENDS)):
            work.wait(ANSWERS_BETWEEN_KILLS)
            time.sleep(rng.random() * 0.05)  # At any moment of a write, not only after one.
            print(f"{ended} by {number.name} after", {kind: len(found) for kind, found in work.answered.items()})
            if ended != "aws":
                _end(own_endpoints.s3, number)
                own_endpoints.start_s3()
            if ended != "s3":
                _end(own_endpoints.aws, number)
                own_endpoints.start_aws()
        work.wait(1)
        for process in (own_endpoints.aws, own_endpoints.s3):
            _end(process, signal.SIGKILL)
    own_endpoints.start_s3()
    own_endpoints.start_aws()
    assert work.failures == []
    found = work.found()
    lost = {kind: sorted(set(answered) - found[kind]) for kind, answered in work.answered.items()}
    assert {kind: numbers for kind, numbers in lost.items() if numbers} == {}
