"""How many S3 requests a batch of the lake takes, by kind: counted on the wire between the lake and its S3.

A stack with every stream in it runs until enough batches were made; the requests between two batches are one batch's.
Frames are counted apart, since each is a PUT of its own. AWS charges DELETE nothing, and LIST as PUT.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from machine import machine

from smartcity.local.demo_drive import SIMULATOR
from smartcity.local.jars import link_jars
from smartcity.local.layout import Layout, default_var
from smartcity.local.services import SERVICES, Place
from smartcity.local.services.lake import LAKE
from smartcity.local.stack import Stack

SIMULATED_S, SPEED = 6_000, 20
TRIGGER_S = "3"
BATCHES_MIN = 5
WARM_UP_BATCHES = 2
START_TIMEOUT_S = 240
LEFT_OUT = ("dashboard", "maintenance")
REQUEST = re.compile(rb"(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP/1\.1\r\n")
BATCH = re.compile(r"batch (\d+): (\d+) records .*?new rows ([^,]*)")


class Tap:
    """A TCP relay that counts the requests which pass from client to server."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.counts: Counter[str] = Counter()
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(self._upstream)
            for source, target, count in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._relay, args=(source, target, count), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, count: bool) -> None:
        rest = b""
        try:
            while data := source.recv(256 * 1024):
                if count:
                    rest = self._count(rest + data)
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            end.close()

    def _count(self, data: bytes) -> bytes:
        """What may be the beginning of a request line."""
        end = 0
        for found in REQUEST.finditer(data):
            self.counts[kind(found[1].decode(), found[2].decode())] += 1
            end = found.end()
        return data[max(end, len(data) - 2_000) :]


def kind(method: str, target: str) -> str:
    if method == "PUT" and "/frames/" in target:
        return "frame PUT"
    if method == "GET" and ("list-type=" in target or "prefix=" in target):
        return "LIST"
    return method


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="example: python tests/bench/s3_requests.py"
    )
    parser.add_argument(
        "--json", type=Path, default=default_var() / "bench" / "s3-requests.json", help="where to write"
    )
    target: Path = parser.parse_args().json
    with tempfile.TemporaryDirectory(prefix="s3-requests-") as folder:
        var = Path(folder) / "var"
        Path(folder).chmod(0o711)
        link_jars(Layout(var=default_var()), Layout(var=var))
        report = measure(var)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["per_batch"]), f"→ {target}")


def measure(var: Path) -> dict[str, Any]:
    taps: list[Tap] = []

    def environment(place: Place) -> dict[str, str]:
        if not taps:
            taps.append(Tap(("127.0.0.1", place.ports["s3"])))
        return {**LAKE.environment(place), "AWS_ENDPOINT_URL_S3": taps[0].url}

    def command(place: Place) -> list[str]:
        return [*LAKE.command(place), "--trigger-s", TRIGGER_S]

    tapped = dataclasses.replace(LAKE, environment=environment, command=command)
    wanted = [tapped if one.name == LAKE.name else one for one in SERVICES if one.name not in LEFT_OUT]
    # A busy machine makes the figures no worse, only later.
    parts = [dataclasses.replace(one, start_timeout_s=START_TIMEOUT_S) for one in wanted]
    stack = Stack(var, services=parts)
    try:
        stack.up(supervise=False, progress=print)
        simulate = [
            str(SIMULATOR),
            "run",
            "--broker",
            stack.place().address("mqtt"),
            "--state",
            str(var / "sim" / "s3"),
        ]
        simulate += ["--duration", str(SIMULATED_S), "--speed", str(SPEED), "--seed", "5", "--quiet", "--json"]
        devices = subprocess.Popen(simulate, stdout=subprocess.DEVNULL)
        try:
            marks = follow(var / "log" / "lake.log", taps[0], devices)
        finally:
            devices.kill()
            devices.wait()
    finally:
        stack.down(progress=print)
    return summary(marks)


def follow(log: Path, tap: Tap, devices: subprocess.Popen[bytes]) -> list[tuple[int, int, Counter[str]]]:
    """Batch, its frames, and the requests counted when its line was seen."""
    marks: list[tuple[int, int, Counter[str]]] = []
    while devices.poll() is None and len(marks) < WARM_UP_BATCHES + BATCHES_MIN + 1:
        for found in BATCH.finditer(log.read_text()):
            frames = re.search(r"camera=(\d+)", found[3])
            if int(found[1]) >= len(marks):
                marks.append((int(found[1]), int(frames[1]) if frames else 0, Counter(tap.counts)))
        time.sleep(0.1)
    return marks


def summary(marks: list[tuple[int, int, Counter[str]]]) -> dict[str, Any]:
    steady = marks[WARM_UP_BATCHES:]
    if len(steady) <= BATCHES_MIN:
        sys.exit(f"only {len(marks)} batches were seen; this machine is busy: try again")
    differences = [
        {name: after[2][name] - before[2][name] for name in after[2]} for before, after in itertools.pairwise(steady)
    ]
    names = sorted({name for one in differences for name in one} - {"frame PUT"})
    frames = sum(after[1] for after in steady[1:])
    return {
        "per_batch": {name: median(one.get(name, 0) for one in differences) for name in names},
        "puts_per_frame": round(sum(one.get("frame PUT", 0) for one in differences) / max(frames, 1), 3),
        "batches": len(differences),
        "tables": 5,
        "all": differences,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
    }


if __name__ == "__main__":
    main()
