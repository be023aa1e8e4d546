"""A plan with every kind of fault, through the real Mosquitto, bridge, Kafka, Spark and lake.

What it did to which reading is what comes out at the other end, and the proof closes all the same.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from smartcity.local.counts import KafkaCounter
from smartcity.local.demo_drive import SIMULATOR
from smartcity.local.stack import Stack
from smartcity.local.verify.audit import Scope, audit
from smartcity.local.verify.generated import find_logs, select_boots
from smartcity.local.verify.lake import Lake, LakeAccess
from smartcity.local.verify.report import Report

pytestmark = [pytest.mark.end_to_end, pytest.mark.broker, pytest.mark.spark, pytest.mark.timeout(600)]

SIMULATED_S = 900
SPEED = 60
ARRIVAL_TIMEOUT_S = 120
PLAN = """
seed = 20261125

[[fault]]
kind = "offline"
devices = ["wt-veh-*", "wt-cam-*"]
every = "5m"
for = "90s"

[[fault]]
kind = "duplicate"
probability = 0.1

[[fault]]
kind = "reorder"
probability = 0.1

[[fault]]
kind = "clock_skew"
devices = "wt-wx-*"
probability = 0.5
skew_s = -86400

[[fault]]  # Nine years: ahead of any clock that this test may meet.
kind = "clock_skew"
devices = "lb-wx-*"
probability = 0.2
skew_s = 283_824_000

[[fault]]
kind = "gps_dropout"
every = "5m"
for = "40s"

[[fault]]
kind = "stuck_sensor"
from = "5m"
to = "6m"

[[fault]]
kind = "corrupt_sentence"
probability = 0.05

[[fault]]
kind = "oversize_frame"
probability = 0.1
"""
KINDS = {
    "offline", "duplicate", "reorder", "clock_skew",
    "gps_dropout", "stuck_sensor", "corrupt_sentence", "oversize_frame",
}  # fmt: skip

Id = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """What the shared drive left behind."""

    truth: dict[str, set[Id]]
    """Readings struck, by kind and stream: `gps_dropout gps`."""
    values: dict[Id, str]
    """What the sensor was stuck at, in hexadecimal, of the readings of which OBD's speed was."""
    late: set[Id]
    boots: frozenset[tuple[str, str]]
    report: Report
    lake: Lake
    arrived: int
    """Records that the drive brought to Kafka, dead letters included."""


@pytest.fixture(scope="module")
def drive(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Drive:
    plan = tmp_path_factory.mktemp("plan") / "plan.toml"
    plan.write_text(PLAN)
    addresses = stack.addresses()
    state = stack.layout.var / "sim" / "faults"
    command = [str(SIMULATOR), "run", "--broker", addresses.mqtt, "--state", str(state), "--faults", str(plan)]
    command += ["--seed", "7", "--start", "2026-03-02T12:00:00Z", "--speed", str(SPEED)]
    command += ["--duration", str(SIMULATED_S), "--drain-timeout-s", "90", "--quiet"]
    with KafkaCounter(addresses.kafka) as counter:
        before = sum(counter.look().values())
        subprocess.run(command, check=True, timeout=180)
        lake = Lake(LakeAccess.from_environment(stack.environment()))
        report = audit(lake, Scope(folders=(state,)), wait_s=ARRIVAL_TIMEOUT_S, progress=print)
        arrived = sum(counter.look().values()) - before
    truth, values, late = _ground_truth(state)
    boots = select_boots(find_logs([state]))
    return Drive(truth=truth, values=values, late=late, boots=boots, report=report, lake=lake, arrived=arrived)


def test_every_reading_is_accounted_for_and_the_reasons_are_those_of_the_plan(drive: Drive) -> None:
    report, truth = drive.report, drive.truth
    assert {key.split()[0] for key in truth} == KINDS
    assert report.settled, report.document()
    assert report.pending == report.dropped == report.unproven == 0
    assert report.balance()[0] == report.balance()[1]
    ahead = truth["clock_skew weather"] - drive.late
    assert report.dead_letters_by_reason == {
        "checksum_invalid": len(truth["corrupt_sentence gps"]),
        "event_time_ahead": len(ahead),
    }
    assert report.refused_by_reason == {"packet_too_large": len(truth["oversize_frame camera"])}
    assert report.dead_letters["weather"] == len(ahead)


def test_the_dead_letters_are_the_readings_that_were_struck(drive: Drive) -> None:
    letters = Counter(
        (row["device_id"], row["id"])
        for row in drive.lake.dead_letters(drive.boots).select(["device_id", "id"]).to_pylist()
    )
    struck = drive.truth["corrupt_sentence gps"] | (drive.truth["clock_skew weather"] - drive.late)
    assert set(letters) == struck


def test_without_a_fix_the_lake_shows_no_position(drive: Drive) -> None:
    rows = drive.lake.rows("gps", drive.boots).to_pylist()
    missing = {(row["device_id"], row["id"]) for row in rows if row["latitude"] is None}
    assert missing == drive.truth["gps_dropout gps"] - drive.truth["corrupt_sentence gps"]
    assert all(row["fix_quality"] == 0 for row in rows if row["latitude"] is None)


def test_a_stuck_sensor_repeats_its_value(drive: Drive) -> None:
    rows = drive.lake.rows("vehicle", drive.boots).to_pylist()
    speeds = {(row["device_id"], row["id"]): row["speed"] for row in rows}
    assert len(drive.values) > 50
    assert {one: int(text, 16) for one, text in drive.values.items()} == {one: speeds[one] for one in drive.values}


def test_late_readings_are_in_the_lake_on_their_day(drive: Drive) -> None:
    rows = drive.lake.rows("weather", drive.boots).to_pylist()
    yesterday = {(row["device_id"], row["id"]) for row in rows if row["timestamp"].day == 1}
    assert yesterday == drive.late
    assert drive.late


def test_duplicates_reached_kafka_and_not_the_lake(drive: Drive) -> None:
    report = drive.report
    twice = set().union(*(ids for key, ids in drive.truth.items() if key.startswith("duplicate")))
    twice -= drive.truth["oversize_frame camera"]
    assert drive.arrived >= sum(report.generated.values()) - report.refused + len(twice)
    assert report.duplicated == 0


def _ground_truth(state: Path) -> tuple[dict[str, set[Id]], dict[Id, str], set[Id]]:
    truth: dict[str, set[Id]] = {}
    values: dict[Id, str] = {}
    late: set[Id] = set()
    with sqlite3.connect(state / "outbox.db") as db:
        rows = db.execute(
            "SELECT device_id, boot, sequence, kind, stream, detail"
            " FROM faults JOIN log USING (device_id, boot, sequence)"
        ).fetchall()
    for device_id, boot, sequence, kind, stream, detail in rows:
        one = (device_id, f"{boot}.{sequence}")
        truth.setdefault(f"{kind} {stream}", set()).add(one)
        if kind == "stuck_sensor":
            values[one] = detail.rpartition(" ")[2]
        if kind == "clock_skew" and device_id.startswith("wt-"):
            late.add(one)
    return truth, values, late
