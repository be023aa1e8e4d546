"""A crawl that is started, followed, and told of; and what is said where it does not succeed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from smartcity.aws.crawl import crawl, marts_crawler
from smartcity.aws.errors import CrawlError
from smartcity.aws.settings import Settings

SETTINGS = Settings(bucket="a-lake", region="ca-central-1", stack="city")
NAME = "city-marts"
OLD, NEW = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def glue() -> Any:
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    return boto3.client("glue", region_name="ca-central-1", **keys)


@pytest.fixture
def stub(glue: Any) -> Iterator[Stubber]:
    with Stubber(glue) as stub:
        yield stub
        stub.assert_no_pending_responses()


def shows(stub: Stubber, state: str, began: datetime | None, **last: str) -> None:
    crawler: dict[str, Any] = {"Name": NAME, "State": state}
    if began is not None:
        crawler["LastCrawl"] = {"Status": "SUCCEEDED", "StartTime": began, **last}
    stub.add_response("get_crawler", {"Crawler": crawler}, {"Name": NAME})


def run(glue: Any, said: list[str], **more: Any) -> str:
    return crawl(SETTINGS, marts_crawler(SETTINGS), said.append, glue=glue, sleep=lambda _: None, **more)


def test_it_is_followed_until_this_crawl_has_ended(glue: Any, stub: Stubber) -> None:
    shows(stub, "READY", OLD)
    stub.add_response("start_crawler", {}, {"Name": NAME})
    for state, began in (("READY", OLD), ("RUNNING", OLD), ("RUNNING", OLD), ("STOPPING", NEW), ("READY", NEW)):
        shows(stub, state, began)
    counts = {"TablesCreated": 0, "TablesUpdated": 6, "TablesDeleted": 0}
    stub.add_response("get_crawler_metrics", {"CrawlerMetricsList": [counts]}, {"CrawlerNameList": [NAME]})
    said: list[str] = []
    assert run(glue, said) == "city-marts: succeeded; tables: 0 created, 6 updated, 0 deleted"
    assert [line.split(": ")[1] for line in said] == ["READY", "RUNNING", "STOPPING", "READY"]


def test_one_that_runs_is_followed_and_its_reason_told(glue: Any, stub: Stubber) -> None:
    shows(stub, "RUNNING", None)
    stub.add_client_error("start_crawler", "CrawlerRunningException")
    shows(stub, "READY", NEW, Status="FAILED", ErrorMessage="the bucket is gone")
    said: list[str] = []
    with pytest.raises(CrawlError, match="city-marts ended FAILED: the bucket is gone"):
        run(glue, said)
    assert said[0] == "city-marts is running already"


def test_a_crawler_that_is_not_there_names_the_remedy(glue: Any, stub: Stubber) -> None:
    stub.add_client_error("get_crawler", "EntityNotFoundException")
    with pytest.raises(CrawlError, match="no crawler city-marts: `smartcity-aws deploy`"):
        run(glue, [])


def test_one_that_does_not_end_is_left_to_aws(glue: Any, stub: Stubber) -> None:
    shows(stub, "READY", None)
    stub.add_response("start_crawler", {}, {"Name": NAME})
    shows(stub, "RUNNING", None)
    moments = iter([0.0, 1.0, 11.0])
    with pytest.raises(CrawlError, match="still RUNNING after 10 s"):
        run(glue, [], timeout_s=10, clock=lambda: next(moments))
