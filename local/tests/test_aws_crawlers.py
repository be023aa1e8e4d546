"""The local Glue's crawlers through unchanged boto3: what they register, and Athena reads."""

from __future__ import annotations

import datetime as dt
import io
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ClientError = botocore.exceptions.ClientError
BUCKET = "smartcity-lake"
TIMEOUT_S = 180
PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
LOG_ONLY = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
EVERY_TYPE = {
    "Route": pa.array(["a", None]),
    "n": pa.array([1, 2], pa.int64()),
    "late": pa.array([1, 2], pa.int32()),
    "km": pa.array([1.5, 2.5]),
    "at": pa.array([dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)] * 2, pa.timestamp("us", "UTC")),
    "day": pa.array([dt.date(2026, 11, 21)] * 2),
    "is_wet": pa.array([True, False]),
    "codes": pa.array([["P0171"], []]),
    "place": pa.array([{"lat": 51.5, "name": "London"}, None]),
}


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def parquet(columns: Mapping[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), file, **options)
    return file.getvalue()


def put(endpoints: Any, key: str, columns: Mapping[str, Any]) -> None:
    endpoints.client("s3").put_object(Bucket=BUCKET, Key=key, Body=parquet(columns))


@dataclass
class Crawl:
    """One test's crawler, over a folder and a database of its own."""

    endpoints: Any
    name: str = field(default_factory=lambda: f"c{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.glue = self.endpoints.client("glue")
        self.glue.create_database(DatabaseInput={"Name": self.name})

    def put(self, key: str, columns: Mapping[str, Any]) -> None:
        put(self.endpoints, f"{self.name}/{key}", columns)

    def delete(self, key: str) -> None:
        self.endpoints.client("s3").delete_object(Bucket=BUCKET, Key=f"{self.name}/{key}")

    def create(self, **more: Any) -> None:
        target = {"Path": f"s3://{BUCKET}/{self.name}/", "Exclusions": more.pop("exclusions", [])}
        given = {"DatabaseName": self.name, "Targets": {"S3Targets": [target]}, **more}
        self.glue.create_crawler(Name=self.name, Role="arn:aws:iam::000000000000:role/crawl", **given)

    def run(self) -> dict[str, Any]:
        """Start it, wait until it is READY, and give its LastCrawl."""
        self.glue.start_crawler(Name=self.name)
        return self.ended()

    def ended(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            crawler = self.glue.get_crawler(Name=self.name)["Crawler"]
            if crawler["State"] == "READY":
                last: dict[str, Any] = crawler["LastCrawl"]
                return last
            time.sleep(0.01)
        raise AssertionError(f"{self.name} is still {crawler['State']}")

    def succeed(self) -> None:
        last = self.run()
        assert last["Status"] == "SUCCEEDED", last

    def table(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.glue.get_table(DatabaseName=self.name, Name=name)["Table"]
        return found

    def columns(self, name: str) -> dict[str, str]:
        return {each["Name"]: each["Type"] for each in self.table(name)["StorageDescriptor"]["Columns"]}

    def partitions(self, name: str) -> dict[str, dict[str, Any]]:
        found = self.glue.get_partitions(DatabaseName=self.name, TableName=name)["Partitions"]
        return {"/".join(each["Values"]): each for each in found}

    def tables(self) -> list[str]:
        return [each["Name"] for each in self.glue.get_tables(DatabaseName=self.name)["TableList"]]

    def rows(self, sql: str) -> list[list[str | None]]:
        athena = self.endpoints.client("athena")
        identity = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": self.name},
            ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/athena-results/"},
        )["QueryExecutionId"]
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            status = athena.get_query_execution(QueryExecutionId=identity)["QueryExecution"]["Status"]
            if status["State"] not in ("QUEUED", "RUNNING"):
                break
            time.sleep(0.01)
        assert status["State"] == "SUCCEEDED", status
        rows = athena.get_query_results(QueryExecutionId=identity)["ResultSet"]["Rows"]
        return [[each.get("VarCharValue") for each in row["Data"]] for row in rows[1:]]


@pytest.fixture
def crawl(aws_endpoints: Any) -> Crawl:
    return Crawl(aws_endpoints)


def test_a_first_crawl_makes_tables_and_partitions_that_athena_reads(crawl: Crawl) -> None:
    crawl.put("trips/dt=2026-11-20/part.parquet", EVERY_TYPE)
    crawl.put("trips/dt=2026-11-21/part.parquet", EVERY_TYPE)
    crawl.put("trips/dt=2026-11-21/_SUCCESS/x", {"unseen": [1]})
    crawl.put("Flat-one/part.parquet", {"n": [1, 2, 3]})
    crawl.put("skipped/part.parquet", {"n": [1]})
    crawl.create(TablePrefix="m_", exclusions=["skipped/**"])
    crawl.succeed()
    assert crawl.tables() == ["m_flat_one", "m_trips"]
    table = crawl.table("m_trips")
    assert crawl.columns("m_trips") == {
        "route": "string",
        "n": "bigint",
        "late": "int",
        "km": "double",
        "at": "timestamp",
        "day": "date",
        "is_wet": "boolean",
        "codes": "array<string>",
        "place": "struct<lat:double,name:string>",
    }
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert table["PartitionKeys"] == [{"Name": "dt", "Type": "string"}]
    size = len(parquet(EVERY_TYPE))
    expected = {
        "classification": "parquet",
        "CrawlerSchemaDeserializerVersion": "1.0",
        "UPDATED_BY_CRAWLER": crawl.name,
        "recordCount": "4",
        "objectCount": "2",
        "sizeKey": str(2 * size),
        "averageRecordSize": str(round(size / 2)),
        "typeOfData": "file",
    }
    assert expected.items() <= table["Parameters"].items()
    assert table["StorageDescriptor"]["Location"] == f"s3://{BUCKET}/{crawl.name}/trips/"
    assert table["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"].endswith("ParquetHiveSerDe")
    partition = crawl.partitions("m_trips")["2026-11-21"]
    assert partition["StorageDescriptor"]["Location"] == f"s3://{BUCKET}/{crawl.name}/trips/dt=2026-11-21/"
    assert partition["Parameters"]["recordCount"] == "2"
    metrics = crawl.glue.get_crawler_metrics(CrawlerNameList=[crawl.name])["CrawlerMetricsList"][0]
    assert (metrics["TablesCreated"], metrics["TablesUpdated"], metrics["TablesDeleted"]) == (2, 0, 0)
    assert metrics["LastRuntimeSeconds"] > 0
    assert crawl.rows("SELECT dt, count(*), sum(n) FROM m_trips GROUP BY dt ORDER BY dt") == [
        ["2026-11-20", "2", "3"],
        ["2026-11-21", "2", "3"],
    ]
    assert crawl.rows("SELECT place.name, codes[1], at FROM m_trips WHERE dt = '2026-11-20' AND n = 1") == [
        ["London", "P0171", "2026-11-21 08:00:00.000"]
    ]
    assert crawl.rows("SELECT count(*) FROM m_flat_one") == [["3"]]


def test_a_new_day_is_seen_after_the_next_crawl_only(crawl: Crawl) -> None:
    crawl.put("t/dt=2026-11-20/x.parquet", {"n": [1]})
    crawl.create()
    crawl.succeed()
    crawl.put("t/dt=2026-11-21/x.parquet", {"n": [2]})
    assert crawl.rows("SELECT sum(n) FROM t") == [["1"]]
    crawl.succeed()
    assert crawl.rows("SELECT sum(n) FROM t") == [["3"]]
    assert crawl.table("t")["Parameters"]["recordCount"] == "2"


def test_a_crawl_that_finds_nothing_new_changes_nothing(crawl: Crawl) -> None:
    crawl.put("t/dt=2026-11-20/x.parquet", {"n": [1]})
    crawl.create()
    crawl.succeed()
    before = crawl.table("t"), crawl.partitions("t")
    crawl.succeed()
    assert (crawl.table("t"), crawl.partitions("t")) == before
    metrics = crawl.glue.get_crawler_metrics(CrawlerNameList=[crawl.name])["CrawlerMetricsList"][0]
    assert (metrics["TablesCreated"], metrics["TablesUpdated"]) == (0, 0)


def _with_an_added_and_a_dropped_column(crawl: Crawl, **more: Any) -> None:
    crawl.put("t/dt=2026-11-20/x.parquet", {"n": pa.array([1], pa.int32()), "dropped": ["x"]})
    crawl.create(**more)
    crawl.succeed()
    crawl.put("t/dt=2026-11-20/x.parquet", {"n": pa.array([1], pa.int64())})
    crawl.put("t/dt=2026-11-21/x.parquet", {"n": pa.array([2], pa.int64()), "added": [0.5]})
    crawl.succeed()


def test_a_new_column_is_added_and_one_that_is_gone_removed(crawl: Crawl) -> None:
    _with_an_added_and_a_dropped_column(crawl)
    assert crawl.columns("t") == {"n": "bigint", "added": "double"}
    columns = crawl.partitions("t")["2026-11-20"]["StorageDescriptor"]["Columns"]
    assert columns == [{"Name": "n", "Type": "bigint"}]
    assert crawl.rows("SELECT n, added FROM t ORDER BY n") == [["1", None], ["2", "0.5"]]


def test_with_merge_new_columns_nothing_is_removed_or_changed(crawl: Crawl) -> None:
    merge = '{"Version": 1.0, "CrawlerOutput": {"Tables": {"AddOrUpdateBehavior": "MergeNewColumns"}, '
    _with_an_added_and_a_dropped_column(
        crawl, Configuration=merge + '"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}}}'
    )
    assert crawl.columns("t") == {"n": "int", "dropped": "string", "added": "double"}
    for partition in crawl.partitions("t").values():
        assert partition["StorageDescriptor"]["Columns"] == crawl.table("t")["StorageDescriptor"]["Columns"]


def test_with_log_a_change_is_not_registered_but_a_new_day_is(crawl: Crawl) -> None:
    _with_an_added_and_a_dropped_column(crawl, SchemaChangePolicy=LOG_ONLY)
    assert crawl.columns("t") == {"n": "int", "dropped": "string"}
    assert list(crawl.partitions("t")) == ["2026-11-20", "2026-11-21"]


@pytest.mark.parametrize(
    ("behavior", "days", "tables"),
    [
        ("LOG", ["2026-11-20", "2026-11-21"], ["gone", "t"]),
        ("DEPRECATE_IN_DATABASE", ["2026-11-20", "2026-11-21"], ["gone", "t"]),
        ("DELETE_FROM_DATABASE", ["2026-11-21"], ["t"]),
    ],
)
def test_what_is_gone(crawl: Crawl, behavior: str, days: list[str], tables: list[str]) -> None:
    keys = ["t/dt=2026-11-20/x.parquet", "t/dt=2026-11-21/x.parquet", "gone/x.parquet"]
    for key in keys:
        crawl.put(key, {"n": [1]})
    crawl.create(SchemaChangePolicy={"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": behavior})
    crawl.succeed()
    crawl.glue.create_table(
        DatabaseName=crawl.name,
        TableInput={"Name": "zz", "StorageDescriptor": {"Location": f"s3://{BUCKET}/{crawl.name}/zz/"}},
    )
    for key in (keys[0], keys[2]):
        crawl.delete(key)
    crawl.succeed()
    assert list(crawl.partitions("t")) == days
    assert crawl.tables() == [*tables, "zz"], "the table that another made is left alone"
    is_deprecated = behavior == "DEPRECATE_IN_DATABASE"
    if behavior != "DELETE_FROM_DATABASE":
        for each in (crawl.partitions("t")["2026-11-20"], crawl.table("gone")):
            assert ("DEPRECATED_BY_CRAWLER" in each["Parameters"]) == is_deprecated
    assert crawl.rows("SELECT count(*) FROM t") == [["1"]]
    for key in (keys[0], keys[2]):
        crawl.put(key, {"n": [1]})
    crawl.succeed()
    for each in (crawl.partitions("t")["2026-11-20"], crawl.table("gone")):
        assert "DEPRECATED_BY_CRAWLER" not in each["Parameters"]
    assert crawl.rows("SELECT count(*) FROM t") == [["2"]]


def test_a_crawl_of_new_folders_reads_no_other(crawl: Crawl) -> None:
    crawl.put("t/dt=2026-11-20/x.parquet", {"n": [1]})
    crawl.create(RecrawlPolicy={"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}, SchemaChangePolicy=LOG_ONLY)
    crawl.succeed()
    # If it were read, the crawl would fail.
    key = f"{crawl.name}/t/dt=2026-11-20/x.parquet"
    crawl.endpoints.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"no parquet")
    crawl.put("t/dt=2026-11-21/x.parquet", {"n": [2], "added": [1]})
    crawl.put("u/x.parquet", {"n": [2]})
    crawl.succeed()
    assert list(crawl.partitions("t")) == ["2026-11-20", "2026-11-21"]
    assert crawl.columns("t") == {"n": "bigint"}
    assert crawl.tables() == ["t", "u"]
    with pytest.raises(ClientError, match="only LOG") as error:
        crawl.glue.update_crawler(Name=crawl.name, SchemaChangePolicy={"UpdateBehavior": "UPDATE_IN_DATABASE"})
    assert code(error) == "InvalidInputException"


def test_a_folder_without_data_makes_no_table(crawl: Crawl) -> None:
    crawl.create()
    crawl.succeed()
    assert crawl.tables() == []


def test_a_name_that_is_taken_gets_a_hash_as_glue_adds_it(crawl: Crawl) -> None:
    crawl.put("a/t/x.parquet", {"n": [1]})
    crawl.put("b/t/x.parquet", {"n": [2]})
    crawl.create()
    crawl.succeed()
    names = crawl.tables()
    assert len(names) == 2
    assert names[0] == "t"
    assert names[1].startswith("t_")
    crawl.succeed()
    assert crawl.tables() == names


def test_a_table_that_was_registered_by_hand_is_taken_over(crawl: Crawl) -> None:
    crawl.put("t/dt=2026-11-20/x.parquet", {"n": [1]})
    place = {"Location": f"s3://{BUCKET}/{crawl.name}/t", "Columns": [{"Name": "n", "Type": "int"}]}
    keys = [{"Name": "dt", "Type": "date"}]
    given = {"Name": "mine", "StorageDescriptor": place, "PartitionKeys": keys, "Parameters": {"by": "hand"}}
    crawl.glue.create_table(DatabaseName=crawl.name, TableInput=given)
    crawl.create()
    crawl.succeed()
    assert crawl.tables() == ["mine"]
    table = crawl.table("mine")
    assert (table["PartitionKeys"], table["Parameters"]["by"]) == (keys, "hand")
    assert crawl.columns("mine") == {"n": "bigint"}
    assert list(crawl.partitions("mine")) == ["2026-11-20"]


def _missing_database(crawl: Crawl) -> None:
    crawl.glue.delete_database(Name=crawl.name)


def _missing_bucket(crawl: Crawl) -> None:
    targets = {"S3Targets": [{"Path": "s3://no-such-bucket/x/"}]}
    crawl.glue.update_crawler(Name=crawl.name, Targets=targets)


def _no_parquet(crawl: Crawl) -> None:
    crawl.endpoints.client("s3").put_object(Bucket=BUCKET, Key=f"{crawl.name}/zz/x.csv", Body=b"a,b\n1,2\n")


def _two_types(crawl: Crawl) -> None:
    crawl.put("zz/dt=2026-11-20/x.parquet", {"n": [1]})
    crawl.put("zz/dt=2026-11-21/x.parquet", {"n": ["one"]})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_missing_database, "EntityNotFoundException: Database .* not found"),
        (_missing_bucket, "The bucket no-such-bucket of the target s3://no-such-bucket/x/ does not exist"),
        (_no_parquet, "zz/x.csv is not Parquet, and the local crawler reads nothing else: exclude it"),
        (_two_types, "zz/: the column 'n' is bigint in some objects and string in others"),
    ],
)
def test_a_crawl_that_fails_says_why_and_changes_nothing(crawl: Crawl, spoil: Any, message: str) -> None:
    crawl.put("t/x.parquet", {"n": [1]})
    crawl.create()
    crawl.succeed()
    crawl.put("t/x.parquet", {"n": [1], "added": [1]})
    spoil(crawl)
    last = crawl.run()
    assert last["Status"] == "FAILED"
    assert re.search(message, last["ErrorMessage"])
    assert last["LogGroup"] == "/aws-glue/crawlers"
    if spoil is not _missing_database:
        assert crawl.tables() == ["t"]
        assert crawl.columns("t") == {"n": "bigint"}


def test_partition_keys_that_changed_fail_the_crawl_and_register_no_table_beside(crawl: Crawl) -> None:
    crawl.put("t/dt=2026-11-20/x.parquet", {"n": [1]})
    crawl.create()
    crawl.succeed()
    crawl.delete("t/dt=2026-11-20/x.parquet")
    crawl.put("t/day=2026-11-20/x.parquet", {"n": [1]})
    crawl.put("a/x.parquet", {"n": [1]})
    last = crawl.run()
    assert (last["Status"], "drop the table, or exclude the folder" in last["ErrorMessage"]) == ("FAILED", True)
    assert crawl.tables() == ["t"], "a was registered before the failure, and rolled back with it"


def test_a_crawler_lives(crawl: Crawl) -> None:
    crawl.create(Description="a test", Tags={"of": crawl.name})
    crawler = crawl.glue.get_crawler(Name=crawl.name)["Crawler"]
    assert (crawler["Role"], crawler["State"], crawler["Version"]) == ("crawl", "READY", 1)
    assert crawler["SchemaChangePolicy"] == {
        "UpdateBehavior": "UPDATE_IN_DATABASE",
        "DeleteBehavior": "DEPRECATE_IN_DATABASE",
    }
    assert "LastCrawl" not in crawler
    assert crawl.name in [each["Name"] for each in crawl.glue.get_crawlers()["Crawlers"]]
    assert crawl.glue.list_crawlers(Tags={"of": crawl.name})["CrawlerNames"] == [crawl.name]
    crawl.glue.update_crawler(Name=crawl.name, TablePrefix="p_")
    crawler = crawl.glue.get_crawler(Name=crawl.name)["Crawler"]
    assert (crawler["TablePrefix"], crawler["Description"], crawler["Version"]) == ("p_", "a test", 2)
    with pytest.raises(ClientError) as error:
        crawl.create()
    assert code(error) == "AlreadyExistsException"
    with pytest.raises(ClientError) as error:
        crawl.glue.stop_crawler(Name=crawl.name)
    assert code(error) == "CrawlerNotRunningException"
    crawl.glue.delete_crawler(Name=crawl.name)
    with pytest.raises(ClientError) as error:
        crawl.glue.start_crawler(Name=crawl.name)
    assert code(error) == "EntityNotFoundException"


def _many_days(crawl: Crawl, count: int) -> None:
    s3 = crawl.endpoints.client("s3")
    body = parquet({"n": [1]})
    for number in range(count):
        s3.put_object(Bucket=BUCKET, Key=f"{crawl.name}/t/n={number}/x.parquet", Body=body)


def test_two_crawls_at_once_are_refused_and_a_running_one_can_be_stopped(crawl: Crawl) -> None:
    _many_days(crawl, 120)
    crawl.create()
    crawl.glue.start_crawler(Name=crawl.name)
    for call in (crawl.glue.start_crawler, crawl.glue.delete_crawler, crawl.glue.update_crawler):
        with pytest.raises(ClientError) as error:
            call(Name=crawl.name)
        assert code(error) == "CrawlerRunningException"
    crawler = crawl.glue.get_crawler(Name=crawl.name)["Crawler"]
    assert crawler["State"] == "RUNNING"
    assert crawler["CrawlElapsedTime"] > 0
    crawl.glue.stop_crawler(Name=crawl.name)
    assert crawl.ended()["Status"] == "CANCELLED"
    assert crawl.glue.list_crawls(CrawlerName=crawl.name)["Crawls"][0]["State"] == "STOPPED"
    assert crawl.tables() == []
    crawl.succeed()
    assert crawl.table("t")["Parameters"]["objectCount"] == "120"


def test_a_kill_in_a_crawl_ends_it_failed_and_keeps_what_was_done(own_endpoints: Any) -> None:
    own_endpoints.start_s3()
    own_endpoints.start_aws()
    own_endpoints.client("s3").create_bucket(Bucket=BUCKET)
    done, killed = Crawl(own_endpoints), Crawl(own_endpoints)
    done.put("t/dt=2026-11-20/x.parquet", {"n": [1]})
    done.create()
    done.succeed()
    _many_days(killed, 120)
    killed.create()
    killed.glue.start_crawler(Name=killed.name)
    assert killed.glue.get_crawler(Name=killed.name)["Crawler"]["State"] == "RUNNING"
    own_endpoints.aws.kill()
    own_endpoints.aws.wait()
    own_endpoints.start_aws()
    last = killed.glue.get_crawler(Name=killed.name)["Crawler"]["LastCrawl"]
    assert last["Status"] == "FAILED"
    assert last["ErrorMessage"].startswith("Interrupted")
    assert killed.tables() == []
    assert done.glue.get_crawler(Name=done.name)["Crawler"]["LastCrawl"]["Status"] == "SUCCEEDED"
    assert list(done.partitions("t")) == ["2026-11-20"]
    killed.succeed()
    assert len(killed.partitions("t")) == 120
    crawls = killed.glue.list_crawls(CrawlerName=killed.name)["Crawls"]
    assert [each["State"] for each in crawls] == ["COMPLETED", "FAILED"]
    assert crawls[1]["ErrorMessage"] == last["ErrorMessage"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"Targets": {"JdbcTargets": [{"ConnectionName": "c", "Path": "d/t"}]}}, "JdbcTargets"),
        ({"Targets": {"S3Targets": [{"Path": "s3://lake/x", "ConnectionName": "c"}]}}, "S3Targets.ConnectionName"),
        ({"Classifiers": ["mine"]}, "Classifiers"),
        ({"Schedule": "cron(15 12 * * ? *)"}, "Schedule"),
        ({"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVENT_MODE"}}, "CRAWL_EVENT_MODE"),
        ({"Configuration": '{"Version": 1.0, "Grouping": {"TableLevelConfiguration": 2}}'}, "TableLevelConfiguration"),
    ],
)
def test_what_a_crawler_cannot_do_here_is_refused_by_name(crawl: Crawl, options: Any, named: str) -> None:
    with pytest.raises(ClientError, match=rf"{named}.* is not served by the local AWS endpoint") as error:
        crawl.create(**options)
    assert code(error) == "InvalidInputException"
    assert crawl.name not in crawl.glue.list_crawlers()["CrawlerNames"]


def make_table(crawl: Crawl, name: str, *, folder: str | None = None) -> None:
    """A table that is contracted: the crawler is to find its days, and nothing else."""
    storage = {"Columns": [{"Name": "n", "Type": "bigint", "Comment": "kept"}]}
    storage |= {"Location": f"s3://{BUCKET}/{crawl.name}/{folder or name}", **PARQUET}
    day = {"Name": "dt", "Type": "string"}
    table = {"Name": name, "StorageDescriptor": storage, "PartitionKeys": [day], "TableType": "EXTERNAL_TABLE"}
    crawl.glue.create_table(DatabaseName=crawl.name, TableInput=table)


def create_over(crawl: Crawl, *tables: str, **more: Any) -> None:
    targets = {"CatalogTargets": [{"DatabaseName": crawl.name, "Tables": [table]} for table in tables]}
    grouping = '{"Version": 1.0, "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"}}'
    given = {"Targets": targets, "SchemaChangePolicy": LOG_ONLY, "Configuration": grouping, **more}
    crawl.glue.create_crawler(Name=crawl.name, Role="crawl", **given)


def test_tables_as_targets_get_their_days_and_keep_their_columns(crawl: Crawl) -> None:
    for name in ("trips", "empty"):
        make_table(crawl, name)
    crawl.put("trips/dt=2026-11-20/day.parquet", {"n": [1], "more": [2]})
    crawl.put("beside/dt=2026-11-20/day.parquet", {"n": [1]})
    create_over(crawl, "trips", "empty")
    crawl.succeed()
    crawl.put("trips/dt=2026-11-21/day.parquet", {"n": [3]})
    crawl.succeed()
    assert crawl.tables() == ["empty", "trips"]
    assert crawl.table("trips")["StorageDescriptor"]["Columns"] == [{"Name": "n", "Type": "bigint", "Comment": "kept"}]
    assert list(crawl.partitions("trips")) == ["2026-11-20", "2026-11-21"]
    assert crawl.partitions("empty") == {}
    assert crawl.rows("SELECT sum(n) FROM trips") == [["4"]]


def test_a_target_that_is_no_table_of_data_fails_and_changes_nothing(crawl: Crawl) -> None:
    make_table(crawl, "trips")
    make_table(crawl, "outer", folder="folder")
    crawl.put("trips/dt=2026-11-20/day.parquet", {"n": [1]})
    crawl.put("folder/inner/dt=2026-11-20/day.parquet", {"n": [1]})
    create_over(crawl, "trips", "outer")
    assert "folder/inner/ is none of the catalog targets" in crawl.run()["ErrorMessage"]
    crawl.glue.update_crawler(
        Name=crawl.name, Targets={"CatalogTargets": [{"DatabaseName": crawl.name, "Tables": ["trips", "gone"]}]}
    )
    assert "EntityNotFoundException" in crawl.run()["ErrorMessage"]
    assert crawl.partitions("trips") == {}


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"SchemaChangePolicy": {"UpdateBehavior": "LOG"}}, "only LOG as DeleteBehavior"),
        ({"Targets": {"CatalogTargets": [{"DatabaseName": "a", "Tables": ["t"], "EventQueueArn": "arn:q"}]}}, "EventQ"),
        ({"Targets": {"CatalogTargets": [{"DatabaseName": d, "Tables": ["t"]} for d in "ab"]}}, "several databases"),
        ({"Targets": {}}, "either S3Targets or CatalogTargets"),
    ],
)
def test_what_tables_as_targets_cannot_have_is_refused(crawl: Crawl, more: dict[str, Any], named: str) -> None:
    with pytest.raises(ClientError, match=named) as caught:
        create_over(crawl, "trips", **more)
    assert code(caught) == "InvalidInputException"
