"""Honest devices' latency while others stall: what strangers cost a gateway with identities.

Ten devices publish at QoS 1 over TLS to a subscriber that stands for the bridge; the latency is from the write to the
subscriber's read, in one process. In the second phase of each round a process of its own keeps connections open that
never become clients, and replaces each after its time (`--life-s`): silent ones, half a ClientHello, garbage, and whole
TLS handshakes without a certificate, a quarter each. Phases alternate; ratios are of the same round, figures medians
over the rounds. Writes var/bench/gateway.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import random
import selectors
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from smartcity.contracts import mqtt

sys.path.insert(0, str(Path(__file__).parent))
from services import free_port, wait_for

from smartcity.contracts.identity import Identity, read_bundle
from smartcity.edge import identities
from smartcity.edge.broker import RunningBroker
from smartcity.edge.folder import GatewayFolder
from smartcity.edge.registry import Role
from smartcity.sim.message import Message
from smartcity.sim.transport import packets

ROOT = Path(__file__).resolve().parents[2]
DEVICES = 10
PAYLOAD_BYTES = 280
KINDS = ("silent", "half", "garbage", "handshake")
LIFE_S = (5.0, 15.0)
WARM_UP_S = 1.0
SETTLE_S = 5.0


class Connection:
    """One MQTT 5 client over TLS, for one thread."""

    def __init__(self, identity: Identity, port: int) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = identity.tls().wrap_socket(plain, server_hostname="localhost")
        self._socket.settimeout(180)  # On a loaded machine strangers take long to open, and nothing is sent meanwhile.
        self._rest = b""
        will = Message(topic=f"devices/{identity.name}/status", payload=b"", content_type="text/plain")
        self.send(packets.connect_packet(client_id="", keepalive_s=600, packet_bytes_max=1 << 20, will=will))
        [(first, body)] = self.read()
        if first != mqtt.CONNACK or mqtt.read_connack(body).reason_code:
            raise SystemExit(f"{identity.name} was not let in")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self) -> list[tuple[int, bytes]]:
        found, self._rest = packets.split(self._rest + self._socket.recv(65_536), packet_bytes_max=1 << 20)
        return found

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Subscriber:
    """Reads all readings in a thread, and notes how long each was on the way."""

    def __init__(self, identity: Identity, port: int) -> None:
        self._connection = Connection(identity, port)
        self._connection.send(packets.subscribe_packet(65_535, "devices/#"))
        self.latencies_s: list[float] = []
        self._closing = False
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._closing:
            try:
                self._take()
            except OSError:
                if not self._closing:
                    raise

    def _take(self) -> None:
        found = self._connection.read()
        now = time.perf_counter_ns()
        for first, body in found:
            if first & 0xF0 == mqtt.PUBLISH:
                packet_id, _, payload = packets.read_publish(first, body)
                self.latencies_s.append((now - int.from_bytes(payload[:8])) / 1e9)
                if packet_id is not None:
                    self._connection.send(mqtt.acknowledgement(mqtt.PUBACK, packet_id))

    def close(self) -> None:
        self._closing = True
        self._connection.close()
        self._thread.join()


def publish_for(devices: list[Connection], seconds: float, rate_per_s: float) -> int:
    """Publishes at a fixed pace, the devices in turn; returns how many."""
    began, sent = time.perf_counter(), 0
    while (due := began + sent / rate_per_s) < began + seconds:
        time.sleep(max(0.0, due - time.perf_counter()))
        index = sent % len(devices)
        payload = time.perf_counter_ns().to_bytes(8) + bytes(PAYLOAD_BYTES - 8)
        message = Message(topic=f"devices/veh-{index:03}/gps", payload=payload, content_type="text/plain")
        devices[index].send(packets.publish_packet(sent % 60_000 + 1, message))
        sent += 1
    return sent


# The other side: a process of its own.


def client_hello(context: ssl.SSLContext) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def stall(port: int, bundle: Path, connections: int, life_s: tuple[float, float]) -> None:
    """Keeps so many connections open until SIGTERM; says when each was opened once, and what came of them."""
    context = read_bundle(bundle).tls_without_certificate()
    half = client_hello(context)[:60]
    counts: Counter[str] = Counter()
    selector = selectors.DefaultSelector()
    chance = random.Random(1)
    deadlines: list[tuple[float, socket.socket]] = []
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    began = time.monotonic()

    def open_one() -> None:
        kind = KINDS[counts["opened"] % len(KINDS)]
        counts["opened"] += 1
        if counts["opened"] == connections:
            print("ready", flush=True)
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=2)
            if kind == "half":
                connection.sendall(half)
            elif kind == "garbage":
                connection.sendall(chance.randbytes(64))
            elif kind == "handshake":
                # Client and server both reckon; over loopback the handshake itself does not wait.
                connection = context.wrap_socket(connection, server_hostname="localhost")
            connection.setblocking(False)
        except OSError:
            counts["refused at once"] += 1
            return
        selector.register(connection, selectors.EVENT_READ)
        deadlines.append((time.monotonic() + chance.uniform(*life_s), connection))

    while not stopped.is_set():
        now = time.monotonic()
        for entry in [entry for entry in deadlines if entry[0] <= now]:
            deadlines.remove(entry)
            if entry[1].fileno() >= 0 and entry[1] in selector.get_map():
                selector.unregister(entry[1])
            entry[1].close()
        missing = connections - len(deadlines)
        # A closed place is free only when its time is over: so the rate is that of the stated lives.
        for _ in range(min(missing, 20)):
            open_one()
        counts["held at most"] = max(counts["held at most"], len(selector.get_map()))
        for key, _ in selector.select(0.01):
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
                try:
                    ended = not key.fileobj.recv(4096)  # type: ignore[union-attr]
                except (BlockingIOError, ssl.SSLWantReadError):
                    raise
                except OSError:
                    ended = True
                if ended:
                    counts["closed by the gateway"] += 1
                    selector.unregister(key.fileobj)
    print(json.dumps({**counts, "per second": round(counts["opened"] / (time.monotonic() - began), 1)}), flush=True)


@contextlib.contextmanager
def strangers(port: int, bundle: Path, options: argparse.Namespace, outcome: dict[str, Any]) -> Iterator[None]:
    command = [sys.executable, __file__, "--stall", str(port), str(bundle)]
    command += ["--connections", str(options.connections), "--life-s", *map(str, options.life_s)]
    # They are elsewhere in the world, so their own reckoning takes no core from the gateway.
    process = subprocess.Popen(["nice", "-n", "19", *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(WARM_UP_S)
        yield
    finally:
        process.terminate()
        outcome.update(json.loads(process.stdout.readline() or "{}"))
        process.wait(10)


# One run.


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def phase(
    devices: list[Connection], subscriber: Subscriber, broker: psutil.Process, seconds: float, rate_per_s: float
) -> dict[str, float]:
    subscriber.latencies_s.clear()
    before, began = sum(broker.cpu_times()[:2]), time.monotonic()
    sent = publish_for(devices, seconds, rate_per_s)
    cpu = (sum(broker.cpu_times()[:2]) - before) / (time.monotonic() - began)
    wait_for("the last reading", lambda: len(subscriber.latencies_s) >= sent, SETTLE_S)
    latencies = subscriber.latencies_s
    return {
        "readings": sent,
        "p50_ms": round(percentile(latencies, 0.5) * 1e3, 3),
        "p99_ms": round(percentile(latencies, 0.99) * 1e3, 3),
        "max_ms": round(max(latencies) * 1e3, 3),
        "broker_cpu_share": round(cpu, 4),
    }


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    port = free_port()
    gateway = GatewayFolder(folder / "gateway")
    now = datetime.now(UTC)
    identities.make_gateway(gateway, listen=("127.0.0.1", port), hosts=("localhost",), now=now)
    names = [f"veh-{index:03}" for index in range(DEVICES)]
    identities.issue(gateway, names, Role.DEVICE, now=now)
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("mosquitto is not installed; run `make setup`")
    log = (folder / "mosquitto.log").open("wb")
    process = subprocess.Popen([program, "-c", str(gateway.configuration_path)], stdout=log, stderr=log)
    closing = contextlib.ExitStack()
    try:
        probe = read_bundle(gateway.bundle_path(identities.PROBE))
        running = RunningBroker(gateway, gateway.settings())
        wait_for("Mosquitto", lambda: running.greeted_as(probe) is None, 10)
        subscriber = Subscriber(read_bundle(gateway.bundle_path(identities.BRIDGE)), port)
        closing.callback(subscriber.close)
        devices = [Connection(read_bundle(gateway.bundle_path(name)), port) for name in names]
        for device in devices:
            closing.callback(device.close)
        broker = psutil.Process(process.pid)
        phase(devices, subscriber, broker, WARM_UP_S, options.rate)
        rounds = []
        for number in range(options.rounds):
            quiet = phase(devices, subscriber, broker, options.seconds, options.rate)
            outcome: dict[str, Any] = {}
            with strangers(port, gateway.bundle_path(identities.PROBE), options, outcome):
                stormy = phase(devices, subscriber, broker, options.seconds, options.rate)
            ratio = round(stormy["p99_ms"] / quiet["p99_ms"], 2)
            rounds.append({"quiet": quiet, "with_strangers": stormy, "strangers": outcome, "p99_ratio": ratio})
            print(f"round {number + 1}: p99 {quiet['p99_ms']} ms, {stormy['p99_ms']} ms with strangers; {outcome}")
        return {"rounds": rounds, "p99_ratio": statistics.median(one["p99_ratio"] for one in rounds)}
    finally:
        closing.close()
        process.terminate()
        process.wait(10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each phase")
    parser.add_argument("--rate", type=float, default=200.0, help="readings per second, of all devices together")
    places = "places for strangers; the gateway closes half of their kinds at once, so about half are open together"
    parser.add_argument("--connections", type=int, default=400, help=places)
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "bench" / "gateway.json")
    parser.add_argument(
        "--life-s", type=float, nargs=2, default=LIFE_S, metavar=("MIN", "MAX"), help="until one is replaced"
    )
    parser.add_argument("--stall", nargs=2, metavar=("PORT", "BUNDLE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stall:
        stall(int(options.stall[0]), Path(options.stall[1]), options.connections, tuple(options.life_s))
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as folder:
        Path(folder).chmod(0o711 if os.geteuid() == 0 else 0o700)
        result = measure(Path(folder), options)
    circumstances = {
        "measured_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "devices": DEVICES,
        "readings_per_s": options.rate,
        "connections": options.connections,
        "life_s": options.life_s,
        "phase_s": options.seconds,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**circumstances, **result}, indent=2) + "\n")
    print(f"median ratio of the p99: {result['p99_ratio']}; {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
