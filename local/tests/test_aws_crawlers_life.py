"""A local crawler's life: it fails, is stopped or killed, takes tables as targets, and refuses what it cannot do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .crawling import BUCKET, LOG_ONLY, PARQUET, ClientError, Crawl, code, parquet


@pytest.fixture
def crawl(aws_endpoints: Any) -> Crawl:
    return Crawl(aws_endpoints)


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
