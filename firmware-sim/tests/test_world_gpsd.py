"""A stock gpsd, fed with a device's payloads, reports the same positions and speeds."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pynmea2
import pytest

from smartcity.contracts.streams import GPS
from smartcity.sim.world.city import City, CitySettings

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(shutil.which("gpsd", path=os.environ.get("PATH", "") + ":/usr/sbin") is None, reason="no gpsd"),
]
START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
DEADLINE_S = 20.0


@pytest.fixture
def ports() -> tuple[int, int]:
    found = []
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(("127.0.0.1", 0))
            found.append(probe.getsockname()[1])
    return found[0], found[1]


@pytest.fixture
def reports(ports: tuple[int, int]) -> Iterator[socket.socket]:
    """A connection to a fresh gpsd that watches its UDP source."""
    listen, feed = ports
    program = shutil.which("gpsd", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert program is not None
    gpsd = subprocess.Popen(
        [program, "-N", "-n", "-S", str(listen), f"udp://127.0.0.1:{feed}"], stderr=subprocess.DEVNULL
    )
    try:
        connection = _connect(listen, gpsd)
        connection.sendall(b'?WATCH={"enable":true,"json":true};\n')
        yield connection
        connection.close()
    finally:
        gpsd.terminate()
        gpsd.wait(timeout=10)


def test_gpsd_reports_the_same_positions_and_speeds(reports: socket.socket, ports: tuple[int, int]) -> None:
    settings = CitySettings(
        seed=8, start=START, routes=("london-birmingham",), vehicles=1, frame_interval_s=3600, weather_interval_s=3600
    )
    payloads = [one.payload for one in City(settings).observe(START + timedelta(seconds=120)) if one.stream is GPS]
    expected = {}
    for payload in payloads:
        rmc = pynmea2.parse(payload.decode("ascii").split("\r\n")[0], check=True)
        expected[rmc.datetime] = rmc
    reader = _Reader(reports)
    reader.until(lambda report: report.get("class") == "WATCH")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as feed:
        for payload in payloads:
            feed.sendto(payload, ("127.0.0.1", ports[1]))
            reader.drain(0.02)
    reader.drain(1.0)
    fixes = [report for report in reader.seen if report.get("class") == "TPV" and report.get("mode", 0) >= 2]
    skies = [report for report in reader.seen if report.get("class") == "SKY" and report.get("satellites")]
    moving = 0
    for fix in fixes:
        rmc = expected[datetime.fromisoformat(fix["time"])]
        assert fix["lat"] == pytest.approx(rmc.latitude, abs=2e-7)
        assert fix["lon"] == pytest.approx(rmc.longitude, abs=2e-7)
        assert fix["speed"] == pytest.approx(rmc.spd_over_grnd * 1852 / 3600, abs=0.01)
        moving += fix["speed"] > 5.0
    assert len({fix["time"] for fix in fixes}) >= 0.9 * len(payloads)
    assert moving > 20
    assert len(skies[-1]["satellites"]) >= 8


class _Reader:
    """gpsd's JSON lines, as they come."""

    def __init__(self, connection: socket.socket) -> None:
        self.seen: list[dict[str, Any]] = []
        self._connection = connection
        self._rest = b""

    def drain(self, quiet_s: float) -> None:
        """Read until nothing comes for a while."""
        self._connection.settimeout(quiet_s)
        while True:
            try:
                data = self._connection.recv(65_536)
            except TimeoutError:
                return
            assert data, "gpsd closed the connection"
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.seen += [json.loads(line) for line in lines if line.strip()]

    def until(self, matches: Any) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not any(matches(report) for report in self.seen):
            assert time.monotonic() < deadline, f"gpsd said only {self.seen}"
            self.drain(0.1)


def _connect(port: int, gpsd: subprocess.Popen[bytes]) -> socket.socket:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1.0)
        except OSError:
            assert gpsd.poll() is None, f"gpsd ended with {gpsd.returncode}"
            assert time.monotonic() < deadline, "gpsd does not listen"
            time.sleep(0.05)
