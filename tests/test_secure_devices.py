"""Devices and the dashboard at a gateway that asks who they are: over TLS, and what a wrong identity costs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
SIMULATOR, DASHBOARD = (Path(sys.executable).with_name(f"smartcity-{name}") for name in ("sim", "dashboard"))
STREAMS = ("--route", "waterloo-toronto", "--vehicles", "2", "--streams", "gps")
NAMES = ("wt-veh-001", "wt-veh-002")
ANSWER_TIMEOUT_S = 20.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"not in {ANSWER_TIMEOUT_S:g} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayFolder]:
    path = Path(tempfile.mkdtemp(prefix="secure-devices-"))
    path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    port = free_port()
    folder = GatewayFolder(path / "gateway")
    now = datetime.now(UTC)
    identities.make_gateway(folder, listen=("127.0.0.1", port), hosts=("localhost",), now=now)
    identities.issue(folder, NAMES, Role.DEVICE, now=now, out=path / "bundles")
    process = subprocess.Popen(
        [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(folder.configuration_path)]
    )
    try:
        broker, probe = RunningBroker(folder, folder.settings()), read_bundle(folder.bundle_path(identities.PROBE))
        wait_until(lambda: broker.greeted_as(probe) is None, "the broker answers its probe")
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
    bundle = identities.issue(foreign, [NAMES[0]], Role.DEVICE, now=now)[0].path
    code, _, said = drive(bundle, tmp_path / "state", "--transport", transport, "--drain-timeout-s", "1")
    assert code == 1
    assert "readings were not confirmed" in said


def test_a_device_of_another_world_is_a_usage_error(gateway: GatewayFolder, tmp_path: Path) -> None:
    code, _, said = drive(gateway.bundle_path(identities.PROBE), tmp_path)
    assert code == 2
    assert "is not in this world" in said


@contextmanager
def dashboard(*where: str) -> Iterator[int]:
    """A running dashboard; yields its port."""
    port = free_port()
    command = [str(DASHBOARD), "run", *where]
    command += ["--listen", f"127.0.0.1:{port}", "--bridge", f"http://127.0.0.1:{free_port()}"]
    process = subprocess.Popen(command)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(ANSWER_TIMEOUT_S)


def gateway_state(port: int) -> str:
    """What the dashboard says of its connection; empty while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return str(json.load(answer)["gateway"])
    except OSError:
        return ""


def shown(port: int) -> str:
    """What a page gets first: the city as it is."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/events", timeout=5) as answer:
        return next(line.decode() for line in answer if line.startswith(b"data:"))


def test_the_dashboard_shows_over_tls_what_devices_say(gateway: GatewayFolder, tmp_path: Path) -> None:
    """Its bundle says where the gateway is."""
    with dashboard("--mqtt-identity", str(gateway.bundle_path(identities.DASHBOARD))) as port:
        wait_until(lambda: gateway_state(port) == "connected", "the dashboard is let in")
        code, _, said = drive(gateway.path.parent / "bundles", tmp_path)
        assert code == 0, said
        wait_until(lambda: all(name in shown(port) for name in NAMES), "both vehicles are on the map")


@pytest.mark.parametrize("who", ["nobody", NAMES[0]])
def test_a_dashboard_with_another_identity_or_none_shows_nothing(
    gateway: GatewayFolder, tmp_path: Path, who: str
) -> None:
    """A device's identity connects, and is handed no reading of others."""
    bundles = gateway.path.parent / "bundles"
    identity = () if who == "nobody" else ("--mqtt-identity", str(bundles / f"{who}.pem"))
    with dashboard("--mqtt", f"localhost:{gateway.settings().listen_port}", *identity) as port:
        wait_until(
            lambda: gateway_state(port) == "connected" if identity else "trying again" in gateway_state(port),
            "the gateway has decided",
        )
        code, _, said = drive(bundles / f"{NAMES[1]}.pem", tmp_path)
        assert code == 0, said
        assert NAMES[1] not in shown(port)
