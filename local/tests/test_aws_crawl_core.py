"""What a crawl makes of keys, exclusions and schemas, without I/O."""

from __future__ import annotations

import pyarrow as pa
import pytest

from smartcity.local.aws.crawl.listing import DataObject, folders, glob, split_target
from smartcity.local.aws.crawl.schema import glue_type, known, merged
from smartcity.local.aws.errors import CrawlError


def _objects(*keys: str) -> list[DataObject]:
    return [DataObject(bucket="lake", key=key, size=1) for key in keys]


def test_folders_are_tables_and_name_value_folders_are_partitions() -> None:
    found = folders(
        _objects("marts/b/dt=2026-11-21/hour=08%3A00/sub/x", "marts/b/dt=2026-11-20/hour=9/x", "marts/a/x", "marts/a/y")
    )
    assert [(each.location, each.keys) for each in found] == [
        ("s3://lake/marts/a/", ()),
        ("s3://lake/marts/b/", ("dt", "hour")),
    ]
    assert {values: len(held) for values, held in found[0].objects.items()} == {(): 2}
    assert found[1].places == {
        ("2026-11-20", "9"): "s3://lake/marts/b/dt=2026-11-20/hour=9/",
        ("2026-11-21", "08:00"): "s3://lake/marts/b/dt=2026-11-21/hour=08%3A00/",
    }


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (("t/dt=1/x", "t/x"), "not partitioned alike"),
        (("t/dt=1/x", "t/day=1/x"), "not partitioned alike"),
        (("t/dt=1/x", "t/DT=1/x"), "same partition"),
        (("t/x", "t/inner/x"), "holds objects, and so does its folder s3://lake/t/inner/"),
    ],
)
def test_folders_that_make_no_table_are_named(keys: tuple[str, ...], message: str) -> None:
    with pytest.raises(CrawlError, match=message):
        folders(_objects(*keys))


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*.csv", "a.csv", "b/a.csv"),
        ("**.csv", "b/a.csv", "b/a.csv.gz"),
        ("old/**", "old/a/b", "older/a"),
        ("dt=2026-11-2[0-2]/*", "dt=2026-11-21/x", "dt=2026-11-23/x"),
        ("[!a]?.{json,txt}", "bc.txt", "ac.txt"),
        ("a+b", "a+b", "aab"),
    ],
)
def test_exclusions(pattern: str, matching: str, other: str) -> None:
    assert glob(pattern).fullmatch(matching)
    assert not glob(pattern).fullmatch(other)


def test_targets() -> None:
    assert split_target("s3://lake/marts") == split_target("s3://lake/marts/") == ("lake", "marts/")
    assert split_target("s3://lake") == ("lake", "")
    with pytest.raises(CrawlError, match="not of the form"):
        split_target("lake/marts")


@pytest.mark.parametrize(
    ("arrow", "glue"),
    [
        (pa.string(), "string"),
        (pa.large_string(), "string"),
        (pa.dictionary(pa.int32(), pa.string()), "string"),
        (pa.int64(), "bigint"),
        (pa.int32(), "int"),
        (pa.float64(), "double"),
        (pa.bool_(), "boolean"),
        (pa.date32(), "date"),
        (pa.timestamp("us", "UTC"), "timestamp"),
        (pa.decimal128(10, 2), "decimal(10,2)"),
        (pa.list_(pa.struct([("Kind", pa.string()), ("n", pa.int32())])), "array<struct<kind:string,n:int>>"),
        (pa.map_(pa.string(), pa.list_(pa.float32())), "map<string,array<float>>"),
    ],
)
def test_types(arrow: pa.DataType, glue: str) -> None:
    assert glue_type(arrow) == glue


def test_a_type_without_a_name_in_glue_is_named() -> None:
    with pytest.raises(CrawlError, match="time64"):
        glue_type(pa.time64("us"))


def test_schemas_are_one() -> None:
    schemas = [{"a": "int", "n": "void", "f": "double"}, {"b": "string", "a": "bigint", "f": "float"}, {"a": "int"}]
    assert known(merged(schemas, where="t")) == {"a": "bigint", "n": "string", "f": "double", "b": "string"}
    with pytest.raises(CrawlError, match="t: the column 'a' is int in some objects and string in others"):
        merged([{"a": "int"}, {"a": "string"}], where="t")
