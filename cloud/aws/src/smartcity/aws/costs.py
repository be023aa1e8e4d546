"""What a stack costs in a month, by assumptions and list prices that stand here. An estimate, no offer.

Prices: US dollars, us-east-1, on demand, list prices as remembered in November 2026 from the pages under
aws.amazon.com that each names; they were not looked up, so check before use. Other regions differ, most by -5 to +40 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

PRICES_OF = "list prices of us-east-1 as remembered in November 2026: check before use"
DAYS = 365 / 12
SECONDS = DAYS * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars."""

    s3_gb_month: float = 0.023
    """/s3/pricing, Standard, first 50 TB."""
    s3_put_1000: float = 0.005
    """/s3/pricing: PUT, COPY, POST, LIST."""
    s3_get_1000: float = 0.0004
    """/s3/pricing: GET and all others."""
    athena_tb: float = 5.0
    """/athena/pricing: scanned by SQL."""
    glue_dpu_h: float = 0.44
    """/glue/pricing: crawlers, by the second, ten minutes at least."""
    redshift_rpu_h: float = 0.375
    """/redshift/pricing: Serverless, by the second, a minute at least."""
    redshift_gb_month: float = 0.024
    """/redshift/pricing: managed storage."""
    emr_vcpu_h: float = 0.052624
    """/emr/pricing: Serverless, x86."""
    emr_gb_h: float = 0.0057785
    """/emr/pricing: Serverless, x86."""
    secret_month: float = 0.40
    """/secrets-manager/pricing."""
    quicksight_author_month: float = 24.0
    """/quicksight/pricing: Enterprise edition, by the month."""
    quicksight_reader_month: float = 3.0
    """/quicksight/pricing: Enterprise edition, by the month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Use of the stack. The first four are options of `smartcity-aws plan`."""

    vehicles: int = 20
    scanned_gb: float = 100.0
    """By Athena, in a month."""
    redshift_hours_per_day: float = 1.0
    """In which Redshift works, at its base capacity."""
    crawls_per_day: float = 1.0
    warehouse_gb: float = 1.0
    """The marts in Redshift."""
    readings_per_vehicle_s: float = 2.0
    """One gps, one obd; roadside devices add less than a hundredth."""
    frames_per_vehicle_s: float = 0.001
    """docs/scale.md: a camera per 100 vehicles, a frame in ten seconds."""
    frame_bytes: int = 30_045
    lake_bytes_per_reading: int = 87
    """docs/scale.md."""
    batch_s: float = 10.0
    puts_per_batch: float = 42.0
    """PUT and LIST of a batch into five tables, counted: docs/measured/s3-requests.json."""
    gets_per_batch: float = 64.0
    """GET and HEAD, from there. DELETE costs nothing."""
    crawl_dpu: float = 2.0
    crawl_hours: float = 1 / 6
    """The least that Glue charges."""
    readings_per_core_s: float = 3_975.0
    """docs/scale.md: 7,950 records per CPU-second at half of a core's use."""
    driver_vcpu: int = 2
    executor_vcpu: int = 2
    """The least: more as the readings ask for it."""
    memory_gb_per_vcpu: float = 4.0
    dashboard_authors: int = 1
    """The least that a QuickSight account has."""
    dashboard_readers: int = 4
    dashboard_openings_per_day: float = 20.0
    dashboard_queries: float = 30.0
    """Each visual that is looked at asks once, and again after each change of a filter."""
    dashboard_query_mb: float = 10.0
    """The least that Athena charges; the marts' days are smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One line: what, dollars a month, and from what it was reckoned."""

    what: str
    dollars: float
    basis: str


def estimate(
    values: Mapping[str, str], assumptions: Assumptions | None = None, prices: Prices | None = None
) -> tuple[Cost, ...]:
    """Lines for a stack of these parameters, in the month in which thirty days lie in the lake."""
    use, price = assumptions or Assumptions(), prices or Prices()
    lines = [*_storage(use, price), _athena(use, price), _crawler(use, price)]
    if values.get("CreateSparkApplication") == "true":
        lines.append(_spark(values, use, price))
    if values.get("CreateRedshift") == "true":
        lines += _redshift(values, use, price)
    if values.get("DashboardPrincipalArn"):
        lines += _quicksight(use, price)
    return tuple(lines)


def most_of_redshift(values: Mapping[str, str], prices: Prices | None = None) -> float:
    """Dollars a month at which the usage limit stops Redshift's queries."""
    return float(values["RedshiftRpuHoursPerDay"]) * DAYS * (prices or Prices()).redshift_rpu_h


def _storage(use: Assumptions, price: Prices) -> list[Cost]:
    per_s = use.readings_per_vehicle_s * use.lake_bytes_per_reading + use.frames_per_vehicle_s * use.frame_bytes
    stored_gb = use.vehicles * per_s * SECONDS / 1e9
    batches = SECONDS / use.batch_s
    puts = batches * use.puts_per_batch + use.vehicles * use.frames_per_vehicle_s * SECONDS
    gets = batches * use.gets_per_batch
    return [
        Cost(
            what="S3 storage",
            dollars=stored_gb * price.s3_gb_month,
            basis=f"{stored_gb:,.1f} GB after a month of {use.vehicles:,} vehicles",
        ),
        Cost(
            what="S3 requests",
            dollars=puts / 1000 * price.s3_put_1000 + gets / 1000 * price.s3_get_1000,
            basis=f"{puts / 1e6:,.1f} million PUT, {gets / 1e6:,.1f} million GET, a batch in {use.batch_s:g} s",
        ),
    ]


def _athena(use: Assumptions, price: Prices) -> Cost:
    return Cost(what="Athena", dollars=use.scanned_gb / 1000 * price.athena_tb, basis=f"{use.scanned_gb:,g} GB scanned")


def _crawler(use: Assumptions, price: Prices) -> Cost:
    return Cost(
        what="Glue crawler",
        dollars=use.crawls_per_day * DAYS * use.crawl_hours * use.crawl_dpu * price.glue_dpu_h,
        basis=f"{use.crawls_per_day:g} runs a day of ten minutes, {use.crawl_dpu:g} DPU",
    )


def _spark(values: Mapping[str, str], use: Assumptions, price: Prices) -> Cost:
    readings = use.vehicles * use.readings_per_vehicle_s
    needed = use.driver_vcpu + max(use.executor_vcpu, math.ceil(readings / use.readings_per_core_s))
    vcpu = min(needed, int(values["SparkVcpuMax"]))
    memory = min(vcpu * use.memory_gb_per_vcpu, float(values["SparkMemoryGbMax"]))
    short = f"; {needed} are needed, SparkVcpuMax forbids it" if needed > vcpu else ""
    return Cost(
        what="EMR Serverless",
        dollars=SECONDS / 3600 * (vcpu * price.emr_vcpu_h + memory * price.emr_gb_h),
        basis=f"{vcpu} vCPU and {memory:g} GB, the job running all month{short}",
    )


def _redshift(values: Mapping[str, str], use: Assumptions, price: Prices) -> list[Cost]:
    capacity, limit = int(values["RedshiftBaseCapacity"]), float(values["RedshiftRpuHoursPerDay"])
    rpu_hours = min(capacity * use.redshift_hours_per_day, limit)
    return [
        Cost(
            what="Redshift Serverless",
            dollars=rpu_hours * DAYS * price.redshift_rpu_h,
            basis=f"{rpu_hours:g} RPU-hours a day ({capacity} RPU, {use.redshift_hours_per_day:g} h), "
            f"at most {limit:g}: {most_of_redshift(values, price):,.0f} dollars",
        ),
        Cost(
            what="Redshift storage",
            dollars=use.warehouse_gb * price.redshift_gb_month,
            basis=f"{use.warehouse_gb:g} GB of marts",
        ),
        Cost(what="Redshift's password", dollars=price.secret_month, basis="one secret"),
    ]


def _quicksight(use: Assumptions, price: Prices) -> list[Cost]:
    queries = use.dashboard_openings_per_day * DAYS * use.dashboard_queries
    authors, readers = use.dashboard_authors, use.dashboard_readers
    return [
        Cost(
            what="QuickSight users",
            dollars=authors * price.quicksight_author_month + readers * price.quicksight_reader_month,
            basis=f"{authors} author, {readers} readers",
        ),
        Cost(
            what="Athena for the dashboard",
            dollars=queries * use.dashboard_query_mb / 1e6 * price.athena_tb,
            basis=f"{queries:,.0f} queries of {use.dashboard_query_mb:g} MB",
        ),
    ]
