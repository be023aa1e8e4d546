"""A Kafka dies, and another cluster comes up on its port while the bridge lives: what the bridge must not confirm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from smartcity.local import process
from smartcity.local.services.kafka import formatted_cluster_id, record_counts
from smartcity.local.stack import Stack

from .conftest import link_jars, wait_for

pytestmark = [pytest.mark.end_to_end, pytest.mark.broker]
TIMEOUT_S = 90


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    var = tmp_path_factory.mktemp("other-kafka") / "var"
    for folder in var.parents[:3]:
        folder.chmod(folder.stat().st_mode | 0o111)
    link_jars(var)
    stack = Stack(var)
    try:
        stack.up(only=["bridge"], supervise=False, progress=print)
        yield stack
    finally:
        stack.down(progress=print)


def bridge_log(stack: Stack) -> str:
    return stack.layout.log("bridge").read_text()


def test_a_bridge_ends_when_another_cluster_takes_its_kafkas_port(stack: Stack) -> None:
    ours = formatted_cluster_id(stack.place())
    assert ours is not None
    kept: Path = stack.layout.data("kafka").with_name("kafka-of-before")
    process.stop(var=stack.layout.var, service="kafka", timeout_s=20)
    stack.layout.data("kafka").rename(kept)
    publish(stack)
    bridge = process.read_record(stack.layout.run, "bridge")
    stack.up(only=["kafka"], supervise=False, progress=print)
    other = formatted_cluster_id(stack.place())
    assert other not in (None, ours)
    wait_for(lambda: process.find(bridge) is None, TIMEOUT_S, "the bridge to end")
    assert f"the Kafka cluster {other} answers, not {ours}" in bridge_log(stack)
    assert "Traceback" not in bridge_log(stack)

    # Its own Kafka again: the reading that nobody confirmed is still at the gateway, and arrives.
    process.stop(var=stack.layout.var, service="kafka", timeout_s=20)
    stack.layout.data("kafka").rename(kept.with_name("kafka-of-another"))
    kept.rename(stack.layout.data("kafka"))
    stack.up(only=["bridge"], supervise=False, progress=print)
    wait_for(
        lambda: record_counts(stack.place().address("kafka")).get("dead_letters"), TIMEOUT_S, "the message of before"
    )


def publish(stack: Stack) -> None:
    """Something that becomes a dead letter, acknowledged by the gateway while no Kafka is there."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    host, port = stack.place().address("mqtt").split(":")
    client.connect(host, int(port))
    client.loop_start()
    client.publish("devices/by-hand/gps", b"no NMEA", qos=1).wait_for_publish(20)
    client.disconnect()
    client.loop_stop()
