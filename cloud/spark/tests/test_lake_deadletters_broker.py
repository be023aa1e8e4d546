"""The way back over a real Mosquitto: what counts as safe, and what went wrong where it is not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from smartcity.lake.deadletters import Letter
from smartcity.lake.deadletters_command import mqtt_way as connect
from smartcity.lake.deadletters_ways import MqttWay
from smartcity.lake.errors import TerminalError, TransientError

pytestmark = pytest.mark.broker
BOOT = "0123456789abcdef"
PACKET_BYTES_MAX = 2000


def letter(sequence: int | None, payload: bytes = b"$GPRMC\xff") -> Letter:
    pairs = [["note", "ä"]]
    if sequence is not None:
        pairs += [["id", f"{BOOT}.{sequence}"], ["source", "/devices/car-1"]]
    return Letter(
        reason="checksum_invalid", detail=None, refused_by="bridge", device_id="car-1",
        id=None if sequence is None else f"{BOOT}.{sequence}", mqtt_topic="devices/car-1/gps",
        properties=json.dumps(pairs), payload=payload, payload_sha256=hashlib.sha256(payload).hexdigest(),
        received_at=datetime(2026, 11, 21, tzinfo=UTC), kafka_topic="dead_letters", kafka_partition=0,
        kafka_offset=sequence or 0,
    )  # fmt: skip


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    binary = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if binary is None:
        pytest.fail("mosquitto is not installed; run `smartcity setup`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {number} 127.0.0.1\nallow_anonymous true\nmax_packet_size {PACKET_BYTES_MAX}\n")
    process = subprocess.Popen([binary, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", number)):
            assert time.monotonic() < deadline, "Mosquitto does not answer"
            time.sleep(0.02)
        yield number
    finally:
        process.terminate()
        process.wait(10)


class Bridge:
    """Listens as the bridge does, and sends a receipt for what `confirms` says."""

    def __init__(self, port: int, confirms: Callable[[int], bool]) -> None:
        self.received: list[tuple[bytes, list[tuple[str, str]]]] = []
        self._confirms = confirms
        self._subscribed = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_connect = lambda client, *_: client.subscribe("devices/#", qos=1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._subscribed.wait(10)

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        pairs = message.properties.UserProperty
        self.received.append((message.payload, pairs))
        sequence = int(dict(pairs).get("id", ".0").rpartition(".")[2])
        if sequence and self._confirms(sequence):
            receipt = json.dumps({BOOT: [[sequence, sequence]]}).encode()
            client.publish("receipts/car-2", json.dumps({BOOT: [[1, 99]]}).encode(), qos=1)
            client.publish("receipts/car-1", receipt, qos=1)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def bridge(port: int) -> Iterator[Bridge]:
    made = Bridge(port, lambda sequence: sequence % 2 == 1)
    yield made
    made.close()


def test_a_letter_is_safe_with_its_receipt_alone(port: int, bridge: Bridge) -> None:
    with MqttWay("127.0.0.1", port, confirm_timeout_s=3) as way:
        unanswered, foreign = letter(2), letter(None)
        failures = way.send([letter(1), unanswered, letter(3), foreign])
    assert set(failures) == {unanswered.key}
    assert failures[unanswered.key].may_have_arrived
    assert "is the bridge up?" in failures[unanswered.key].why
    assert [payload for payload, _ in bridge.received] == [b"$GPRMC\xff"] * 4
    assert bridge.received[0][1] == [("note", "ä"), ("id", f"{BOOT}.1"), ("source", "/devices/car-1")]


def test_where_no_bridge_listens_nothing_has_arrived(port: int) -> None:
    with MqttWay("127.0.0.1", port, confirm_timeout_s=10) as way:
        failures = way.send([letter(1), letter(None)])
    assert [failure.may_have_arrived for failure in failures.values()] == [False, False]
    assert all("nobody listens" in failure.why for failure in failures.values())


def test_what_the_gateway_does_not_take_holds_up_no_other(port: int, bridge: Bridge) -> None:
    large = letter(5, bytes(PACKET_BYTES_MAX))
    with MqttWay("127.0.0.1", port, confirm_timeout_s=10) as way:
        failures = way.send([large, letter(1)])
    assert set(failures) == {large.key}
    assert not failures[large.key].may_have_arrived
    assert f"({PACKET_BYTES_MAX})" in failures[large.key].why
    assert len(bridge.received) == 1


def test_a_gateway_that_is_not_there_is_named() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(TransientError, match=f"127.0.0.1:{port} does not answer"), MqttWay("127.0.0.1", port):
            pass


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match=r"nobody\.pem cannot be read"):
        connect(None, tmp_path / "nobody.pem")
