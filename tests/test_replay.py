"""A capture replayed through the whole stack: the lake keeps each reading once, however often it is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from smartcity.contracts import mqtt
from smartcity.contracts.envelope import read_envelope
from smartcity.contracts.streams import STREAMS
from smartcity.contracts.topics import stream_of_topic
from smartcity.edge.capture import detect
from smartcity.edge.capture.detect import ReadOptions
from smartcity.edge.capture.message import Findings
from smartcity.local.counts import KafkaCounter
from smartcity.local.stack import Stack
from smartcity.local.verify.lake import Lake, LakeAccess

from .conftest import wait_for

pytestmark = [pytest.mark.end_to_end, pytest.mark.broker, pytest.mark.spark, pytest.mark.timeout(600)]

FIXTURE = Path(__file__).resolve().parents[1] / "edge" / "fixtures" / "drive.mcap"
READINGS_MIN = 150


def test_a_capture_replayed_twice_is_once_in_the_lake(stack: Stack) -> None:
    wanted = readings()
    assert sum(map(len, wanted.values())) >= READINGS_MIN
    lake = Lake(LakeAccess.from_environment(stack.environment()))
    before = records(stack)
    reports = [replay(stack, FIXTURE) for _ in range(2)]
    assert [report["messages"] for report in reports] == [sum(map(len, wanted.values()))] * 2
    assert reports[0]["left_out"]["status messages"] > 0
    wait_for(lambda: records(stack) >= before + 2 * reports[0]["messages"], 60, "Kafka to have both")
    # A batch reads all topics up to their ends: when this dead letter is in the lake, both replays were read.
    letters = lake.total_records()["dead_letters"]
    host, port = stack.addresses().mqtt.split(":")
    command = [
        "mosquitto_pub",
        "-h",
        host,
        "-p",
        port,
        "-q",
        "1",
        "-t",
        "devices/by-hand/obd",
        "-m",
        "the replays end here",
    ]
    subprocess.run(command, check=True, timeout=30)
    wait_for(lambda: lake.total_records()["dead_letters"] > letters, 120, "the lake to have read both")
    assert rows(lake) == {name: Counter(dict.fromkeys(ids, 1)) for name, ids in wanted.items()}


def readings() -> dict[str, set[tuple[str, str]]]:
    """Device and id of each reading in the capture, by stream."""
    found: dict[str, set[tuple[str, str]]] = {stream.name: set() for stream in STREAMS}
    for message in detect.read(FIXTURE, Findings(strict=True), ReadOptions()):
        target = stream_of_topic(message.topic)
        envelope = read_envelope(mqtt.user_properties(message.properties))
        if target is not None and envelope is not None:
            found[target[1].name].add((envelope.device_id, envelope.id))
    return found


def rows(lake: Lake) -> dict[str, Counter[tuple[str, str]]]:
    """How often each id stands in each table."""
    found: dict[str, Counter[tuple[str, str]]] = {}
    for stream in STREAMS:
        batches = lake.batches(stream.table, ("device_id", "id"), None)
        found[stream.name] = Counter((row["device_id"], row["id"]) for batch in batches for row in batch.to_pylist())
    boots = {id_.partition(".")[0] for ids in readings().values() for _, id_ in ids}
    return {
        name: Counter({key: count for key, count in counts.items() if key[1].partition(".")[0] in boots})
        for name, counts in found.items()
    }


def replay(stack: Stack, path: Path) -> dict[str, object]:
    command = [sys.executable, "-m", "smartcity.edge.main", "replay", str(path), "--speed", "20", "--json"]
    done = subprocess.run(
        [*command, "--broker", stack.addresses().mqtt], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


def records(stack: Stack) -> int:
    """Records in Kafka."""
    with KafkaCounter(stack.addresses().kafka) as counter:
        return sum(counter.look().values())
