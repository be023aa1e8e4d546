"""Devices with identities against a gateway that asks for them: both transports, and what a lost identity costs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smartcity.contracts.identity import read_bundle
from smartcity.edge import identities
from smartcity.edge.broker import RunningBroker
from smartcity.edge.folder import GatewayFolder
from smartcity.edge.registry import Role

pytestmark = pytest.mark.broker
SIMULATOR = Path(sys.executable).with_name("smartcity-sim")
STREAMS = ("--route", "waterloo-toronto", "--vehicles", "2", "--streams", "gps")
NAMES = ("wt-veh-001", "wt-veh-002")


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayFolder]:
    path = Path(tempfile.mkdtemp(prefix="secure-devices-"))
    path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    folder = GatewayFolder(path / "gateway")
    now = datetime.now(UTC)
    identities.make_gateway(folder, listen=("127.0.0.1", port), hosts=("localhost",), now=now)
    (path / "bundles").mkdir(mode=0o700)
    for name in NAMES:
        identities.issue(folder, name, Role.DEVICE, now=now, out=path / "bundles")
    process = subprocess.Popen(
        [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(folder.configuration_path)]
    )
    try:
        broker, probe = RunningBroker(folder, folder.settings()), read_bundle(folder.bundle_path(identities.PROBE))
        deadline = time.monotonic() + 10
        while broker.greeted_as(probe) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield folder
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(path)


def drive(identity: Path, state: Path, *more: str) -> tuple[int, dict[str, Any], str]:
    """Half a simulated minute with `--confirm puback`: exit code, summary, and what was said."""
    command = [str(SIMULATOR), "run", *STREAMS, "--speed", "30", "--duration", "30", "--departures-s", "1"]
    command += ["--identity", str(identity), "--state", str(state), "--confirm", "puback", "--json", *more]
    command += ["--drain-timeout-s", "10"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


@pytest.mark.parametrize("transport", ["paho", "fleet"])
def test_devices_deliver_over_tls(gateway: GatewayFolder, tmp_path: Path, transport: str) -> None:
    code, summary, said = drive(gateway.path.parent / "bundles", tmp_path, "--transport", transport)
    assert code == 0, said
    assert sorted(summary["boots"]) == list(NAMES), summary


@pytest.mark.parametrize("transport", ["paho", "fleet"])
def test_one_bundle_is_one_device_of_the_world(gateway: GatewayFolder, tmp_path: Path, transport: str) -> None:
    bundle = gateway.path.parent / "bundles" / f"{NAMES[1]}.pem"
    code, summary, said = drive(bundle, tmp_path, "--transport", transport)
    assert code == 0, said
    assert list(summary["boots"]) == [NAMES[1]], summary


@pytest.mark.parametrize("transport", ["paho", "fleet"])
def test_an_identity_of_another_gateway_delivers_nothing_and_loses_nothing(
    gateway: GatewayFolder, tmp_path: Path, transport: str
) -> None:
    """It trusts another authority, so it does not even say who it is; its readings wait in the outbox."""
    foreign = GatewayFolder(tmp_path / "foreign")
    now = datetime.now(UTC)
    port = gateway.settings().listen_port
    identities.make_gateway(foreign, listen=("127.0.0.1", port), hosts=("localhost",), now=now)
    bundle = identities.issue(foreign, NAMES[0], Role.DEVICE, now=now).path
    code, _, said = drive(bundle, tmp_path / "state", "--transport", transport, "--drain-timeout-s", "1")
    assert code == 1
    assert "readings were not confirmed" in said


def test_a_device_of_another_world_is_a_usage_error(gateway: GatewayFolder, tmp_path: Path) -> None:
    code, _, said = drive(gateway.bundle_path(identities.PROBE), tmp_path)
    assert code == 2
    assert "is not in this world" in said
