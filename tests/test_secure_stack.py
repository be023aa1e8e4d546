"""`up --secure`: readings go from devices with identities to Kafka, nobody else is let in, and a revoked device is out.

The lake is not started: what is behind Kafka knows nothing of identities.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smartcity.contracts.envelope import Envelope
from smartcity.contracts.identity import read_bundle
from smartcity.contracts.streams import WEATHER
from smartcity.contracts.topics import DEAD_LETTERS_TOPIC, reading_topic
from smartcity.edge.broker import greet
from smartcity.edge.folder import GatewayFolder
from smartcity.edge.registry import Role
from smartcity.lake.deadletters import BY_BRIDGE, Letter
from smartcity.lake.deadletters_ways import MqttWay
from smartcity.local.secure import device_bundles, operator_bundle, reader_identity
from smartcity.local.services.kafka import record_counts
from smartcity.local.stack import Stack
from smartcity.local.verify.statuses import read_statuses

from .conftest import WEATHER_REPORT, link_jars

pytestmark = pytest.mark.end_to_end
PARTS = ("mosquitto", "kafka", "bridge")
NAMES = ("wt-veh-001", "wt-veh-002")
BIN = Path(sys.executable).parent
DRIVE = Path(__file__).resolve().parents[1] / "edge" / "fixtures" / "drive.mcap"


@pytest.fixture(scope="module")
def secure() -> Iterator[Stack]:
    var = Path(tempfile.mkdtemp(prefix="secure-stack-")) / "var"
    var.parent.chmod(0o711)
    link_jars(var)
    stack = Stack(var)
    try:
        stack.up(only=PARTS, secure=True, progress=print)
        yield stack
    finally:
        stack.down(progress=print)
        shutil.rmtree(var.parent)


def drive(stack: Stack, bundles: Path, state: Path) -> dict[str, int]:
    """The readings of two vehicles in a simulated minute, all confirmed by receipts; counted by stream."""
    command = [
        BIN / "smartcity-sim",
        "run",
        "--route",
        "waterloo-toronto",
        "--vehicles",
        "2",
        "--streams",
        "gps,vehicle",
    ]
    command += ["--departures-s", "1", "--duration", "60", "--speed", "30", "--json", "--state", state]
    command += ["--broker", f"localhost:{stack.place().ports['mqtt']}", "--identity", bundles]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    generated: dict[str, int] = json.loads(done.stdout)["generated"]
    return generated


def becomes_true(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_readings_reach_kafka_with_identities_and_nothing_without(secure: Stack, tmp_path: Path) -> None:
    bundles = device_bundles(secure.layout, NAMES)
    generated = drive(secure, bundles, tmp_path)
    counted = record_counts(secure.place().address("kafka"))
    assert counted["gps_data"] == generated["gps"] > 0
    assert counted["vehicle_data"] == generated["vehicle"] > 0
    assert counted["dead_letters"] == 0
    port = secure.place().ports["mqtt"]
    stranger = read_bundle(bundles / f"{NAMES[0]}.pem").tls_without_certificate()
    assert greet("127.0.0.1", port, stranger) is not None
    assert greet("127.0.0.1", port, None) is not None
    statuses = read_statuses("127.0.0.1", port, identity=reader_identity(secure.layout))
    assert set(statuses) == set(NAMES)
    states = {status.name: status.state for status in secure.statuses()}
    assert {states[name] for name in PARTS} == {"up"}


def test_revoke_restarts_the_stacks_broker_and_the_bridge_comes_back(secure: Stack) -> None:
    bundles = device_bundles(secure.layout, ["veh-lost"])
    lost, port = read_bundle(bundles / "veh-lost.pem").tls(), secure.place().ports["mqtt"]
    assert greet("127.0.0.1", port, lost) is None
    folder = GatewayFolder(secure.layout.gateway)
    command = [str(BIN / "smartcity-edge"), "revoke", "veh-lost", "--gateway", str(folder.path)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    took_s = time.monotonic() - began
    print(f"revoked in {took_s:.2f} s")
    assert took_s < 10
    assert greet("127.0.0.1", port, lost) is not None

    def bridge_is_up() -> bool:
        return {status.name: status.state for status in secure.statuses()}["bridge"] == "up"

    assert becomes_true(bridge_is_up, 30)


def smartcity(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "smartcity"), *arguments, "--json", "--var", str(stack.layout.var)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_record_replay_and_doctor_find_their_identities(secure: Stack, tmp_path: Path) -> None:
    """A replayer's identity may write for all devices of the drive, a recorder's reads the statuses they left."""
    kafka = secure.place().address("kafka")
    before = sum(record_counts(kafka).values())
    done = smartcity(secure, "replay", str(DRIVE), "--speed", "max", "--quiet")
    assert done.returncode == 0, done.stderr
    sent = json.loads(done.stdout)["messages"]
    assert sent > 100
    assert becomes_true(lambda: sum(record_counts(kafka).values()) == before + sent, 30)
    capture = tmp_path / "city.mcap"
    done = smartcity(secure, "record", str(capture), "--topic", "devices/+/status", "--count", "1", "--quiet")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["messages"] == 1
    checks = {check["name"]: check for check in json.loads(smartcity(secure, "doctor").stdout)}
    assert checks["gateway"]["level"] == "ok", checks["gateway"]


def test_a_letter_goes_back_with_the_redrivers_identity_and_its_receipt_is_read(secure: Stack) -> None:
    kafka, now = secure.place().address("kafka"), datetime.now(UTC)
    envelope = Envelope(
        boot="00000000000000b2", sequence=1, device_id="wt-wx-01", event_type=WEATHER.event_type, time=now
    )
    letter = Letter(
        reason="contract_violation", detail=None, refused_by=BY_BRIDGE, device_id="wt-wx-01", id=envelope.id,
        mqtt_topic=reading_topic("wt-wx-01", WEATHER), properties=json.dumps(envelope.properties()), payload_sha256="",
        received_at=now, kafka_topic=DEAD_LETTERS_TOPIC, kafka_partition=0, kafka_offset=0,
        payload=json.dumps(WEATHER_REPORT).encode(),
    )  # fmt: skip
    before = record_counts(kafka)
    identity = read_bundle(operator_bundle(secure.layout, "smartcity-redriver", Role.REDRIVER))
    with MqttWay(identity.host, secure.place().ports["mqtt"], tls=identity.tls(), confirm_timeout_s=20) as way:
        assert way.send([letter]) == {}
    assert record_counts(kafka) == {**before, WEATHER.kafka_topic: before[WEATHER.kafka_topic] + 1}
