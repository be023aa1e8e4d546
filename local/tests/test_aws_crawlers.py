"""The local Glue's crawlers through unchanged boto3: what they register, and Athena reads."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from .crawling import BUCKET, EVERY_TYPE, LOG_ONLY, ClientError, Crawl, code, parquet


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
