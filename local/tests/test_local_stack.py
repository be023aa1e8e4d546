"""A small stack of real services: started, killed, revived by the supervisor, stopped; its data kept throughout."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import paho.mqtt.publish as mqtt_publish
import paho.mqtt.subscribe as mqtt_subscribe
import pytest
from confluent_kafka import Producer

from smartcity.local import process
from smartcity.local.errors import ServiceError
from smartcity.local.ports import choose
from smartcity.local.services import Place, Service
from smartcity.local.services.kafka import record_counts
from smartcity.local.stack import SUPERVISOR, Stack, Status

pytestmark = pytest.mark.broker
NAMES = ("s3", "mosquitto", "kafka")
RETAINED = "devices/v1/status"


def wait_for(condition: Callable[[], object], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.1)


def states(stack: Stack) -> dict[str, Status]:
    return {status.name: status for status in stack.statuses()}


def client(stack: Stack):  # type: ignore[no-untyped-def]
    """An S3 client of the stack's endpoint."""
    return boto3.client(
        "s3",
        endpoint_url=stack.place().url("s3"),
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def write_data(stack: Stack) -> None:
    """One object, one Kafka record, one retained MQTT message."""
    client(stack).create_bucket(Bucket="kept")
    client(stack).put_object(Bucket="kept", Key="a", Body=b"object")
    producer = Producer({"bootstrap.servers": stack.place().address("kafka")})
    producer.produce("gps_data", b"record")
    assert producer.flush(20) == 0
    port = stack.place().ports["mqtt"]
    mqtt_publish.single(RETAINED, b"online", qos=1, retain=True, hostname="127.0.0.1", port=port)


def stored(stack: Stack) -> tuple[bytes, int]:
    body: bytes = client(stack).get_object(Bucket="kept", Key="a")["Body"].read()
    return body, record_counts(stack.place().address("kafka"))["gps_data"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMARTCITY_PORT_BASE", "21550")
        try:
            stack.up(only=NAMES)
            write_data(stack)
            yield stack
        finally:
            stack.down()


def test_up_starts_what_was_asked_for_and_a_second_up_leaves_it_alone(stack: Stack) -> None:
    before = states(stack)
    assert {name for name, status in before.items() if status.state == "up"} == {*NAMES, SUPERVISOR}
    stack.up(only=NAMES)
    assert {name: status.pid for name, status in states(stack).items()} == {
        name: status.pid for name, status in before.items()
    }


def test_killed_services_come_back_on_their_ports_with_their_data(stack: Stack) -> None:
    before = states(stack)
    for name in NAMES:
        pid = before[name].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    wait_for(
        lambda: all(states(stack)[name].state == "up" and states(stack)[name].pid != before[name].pid for name in NAMES)
    )
    assert {name: states(stack)[name].ports for name in NAMES} == {name: before[name].ports for name in NAMES}
    assert stored(stack) == (b"object", 1)


def test_a_killed_supervisor_leaves_the_services_running_and_up_heals(stack: Stack) -> None:
    before = states(stack)
    for name in (SUPERVISOR, "mosquitto"):
        pid = before[name].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: states(stack)[SUPERVISOR].state == "down" and states(stack)["mosquitto"].state == "down")
    assert states(stack)["kafka"].pid == before["kafka"].pid
    stack.up(only=NAMES)
    after = states(stack)
    assert {after[name].state for name in (*NAMES, SUPERVISOR)} == {"up"}
    assert after["kafka"].pid == before["kafka"].pid


def test_down_leaves_no_process_and_the_next_up_finds_the_data(stack: Stack) -> None:
    mqtt_publish.single(RETAINED, b"kept", qos=1, retain=True, hostname="127.0.0.1", port=stack.place().ports["mqtt"])
    assert set(stack.down()) == {*NAMES, SUPERVISOR}
    var = stack.layout.var
    assert [each for name in (*NAMES, SUPERVISOR) for each in process.members(var, name)] == []
    stack.up(only=NAMES)
    assert stored(stack) == (b"object", 1)
    message = mqtt_subscribe.simple(RETAINED, hostname="127.0.0.1", port=stack.place().ports["mqtt"])
    assert message.payload == b"kept"


def test_a_service_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    broken = Service(
        name="broken",
        command=lambda place: ["/bin/sh", "-c", "echo the disk is on fire; exit 3"],
        probe=lambda place: "never",
    )
    stack = Stack(tmp_path, services=[broken])
    with pytest.raises(ServiceError, match=r"broken ended while starting(?s:.*)the disk is on fire"):
        stack.up(supervise=False)


def test_a_missing_program_is_named_before_anything_is_started(tmp_path: Path) -> None:
    def missing(_place: Place) -> list[str]:
        raise ServiceError("broker is not installed")

    willing = Service(name="willing", command=lambda place: ["/bin/sleep", "60"], probe=lambda place: None)
    lacking = Service(name="lacking", command=missing, probe=lambda place: None)
    stack = Stack(tmp_path, services=[willing, lacking])
    with pytest.raises(ServiceError, match="broker is not installed"):
        stack.up(supervise=False)
    assert [status.state for status in stack.statuses()] == ["down", "down", "down"]


def test_a_port_that_another_stack_takes_after_it_was_chosen_is_given_up(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's endpoint would answer as ours, with the other one's buckets."""
    theirs = stack.place().ports["s3"]
    choices = iter([theirs])
    monkeypatch.setattr(
        "smartcity.local.stack.choose", lambda first, taken, free: next(choices, None) or choose(first, taken, free)
    )
    mine, said = Stack(tmp_path), list[str]()
    try:
        mine.up(only=["s3"], progress=said.append, supervise=False)
        assert mine.place().ports["s3"] != theirs
        client(mine).create_bucket(Bucket="mine")
        assert "mine" not in {bucket["Name"] for bucket in client(stack).list_buckets()["Buckets"]}
        assert any(f"s3: port {theirs} was free and is held by python" in line for line in said), said
    finally:
        mine.down()
