"""The monthly estimate: each line follows its assumptions, and what is not there costs nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from smartcity.aws.costs import Assumptions, Prices, estimate, most_of_redshift
from smartcity.aws.parameters import effective
from smartcity.aws.stack_text import costs_text

DOCS = Path(__file__).parents[3] / "docs"
VIEWER = "arn:aws:quicksight:us-east-1:123456789012:group/default/city"
EVERYTHING = {"CreateRedshift": "true", "CreateSparkApplication": "true", "DashboardPrincipalArn": VIEWER}


def _lines(given: dict[str, str] | None = None, **use: float) -> dict[str, float]:
    values = effective({} if given is None else given, None)
    return {each.what: each.dollars for each in estimate(values, Assumptions(**use))}  # type: ignore[arg-type]


def test_what_is_not_made_costs_nothing() -> None:
    assert set(_lines()) == {"S3 storage", "S3 requests", "Athena", "Glue crawler"}
    assert set(_lines(EVERYTHING)) - set(_lines()) == {
        "EMR Serverless",
        "Redshift Serverless",
        "Redshift storage",
        "Redshift's password",
        "QuickSight users",
        "Athena for the dashboard",
    }


def test_amounts_by_hand() -> None:
    lines = _lines(EVERYTHING, vehicles=1000, scanned_gb=2000, redshift_hours_per_day=0.5, crawls_per_day=24)
    assert lines["Athena"] == pytest.approx(10.0)
    assert lines["Glue crawler"] == pytest.approx(24 * 365 / 12 / 6 * 2 * 0.44)
    assert lines["Redshift Serverless"] == pytest.approx(8 * 0.5 * 365 / 12 * 0.375)
    assert lines["EMR Serverless"] == pytest.approx(730 * (4 * 0.052624 + 16 * 0.0057785))
    assert lines["QuickSight users"] == pytest.approx(24 + 4 * 3)
    assert lines["Athena for the dashboard"] == pytest.approx(20 * 365 / 12 * 30 * 1e-5 * 5)
    assert lines["S3 storage"] == pytest.approx(1000 * (2 * 87 + 0.001 * 30_045) * 730 * 3600 / 1e9 * 0.023)


def test_redshift_costs_no_more_than_its_limit() -> None:
    most = most_of_redshift(effective(EVERYTHING, None))
    assert most == pytest.approx(8 * 365 / 12 * 0.375)
    assert _lines(EVERYTHING, redshift_hours_per_day=24)["Redshift Serverless"] == pytest.approx(most)


def test_more_vehicles_ask_for_more_spark_up_to_its_maximum() -> None:
    few, many = _lines(EVERYTHING, vehicles=10), _lines(EVERYTHING, vehicles=10_000)
    assert many["EMR Serverless"] == pytest.approx(2 * few["EMR Serverless"])
    capped = _lines({**EVERYTHING, "SparkVcpuMax": "4"}, vehicles=10_000)
    assert capped["EMR Serverless"] == pytest.approx(few["EMR Serverless"])


def test_requests_are_those_that_were_counted() -> None:
    counted = json.loads((DOCS / "measured" / "s3-requests.json").read_text(encoding="utf-8"))
    batch, use = counted["per_batch"], Assumptions()
    assert batch.keys() == {"PUT", "LIST", "GET", "HEAD", "DELETE"}
    assert use.puts_per_batch == batch["PUT"] + batch["LIST"]
    assert use.gets_per_batch == batch["GET"] + batch["HEAD"]
    assert counted["puts_per_frame"] == 1
    lines = _lines(vehicles=0)
    month = 365 / 12 * 86_400 / 10
    assert lines["S3 requests"] == pytest.approx(month * (42 * 0.005 + 64 * 0.0004) / 1000)


@pytest.mark.parametrize("price", [field.name for field in dataclasses.fields(Prices)])
def test_every_price_counts(price: str) -> None:
    values = effective(EVERYTHING, None)
    dearer = dataclasses.replace(Prices(), **{price: 2 * getattr(Prices(), price)})
    assert sum(each.dollars for each in estimate(values, prices=dearer)) > sum(
        each.dollars for each in estimate(values)
    )


def test_the_page_shows_what_plan_says() -> None:
    page = (DOCS / "aws.md").read_text(encoding="utf-8")
    shown = page.split("<!-- costs -->\n")[1].split("\n<!-- /costs -->")[0]
    said = costs_text(estimate(effective(EVERYTHING, None)), Assumptions(), "us-east-1")
    assert shown == "\n".join(f"    {line}" for line in said.splitlines())
