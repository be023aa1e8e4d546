"""Recorder and replayer at a gateway that asks who they are: over TLS, each with the rights of its role."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smartcity.edge.capture import detect
from smartcity.edge.capture.detect import ReadOptions
from smartcity.edge.capture.formats.mcap import McapWriter
from smartcity.edge.capture.message import Findings, Message

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]

COMMAND = [sys.executable, "-m", "smartcity.edge.main"]
ANSWER_TIMEOUT_S = 30.0
REFUSED = "Not authorized"
MESSAGES = [
    Message(1_700_000_000_000_000_000 + i, f"devices/veh-00{i % 2 + 1}/gps", 1, False, b"", b"reading %d" % i)
    for i in range(40)
]
Connect = Callable[..., Any]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Readings of two vehicles."""
    path = tmp_path / "city.mcap"
    writer = McapWriter(path)
    for message in MESSAGES:
        writer.write(message)
    writer.close()
    return path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=ANSWER_TIMEOUT_S, check=False)


def replay(gateway: Any, capture: Path, name: str) -> tuple[int, dict[str, Any]]:
    bundle = gateway.folder.bundle_path(name)
    done = run("replay", str(capture), "--identity", str(bundle), "--speed", "max", "--json", "--quiet")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_recorder_records_over_tls_what_it_is_handed(gateway: Any, connect: Connect, tmp_path: Path) -> None:
    path, payload = tmp_path / "city.mcap", bytes(range(256)) * 400  # Several TLS records.
    device = connect("veh-001")
    bundle = gateway.folder.bundle_path("recorder")
    arguments = ["record", str(path), "--topic", "devices/veh-001/#", "--identity", str(bundle), "--count", "5"]
    process = subprocess.Popen([*COMMAND, *arguments, "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while process.poll() is None:
            assert time.monotonic() < deadline, "five messages were not recorded"
            device.publish("devices/veh-001/frame", payload)
    finally:
        process.kill()
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    found = list(detect.read(path, Findings(strict=True), ReadOptions()))
    assert [(each.topic, each.qos, each.payload) for each in found] == [("devices/veh-001/frame", 1, payload)] * 5


def test_a_recorder_may_not_publish(gateway: Any, connect: Connect, capture: Path) -> None:
    bridge = connect("smartcity-bridge")
    bridge.subscribe("devices/#")
    recorder = connect("recorder")
    for topic in ("devices/veh-001/gps", "devices/recorder/gps", "receipts/veh-001"):
        assert recorder.publish(topic) == REFUSED
    recorder.close()
    code, report = replay(gateway, capture, "recorder")
    assert code == 1
    assert report["refused"] == {"0x87": len(MESSAGES)}
    assert connect("veh-001").publish("devices/veh-001/obd") == "Success"
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while not bridge.received:
        assert time.monotonic() < deadline, "the honest message did not arrive"
        time.sleep(0.01)
    assert bridge.received == [("devices/veh-001/obd", b"x")]


def test_a_replayer_writes_for_others(gateway: Any, connect: Connect, capture: Path) -> None:
    bridge = connect("smartcity-bridge")
    bridge.subscribe("devices/#")
    code, report = replay(gateway, capture, "replayer")
    assert code == 0, report
    assert report["messages"] == len(MESSAGES)
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while len(bridge.received) < len(MESSAGES):
        assert time.monotonic() < deadline, f"{len(bridge.received)} messages of {len(MESSAGES)}"
        time.sleep(0.01)
    assert bridge.received == [(message.topic, message.payload) for message in MESSAGES]


def test_a_device_may_replay_as_itself_alone(gateway: Any, connect: Connect, capture: Path) -> None:
    bridge = connect("smartcity-bridge")
    bridge.subscribe("devices/#")
    code, report = replay(gateway, capture, "veh-001")
    assert code == 1
    own = [(message.topic, message.payload) for message in MESSAGES if message.topic.startswith("devices/veh-001/")]
    assert report["refused"] == {"0x87": len(MESSAGES) - len(own)}
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while len(bridge.received) < len(own):
        assert time.monotonic() < deadline, f"{len(bridge.received)} messages of {len(own)}"
        time.sleep(0.01)
    assert bridge.received == own


def test_without_an_identity_the_gateway_is_named_as_the_one_that_refuses(gateway: Any, capture: Path) -> None:
    done = run("replay", str(capture), "--broker", f"127.0.0.1:{gateway.port}")
    assert done.returncode == 1
    assert f"127.0.0.1:{gateway.port} ends the connection before its CONNACK" in done.stderr
    assert "--identity" in done.stderr


def test_a_gateway_of_another_authority_is_not_trusted(gateway: Any, capture: Path, tmp_path: Path) -> None:
    assert run("init", "--gateway", str(tmp_path / "other"), "--host", "localhost").returncode == 0
    bundle = tmp_path / "other" / "identities" / "smartcity-bridge.pem"
    done = run("replay", str(capture), "--identity", str(bundle), "--broker", f"localhost:{gateway.port}")
    assert done.returncode == 1
    assert "is not the gateway of this identity" in done.stderr
