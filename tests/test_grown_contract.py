"""One nullable field later (`grown/sitecustomize.py`), without starting anything: bridge, tables and the comparison."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
GROWN = str(Path(__file__).with_name("grown"))
BRIDGE = """
import json, sys
from datetime import UTC, datetime
from smartcity.bridge.examine import examine
from smartcity.bridge.message import Message, Reception
from smartcity.bridge.route import Routes
from smartcity.bridge.stamp import read_stamp
from smartcity.contracts.envelope import Envelope

at = datetime(2026, 11, 28, 1, tzinfo=UTC)
pairs = Envelope(boot="00000000000000a1", sequence=1, device_id="wx", event_type="smartcity.weather.v1", time=at,
                 sent_time=at).properties()
text = lambda one: len(one.encode()).to_bytes(2) + one.encode()
wire = b"".join(b"\\x26" + text(name) + text(value) for name, value in pairs)
route = Routes().find(b"devices/wx/weather")
for stamp in (read_stamp(wire, route.claimed), None):  # The short way and the thorough one.
    record = examine(Message(route=route, payload=sys.argv[1].encode(), property_bytes=wire, stamp=stamp, qos=1,
                             retain=False, packet_id=1, epoch=1, reception=Reception.of(at)), lambda: "")
    print(record.value.decode() if record.reason is None else json.dumps({"refused": str(record.headers)}))
"""
TABLE = """
import json
from smartcity.contracts.render.spark import SQL_TYPES
from smartcity.lake.tables import STREAM_TABLES, missing_columns
table = next(table for table in STREAM_TABLES if table.name == "weather")
before = {column.name: SQL_TYPES[column.kind].lower() for column in table.columns if column.name != "uv_index"}
print(json.dumps([column.name for column in missing_columns(table, before)]))
"""
REPORT = {
    "latitude": 43.5, "longitude": -79.8, "temperature": 12.5, "condition": "clear", "precipitation": 0.0,
    "wind_speed": 9.0, "humidity": 50.0, "air_quality_index": 20.0,
}  # fmt: skip


def run(program: str, *arguments: str, grown: bool) -> list[Any]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment | ({"PYTHONPATH": GROWN} if grown else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_older_bridge_keeps_the_reading_of_a_newer_device_without_the_new_field() -> None:
    short, thorough = run(BRIDGE, json.dumps(REPORT | {"uv_index": 7.25}), grown=False)
    assert short == thorough
    assert short["temperature"] == 12.5
    assert "uv_index" not in short


def test_a_newer_bridge_passes_the_new_field_on_and_takes_readings_without_it() -> None:
    assert [one["uv_index"] for one in run(BRIDGE, json.dumps(REPORT | {"uv_index": 7.25}), grown=True)] == [7.25] * 2
    assert [one["uv_index"] for one in run(BRIDGE, json.dumps(REPORT), grown=True)] == [None] * 2
    assert all("uv_index" in one["refused"] for one in run(BRIDGE, json.dumps(REPORT | {"uv_index": 99.0}), grown=True))


def test_a_newer_lake_adds_the_column_to_the_table_of_before() -> None:
    assert run(TABLE, grown=True) == [["uv_index"]]
    assert run(TABLE, grown=False) == [[]]


def test_growth_is_not_a_break() -> None:
    check = "from smartcity.contracts.released import main; print(main(['--check', '--root', 'ROOT']))"
    assert run(check.replace("ROOT", str(ROOT)), grown=True) == [0]
