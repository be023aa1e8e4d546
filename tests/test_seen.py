"""What the running lake tells about itself is what Kafka and the tables hold."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from smartcity.contracts.marts import MARTS
from smartcity.local.demo_drive import SIMULATOR
from smartcity.local.environment import child_environment
from smartcity.local.services.kafka import watermarks
from smartcity.local.services.service import console_script
from smartcity.local.stack import Stack

from .conftest import wait_for

pytestmark = [pytest.mark.end_to_end, pytest.mark.broker, pytest.mark.spark, pytest.mark.timeout(900)]

CAUGHT_UP_WITHIN_S = 180
MARTS_WITHIN_S = 400
"""The first marts are built four minutes after the start, later ones every five; a run takes half a minute."""

Samples = dict[str, dict[tuple[str, ...], float]]
"""By metric, and the values of its labels."""


def scrape(stack: Stack) -> Samples:
    with urllib.request.urlopen(f"{stack.addresses().lake_http}/metrics") as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    found: Samples = {}
    for family in families:
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in sorted(sample.labels, reverse=True))  # topic, then partition
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def command(stack: Stack, *arguments: str) -> dict[str, Any]:
    """What a command of `smartcity` at this stack prints as JSON."""
    whole = [console_script("smartcity"), "--var", str(stack.layout.var), *arguments]
    done = subprocess.run(whole, capture_output=True, text=True, check=False, env=child_environment({}), timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture
def drive(stack: Stack) -> None:
    """Ten simulated minutes, all of them in Kafka."""
    state: Path = stack.layout.var / "sim" / "seen"
    run = [str(SIMULATOR), "run", "--broker", stack.addresses().mqtt, "--state", str(state), "--seed", "12"]
    run += [
        "--start",
        "2026-03-06T12:00:00Z",
        "--speed",
        "30",
        "--duration",
        "600",
        "--drain-timeout-s",
        "120",
        "--quiet",
    ]
    subprocess.run(run, check=True, timeout=300, stdout=subprocess.DEVNULL)


@pytest.mark.usefixtures("drive")
def test_metrics_status_and_description_agree_with_kafka_and_the_tables(stack: Stack) -> None:
    ends = {
        (topic, str(number)): float(end)
        for topic, partitions in watermarks(stack.addresses().kafka).items()
        for number, (_, end) in partitions.items()
    }
    wait_for(lambda: scrape(stack).get("lake_read_offset") == ends, CAUGHT_UP_WITHIN_S, "the lake to have read all")
    seen = scrape(stack)
    assert seen["lake_lag_records"] == dict.fromkeys(ends, 0.0)
    assert seen["lake_query_running"][()] == 1
    assert seen["lake_batch_seconds_count"][()] == seen["lake_batches_total"][()]
    assert (
        0
        < seen["lake_last_batch_part_seconds"]["addBatch",]
        < seen["lake_last_batch_part_seconds"]["triggerExecution",]
    )
    assert {("addBatch",), ("queryPlanning",), ("walCommit",)} <= seen["lake_last_batch_part_seconds"].keys()

    told = command(stack, "status", "--json")["lake"]
    assert told["lag"]["records"] == 0
    assert told["behind"] is None
    assert told["batch"]["records"] >= sum(told["batch"]["rows"].values()) > 0
    described = command(stack, "lake", "describe", "--json")["tables"]
    assert {one["table"]: one["rows"] for one in described} == told["rows"]
    assert all(told["rows"][table] > 0 for table in ("gps", "vehicle", "camera", "weather"))
    gps = next(one for one in described if one["table"] == "gps")
    assert gps["days"]["first"] <= "2026-03-06" <= gps["days"]["last"]
    assert gps["delete_files"] == 0


@pytest.mark.usefixtures("drive")
def test_the_stack_builds_the_marts_by_itself(stack: Stack) -> None:
    def built() -> bool:
        marts = command(stack, "lake", "describe", "--json")["marts"]
        assert [one["mart"] for one in marts] == [mart.name for mart in MARTS]
        return all(one["bytes"] > 0 for one in marts if one["mart"] != "incident_response")

    wait_for(built, MARTS_WITHIN_S, "all marts to be built", poll_s=10)
