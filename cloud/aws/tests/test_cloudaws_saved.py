"""Saved queries' parameters, and the marts' registration, without AWS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.exceptions
import pytest

from smartcity.aws.errors import QueryError
from smartcity.aws.main import main
from smartcity.aws.marts import register_marts
from smartcity.aws.saved import given_parameters, parameters, saved_names, saved_query
from smartcity.aws.settings import Settings

NOW = datetime(2026, 11, 28, 1, 30, tzinfo=UTC)
REQUIRED = {"device_id": "car-1", "since": "2026-11-21T08:00:00Z", "until": "2026-11-21T10:00:00Z"}


def test_defaults_are_reckoned_from_now() -> None:
    sql = saved_query("speed_by_route_and_hour", now=NOW)
    assert "dt BETWEEN '2026-11-22' AND '2026-11-28'" in sql
    sql = saved_query("speed_by_10_km", now=NOW)
    assert "dt = '2026-11-28'" in sql
    assert "route = 'waterloo-toronto'" in sql
    assert "from_iso8601_timestamp('2026-11-28T01:30:00.000Z')" in saved_query("slowest_kilometres", now=NOW)


def test_what_is_given_stands_in_their_place() -> None:
    given = {"route": "it's", "day": "2026-11-21"}
    sql = saved_query("speed_by_10_km", given, now=NOW)
    assert "route = 'it''s'" in sql
    assert "dt = '2026-11-21'" in sql
    sql = saved_query("slowest_kilometres", {"until": "2026-11-21T09:00+01:00"}, now=NOW)
    assert "from_iso8601_timestamp('2026-11-21T08:00:00.000Z')" in sql


def test_a_value_cannot_name_another_parameter() -> None:
    sql = saved_query("vehicle_track", REQUIRED | {"device_id": ":until"})
    assert "device_id = ':until'" in sql


MARKS = {"day": "2001-02-03", "moment": "2001-02-03T04:05:06.000Z", "text": "marked"}


@pytest.mark.parametrize("name", saved_names())
def test_every_parameter_is_used_and_replaced(name: str) -> None:
    known = parameters(name)
    sql = saved_query(name, {each.name: MARKS[each.kind] for each in known})
    statement = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    assert all(f"'{MARKS[each.kind]}'" in statement for each in known)
    assert ":" not in statement.replace(MARKS["moment"], "")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "device_id is missing .*--set device_id="),
        (REQUIRED | {"since": "yesterday"}, "since=yesterday is not a time, such as 2026-11-21T08:00:00Z"),
        (REQUIRED | {"speed": "3"}, "no parameter 'speed'; there are: device_id, since, until"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        saved_query("vehicle_track", given, now=NOW)


def test_wrong_days_and_pairs_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(QueryError, match="day=21 Nov is not a day"):
        saved_query("speed_by_10_km", {"day": "21 Nov"})
    with pytest.raises(QueryError, match="frames_per_camera has no parameter 'day'; there are: none"):
        saved_query("frames_per_camera", {"day": "2026-11-21"})
    with pytest.raises(QueryError, match="NAME=VALUE"):
        given_parameters(["day"])
    assert given_parameters(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    assert main(["query", "--saved", "vehicle_track", "--set", "device_id=car-1"]) == 1
    assert "since is missing" in capsys.readouterr().err


class Pages:
    """A paginator's answer."""

    def __init__(self, **page: Any) -> None:
        self._page = page

    def paginate(self, **_asked: Any) -> list[dict[str, Any]]:
        return [self._page]


class Store:
    """S3 with these keys, and a Glue that holds what was created."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys
        self.tables: dict[str, dict[str, Any]] = {}
        self.partitions: dict[str, list[dict[str, Any]]] = {}

    def get_paginator(self, action: str) -> Any:
        if action == "get_partitions":
            asked = self

            class Partitions:
                def paginate(self, *, TableName: str, **_: Any) -> list[dict[str, Any]]:  # noqa: N803 - boto3's name
                    return [{"Partitions": asked.partitions[TableName]}]

            return Partitions()
        return Pages(Contents=[{"Key": key} for key in self.keys])

    def get_table(self, *, DatabaseName: str, Name: str) -> None:  # noqa: N803 - boto3's names
        if Name not in self.tables:
            error = {"Error": {"Code": "EntityNotFoundException", "Message": DatabaseName}}
            raise botocore.exceptions.ClientError(error, "GetTable")

    def create_table(self, *, TableInput: dict[str, Any], **_: Any) -> None:  # noqa: N803 - boto3's name
        self.tables[TableInput["Name"]] = TableInput
        self.partitions[TableInput["Name"]] = []

    def batch_create_partition(self, *, TableName: str, PartitionInputList: list[Any], **_: Any) -> None:  # noqa: N803
        assert len(PartitionInputList) <= 100
        self.partitions[TableName] += PartitionInputList


def test_days_in_the_bucket_are_registered_once() -> None:
    days = [f"2026-{month:02d}-{day:02d}" for month in range(1, 13) for day in range(1, 11)]
    store = Store(*(f"marts/journeys/dt={day}/journeys.parquet" for day in days), "marts/journeys/README")
    settings = Settings(bucket="a-lake")
    assert set(register_marts(settings, s3=store, glue=store).values()) == {120}
    assert set(register_marts(settings, s3=store, glue=store).values()) == {0}
    found = {one["Values"][0]: one["StorageDescriptor"]["Location"] for one in store.partitions["journeys"]}
    assert found == {day: f"s3://a-lake/marts/journeys/dt={day}/" for day in days}
    assert store.tables["journeys"]["PartitionKeys"] == [{"Name": "dt", "Type": "string"}]


def test_a_mart_without_a_day_is_no_table_yet() -> None:
    store = Store()
    assert set(register_marts(Settings(), s3=store, glue=store).values()) == {0}
    assert store.tables == {}
