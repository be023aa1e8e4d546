"""`smartcity status`: what runs, where it listens, what it uses and holds."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smartcity.lake.describe import describe
from smartcity.lake.errors import LakeError
from smartcity.lake.settings import read_storage

from ..environment import BUCKET
from ..lake_progress import describe_progress, fetch, progress_of
from ..reach import at_lake
from ..services.kafka import counts_of, watermarks
from ..stack import Stack, Status


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("status", help="show what runs, where, and what it holds")
    parser.epilog = "example: smartcity status --json"
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(flags: argparse.Namespace) -> int:
    """Exit code 0 where everything is up, 1 otherwise. A lake that is behind is up."""
    stack = Stack(flags.var)
    statuses = stack.statuses()
    up = {status.name for status in statuses if status.state == "up"}
    place = stack.place()
    # The driver is asked before Kafka, so that its offsets are not ahead of Kafka's ends.
    told = fetch(place.url("lake_http")) if "lake" in up else None
    found = watermarks(place.address("kafka")) if "kafka" in up else {}
    counts = counts_of(found)
    ends = {topic: {number: end for number, (_, end) in partitions.items()} for topic, partitions in found.items()}
    progress = progress_of(told, ends, now=time.time()) if told else None
    rows = rows_by_table(stack) if {"aws", "s3"} <= up else {}
    if flags.json:
        services = [asdict(status) for status in statuses]
        lake = {**progress.document(), "rows": rows} if progress else None
        document = {"var": flags.var, "services": services, "kafka_records": counts, "lake": lake}
        print(json.dumps(document, indent=2, default=str))
    else:
        lines = render(statuses, counts, flags.var, now=time.time())
        print("\n".join([*lines, *describe_progress(progress, rows)]))
    return 0 if all(status.state == "up" for status in statuses) else 1


def rows_by_table(stack: Stack) -> dict[str, int]:
    """As the tables' newest snapshots say; empty where they cannot be read."""
    with at_lake(stack):
        try:
            return {one.table: one.rows for one in describe(read_storage(BUCKET)) if one.exists}
        except LakeError:
            return {}


def render(statuses: list[Status], counts: dict[str, int], var: Path, *, now: float) -> list[str]:
    """The table as lines. `now` is seconds since 1970; paths under `var` are shown relative to it."""
    lines = [f"{'service':<15}{'state':<11}{'pid':>7}  {'memory':>8}  {'since':>9}  {'ports':<14}{'log':<22}data"]
    for status in statuses:
        memory = f"{status.rss_bytes / 1e6:.0f} MB" if status.rss_bytes else "-"
        since = f"{now - status.started_at:.0f} s" if status.started_at else "-"
        ports = ",".join(map(str, status.ports.values())) or "-"
        log = str(status.log.relative_to(var)) if status.log.is_relative_to(var) else str(status.log)
        data = str(status.data.relative_to(var)) if status.data and status.data.is_relative_to(var) else "-"
        line = (
            f"{status.name:<15}{status.state:<11}{status.pid or '-':>7}  {memory:>8}  {since:>9}  {ports:<14}{log:<22}"
        )
        lines.append(line + data)
        if status.detail:
            lines.append(f"{'':<15}{status.detail}")
    lines.append(f"folder: {var}")
    if counts:
        lines.append("records in Kafka: " + ", ".join(f"{topic} {count}" for topic, count in counts.items()))
    return lines
