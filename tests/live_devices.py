"""Devices for the browser tests and pictures of the live page: what they say is written by the simulator's encoders.

Everything goes over one connection, at QoS 1, so that thousands of vehicles cost one socket.
"""

from __future__ import annotations

import contextlib
import json
import math
import secrets
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from smartcity.contracts.routes import ROUTE_NAMES, route
from smartcity.contracts.status import Status
from smartcity.contracts.streams import EMERGENCY, GPS, VEHICLE, Stream
from smartcity.sim.message import reading_message, status_message
from smartcity.sim.reading import Reading
from smartcity.sim.sensors import emergency, gps, obd
from smartcity.sim.transport.packets import connect_packet, publish_packet
from smartcity.sim.world.city import City, CitySettings

BOOT = secrets.token_hex(8)
SKY = gps.Sky(1)
PACKET_BYTES_MAX = 1 << 20
MODELS = (("Ford", "Focus"), ("Toyota", "Prius"), ("Honda", "Civic"), ("Volvo", "FH"), ("Tesla", "Model 3"))


class Wire:
    """A connection that publishes for many devices, and does not wait for the gateway's answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        will = status_message("nobody", b"{}")
        hello = connect_packet(
            client_id=f"many-{secrets.token_hex(4)}", keepalive_s=0, packet_bytes_max=PACKET_BYTES_MAX, will=will
        )
        self._socket.sendall(hello)
        self._sequences: dict[str, int] = {}
        self._packet_id = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._swallow, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def say(
        self, device_id: str, stream: Stream, payload: bytes, metadata: dict[str, Any] | str | None, time: datetime
    ) -> None:
        """A reading, sent now."""
        with self._lock:
            sequence = self._sequences[device_id] = self._sequences.get(device_id, 0) + 1
            text = json.dumps(metadata) if isinstance(metadata, dict) else metadata
            reading = Reading(
                device_id=device_id, boot=BOOT, sequence=sequence, stream=stream, time=time, payload=payload,
                metadata=text,
            )  # fmt: skip
            self._send(reading_message(reading, datetime.now(UTC)))

    def status(self, device_id: str, **counts: Any) -> None:
        status = Status(**{"state": "online", "boot": BOOT, "sequence": self._sequences.get(device_id, 0)} | counts)
        with self._lock:
            self._send(status_message(device_id, status.encode()))

    def _send(self, message: Any) -> None:
        self._packet_id = self._packet_id % 65_000 + 1
        self._socket.sendall(publish_packet(self._packet_id, message))

    def _swallow(self) -> None:
        with contextlib.suppress(OSError):
            while self._socket.recv(1 << 16):
                pass


class Repeating:
    """Calls `step` so many times a second, in a thread, until it is left."""

    def __init__(self, per_s: float, step: Callable[[], None]) -> None:
        self._pause_s, self._step = 1 / per_s, step
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Repeating:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(10)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._end.is_set():
            with contextlib.suppress(OSError):
                self._step()
            due = max(due + self._pause_s, time.monotonic() - 1)
            self._end.wait(max(0.0, due - time.monotonic()))


class Convoy:
    """Vehicles in a row on a road. `kmh` is how they move, and may be more than a vehicle drives, so that a test need
    not wait for it; what they say of their speed is another one, slow here and fast there."""

    def __init__(
        self, wire: Wire, road: str, count: int, *, kmh: float = 90.0, prefix: str = "row", gap_km: float = 0.2
    ) -> None:
        self._wire, self._line, self._kmh = wire, route(road), kmh
        self.names = [f"{prefix}-{number:03d}" for number in range(1, count + 1)]
        self._kms = {name: 1 + index * gap_km % (self._line.length_km - 2) for index, name in enumerate(self.names)}
        self._moved_at = dict.fromkeys(self.names, time.monotonic())
        self._next = 0

    def drive(self, names: Iterable[str] | None = None, *, engine: bool = True) -> None:
        """A second's readings of these vehicles, of all without names."""
        for name in self.names if names is None else names:
            self._one(name, engine)

    def drive_some(self, share: int) -> None:
        """A share of them, the next ones each time: called often, it spreads a second's readings over the second."""
        some = [self.names[(self._next + index) % len(self.names)] for index in range(share)]
        self._next = (self._next + share) % len(self.names)
        self.drive(some)

    def _one(self, name: str, engine: bool) -> None:
        now = time.monotonic()
        km = self._kms[name] + self._kmh * (now - self._moved_at[name]) / 3600
        self._moved_at[name] = now
        self._kms[name] = km = km if km < self._line.length_km else 0.1
        latitude, longitude = self._line.point_at(km)
        ahead = self._line.point_at(min(km + 0.1, self._line.length_km))
        course = math.degrees(
            math.atan2((ahead[1] - longitude) * math.cos(math.radians(latitude)), ahead[0] - latitude)
        )
        own = zlib.crc32(name.encode())
        shown_kmh = max(0.0, 62 + 48 * math.sin(km / 8) + own % 17 - 8)
        make, model = MODELS[own % len(MODELS)]
        fix = gps.Fix(
            latitude=latitude, longitude=longitude, altitude=100.0, speed=shown_kmh / 3.6, course=course % 360,
            geoid_m=-36.0,
        )  # fmt: skip
        moment = datetime.now(UTC)
        burst = gps.burst(
            fix, SKY.view(int(moment.timestamp()), 0), moment.strftime("%H%M%S.00"), moment.strftime("%d%m%y")
        )
        self._wire.say(name, GPS, burst, {"vehicle_type": "car"}, moment)
        if engine:
            self._wire.say(name, VEHICLE, poll(shown_kmh), {"make": make, "model": model}, moment)


def poll(kmh: float, *, codes: tuple[str, ...] = ()) -> bytes:
    """An engine's answers at a speed."""
    return obd.poll(
        obd.Engine(
            load_percent=35, coolant_c=88, rpm=900 + 22 * kmh, speed_kmh=kmh, intake_c=21, maf_g_s=12.5,
            throttle_percent=24, run_time_s=1234, fuel_percent=61, trouble_codes=codes,
        )
    )  # fmt: skip


def report_incident(
    wire: Wire, number: int, status: str, *, latitude: float, longitude: float, kind: str = "accident", km: float = 57.2
) -> None:
    """A step in an incident's life."""
    now = datetime.now(UTC)
    values = {
        "incident_id": f"seen-{number}", "type": kind, "status": status, "severity": 3, "latitude": latitude,
        "longitude": longitude, "location": f"Hwy 401 (km {km})", "description": "The right lane is closed.",
    }  # fmt: skip
    payload = emergency.report(values, device_id="wt-resp-1", timestamp=now.isoformat())
    wire.say("wt-resp-1", EMERGENCY, payload, None, now)


class Town:
    """The simulator's own world, some way into its day: every stream, and vehicles spread along both roads."""

    def __init__(self, wire: Wire, *, vehicles: int, rate: float = 1.0, warm_s: int = 2400) -> None:
        start = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
        self._city = City(
            CitySettings(
                seed=5, start=start, routes=ROUTE_NAMES, vehicles=vehicles, circulate=True,
                departures_s=warm_s, frame_interval_s=30, weather_interval_s=30,
            )
        )  # fmt: skip
        self._city.skip(start + timedelta(seconds=warm_s))
        self._wire, self._rate = wire, rate
        self._begin, self._began = start + timedelta(seconds=warm_s), time.monotonic()

    def drive(self) -> None:
        """Whatever was observed since the last call."""
        until = self._begin + timedelta(seconds=(time.monotonic() - self._began) * self._rate)
        for seen in self._city.observe(until):
            self._wire.say(seen.device_id, seen.stream, seen.payload, seen.metadata, seen.time)
