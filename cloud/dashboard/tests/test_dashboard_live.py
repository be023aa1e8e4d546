"""The whole process against a real Mosquitto: what is published is on the page."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

pytestmark = pytest.mark.broker

DEADLINE_S = 60.0
RMC = b"$GPRMC,081836,A,3751.65,S,14507.36,E,010.0,360.0,130998,011.3,E*63\r\n"
JPEG = b"\xff\xd8\xff\xe0 a frame"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any]) -> Any:
    """The first true value; a failure after the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {DEADLINE_S} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    process: subprocess.Popen[bytes]
    mqtt_port: int
    port: int

    def get(self, path: str, *, host: str = "localhost") -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def is_connected(self) -> bool:
        try:
            return bool(json.loads(self.get("/healthz")[2])["gateway"] == "connected")
        except OSError:
            return False

    def events(self) -> Iterator[dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        connection.request("GET", "/events", headers={"Host": "localhost"})
        answer = connection.getresponse()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Running]:
    mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert mosquitto, "install mosquitto"
    mqtt_port, port = free_port(), free_port()
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text(f"listener {mqtt_port} 127.0.0.1\nallow_anonymous true\n")
    addresses = ["--mqtt", f"127.0.0.1:{mqtt_port}", "--bridge", f"http://127.0.0.1:{free_port()}"]
    command = [sys.executable, "-m", "smartcity.dashboard.main", "run", *addresses, "--listen", f"127.0.0.1:{port}"]
    # The dashboard starts first, without a gateway.
    process = subprocess.Popen(command)
    broker = subprocess.Popen([mosquitto, "-c", str(configuration)])
    try:
        running = Running(process=process, mqtt_port=mqtt_port, port=port)
        until(running.is_connected)
        yield running
    finally:
        for each in (process, broker):
            each.terminate()
            each.wait(10)


def publish(port: int, topic: str, payload: bytes, pairs: list[tuple[str, str]]) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = pairs
    client.publish(topic, payload, qos=1, properties=properties).wait_for_publish(DEADLINE_S)
    client.disconnect()
    client.loop_stop()


def test_a_published_reading_is_on_the_page(dashboard: Running) -> None:
    identity = [("id", "0123456789abcdef.7"), ("time", "2026-11-21T08:00:00.000000Z")]
    publish(dashboard.mqtt_port, "devices/bus-7/gps", RMC, identity)
    publish(dashboard.mqtt_port, "devices/cam-1/frame", JPEG, [("metadata", '{"location": "A40"}')])
    publish(dashboard.mqtt_port, "devices/bus-7/gps", b"$GPRMC,broken*00\r\n", [])
    events = dashboard.events()
    first = next(events)
    assert first["full"]
    seen = first
    deadline = time.monotonic() + DEADLINE_S
    vehicles, cameras = dict(first["vehicles"]), dict(first["cameras"])
    while (seen["counts"]["gps"], seen["counts"]["camera"]) != (2, 1):
        assert time.monotonic() < deadline
        update = next(events)
        vehicles.update(update.get("vehicles", {}))
        cameras.update(update.get("cameras", {}))
        seen |= update
    assert vehicles["bus-7"]["latitude"] == -37.860833
    assert vehicles["bus-7"]["speed"] == 18.5
    assert cameras["cam-1"]["location"] == "A40"
    assert seen["unreadable"]["gps"] == 1
    assert seen["gateway"]["trouble"] is None
    metrics = dashboard.get("/metrics")[2].decode()
    assert 'smartcity_dashboard_readings_total{stream="gps"} 2.0' in metrics
    assert 'smartcity_dashboard_unreadable_total{stream="gps"} 1.0' in metrics
    assert 'smartcity_dashboard_things{kind="cameras"} 1.0' in metrics
    assert "smartcity_dashboard_gateway_connected 1.0" in metrics
    assert "smartcity_dashboard_pages 1.0" in metrics
    assert "process_resident_memory_bytes " in metrics
    # There is no bridge: the page has to say so.
    assert "does not answer" in seen["bridge"]["trouble"]

    status, headers, body = dashboard.get("/frames/cam-1.jpg?v=1")
    assert (status, body) == (200, JPEG)
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert dashboard.get("/frames/cam-2.jpg")[0] == 404

    vehicle = json.loads(dashboard.get("/api/vehicle/bus-7")[2])
    assert vehicle["vehicle"]["speed"] == 18.5
    # The last payload is the broken one, and says why.
    assert vehicle["book"]["raw"]["gps"]["lines"][0]["trouble"]


def test_the_page_is_whole_and_guarded_and_ends_in_order(dashboard: Running) -> None:
    status, headers, body = dashboard.get("/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    for name in ("style.css", "live/live.css", "live/map.js", "live/main.js", "icon.svg"):
        assert f"/static/{name}".encode() in body
        assert dashboard.get(f"/static/{name}")[0] == 200
    assert len(json.loads(dashboard.get("/routes.json")[2])) == 2
    assert dashboard.get("/", host="evil.example")[0] == 421
    next(dashboard.events())
    dashboard.process.send_signal(signal.SIGTERM)
    assert dashboard.process.wait(10) == 0
