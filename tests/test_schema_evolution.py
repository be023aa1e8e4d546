"""A stack with data in it learns a new field: first the wrong way round (the bridge before the lake), then rightly.

`grown/sitecustomize.py` is the new contract; a service runs with it when its folder is in PYTHONPATH.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from confluent_kafka import Producer
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from smartcity.contracts.envelope import Envelope
from smartcity.contracts.streams import WEATHER
from smartcity.contracts.topics import reading_topic
from smartcity.local.environment import child_environment
from smartcity.local.services import Service
from smartcity.local.services.aws import AWS
from smartcity.local.services.bridge import BRIDGE
from smartcity.local.services.kafka import KAFKA
from smartcity.local.services.lake import LAKE
from smartcity.local.services.mosquitto import MOSQUITTO
from smartcity.local.services.s3 import S3
from smartcity.local.services.service import console_script
from smartcity.local.stack import Stack
from smartcity.local.verify.lake import Lake, LakeAccess

from .conftest import WEATHER_REPORT, link_jars, patient, wait_for

pytestmark = [pytest.mark.end_to_end, pytest.mark.broker, pytest.mark.spark, pytest.mark.timeout(1500)]

GROWN = {"PYTHONPATH": str(Path(__file__).with_name("grown"))}
RECORDED = Path(__file__).parents[1] / "contracts" / "released" / "readings-v1.jsonl"
BOOT = "00000000000000a1"
START = datetime(2026, 3, 5, 12, tzinfo=UTC)
TIMEOUT_S = 300


def grown(service: Service) -> Service:
    return dataclasses.replace(service, environment=lambda place: {**service.environment(place), **GROWN})


def services(*, bridge: Service = BRIDGE, lake: Service = LAKE) -> tuple[Service, ...]:
    return patient((S3, AWS, MOSQUITTO, KAFKA, bridge, lake))


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a running stack of the old contract."""
    var = tmp_path_factory.mktemp("evolution") / "var"
    for folder in var.parents[:3]:
        folder.chmod(folder.stat().st_mode | 0o111)
    link_jars(var)
    stack = Stack(var, services=services())
    try:
        stack.up(supervise=False, progress=print)
        yield var
    finally:
        stack.down(progress=print)


def publish(stack: Stack, sequence: int, **more: Any) -> None:
    """One weather report, as a device sends it."""
    time_of_it = START + timedelta(minutes=sequence)
    envelope = Envelope(
        boot=BOOT, sequence=sequence, device_id="wt-wx-01", event_type=WEATHER.event_type, time=time_of_it,
        sent_time=datetime.now(UTC),
    )  # fmt: skip
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = list(envelope.properties())
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    host, port = stack.place().address("mqtt").split(":")
    client.connect(host, int(port))
    client.loop_start()
    try:
        payload = json.dumps(WEATHER_REPORT | more).encode()
        client.publish(reading_topic("wt-wx-01", WEATHER), payload, qos=1, properties=properties).wait_for_publish(30)
    finally:
        client.disconnect()
        client.loop_stop()


def send_recorded(stack: Stack) -> int:
    """The records of the first release into Kafka; how many are weather."""
    producer = Producer({"bootstrap.servers": stack.place().address("kafka")})
    records = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    for record in records:
        value = record["value"].encode() if "value" in record else base64.b64decode(record["value_base64"])
        headers = [(name, text.encode()) for name, text in record["headers"]]
        producer.produce(record["topic"], value, record["key"].encode(), headers=headers)
    assert producer.flush(30) == 0
    return sum(record["topic"] == WEATHER.kafka_topic for record in records)


def rows(stack: Stack) -> dict[str, int]:
    return dict(Lake(LakeAccess.from_environment(stack.environment())).total_records())


def query(stack: Stack, sql: str) -> Any:
    done = subprocess.run(
        [console_script("smartcity"), "--var", str(stack.layout.var), "query", "--json", sql],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["rows"]


def test_a_running_system_learns_a_nullable_field(var: Path) -> None:
    old = Stack(var, services=services())
    publish(old, 1)
    wait_for(lambda: rows(old)["weather"] == 1, TIMEOUT_S, "the reading of before")

    # The wrong order. The lake keeps the reading, and cannot keep what it has never heard of.
    ahead = Stack(var, services=services(bridge=grown(BRIDGE)))
    ahead.up(supervise=False, progress=print)
    publish(ahead, 2, uv_index=5.5)
    wait_for(lambda: rows(ahead)["weather"] == 2, TIMEOUT_S, "the reading of a newer device")

    new = Stack(var, services=services(bridge=grown(BRIDGE), lake=grown(LAKE)))
    new.up(supervise=False, progress=print)
    recorded = send_recorded(new)
    publish(new, 3, uv_index=7.25)
    publish(new, 4)
    wait_for(lambda: rows(new)["weather"] == 4 + recorded, TIMEOUT_S, "the readings of afterwards")

    found = query(new, f"SELECT id, uv_index FROM weather WHERE id LIKE '{BOOT}.%' ORDER BY id")
    assert [row["uv_index"] for row in found] == [None, None, 7.25, None]
    assert query(new, "SELECT count(uv_index) AS n FROM weather")[0]["n"] == 1
    assert rows(new) | {"weather": 0} == {
        "gps": 2, "vehicle": 2, "camera": 1, "emergency": 2, "weather": 0, "dead_letters": 0
    }  # fmt: skip
    ran = re.findall(r"query (\S+) runs", new.layout.log("lake").read_text())
    assert len(ran) >= 2, ran
    assert len(set(ran)) == 1, "the lake went on with another query than before"


def test_marts_are_built_of_both(var: Path) -> None:
    stack = Stack(var, services=services(bridge=grown(BRIDGE), lake=grown(LAKE)))
    done = subprocess.run(
        [console_script("smartcity"), "--var", str(var), "lake", "marts", "--only", "city_hours", "--json"],
        env=child_environment({**stack.environment(), **GROWN}),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    assert {day["day"] for day in json.loads(done.stdout)} >= {"2026-03-05", "2026-03-02"}
