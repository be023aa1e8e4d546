"""What recording and replaying cost, how true the pace is, and how much memory a large capture takes.

The traffic: readings of 50 devices with the city's envelope, every twentieth a frame of 15 kB. Our replayer sends it at
1,000 messages a second to a real Mosquitto; our recorder, or mqtt-recorder, listens. Then each replays what it
recorded. CPU is user plus system time of the whole process. Of a recorder: from its readiness until everything has
come. Of a replayer: of the whole run, less that of a run with one message. What was recorded is compared, byte for byte
and per topic, with what was sent. Writes var/bench/capture.json.

mqtt-recorder runs from an environment of its own (var/mqtt-recorder, made here if it is missing).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from services import Mosquitto, free_port, wait_for

from smartcity.contracts.envelope import Envelope
from smartcity.contracts.mqtt import user_property
from smartcity.edge.capture import detect
from smartcity.edge.capture.detect import ReadOptions
from smartcity.edge.capture.formats.mcap import McapWriter
from smartcity.edge.capture.message import Findings, Message

ROOT = Path(__file__).resolve().parents[2]
EDGE = [sys.executable, "-m", "smartcity.edge.main"]
DEVICES, FRAME_EVERY, FRAME_BYTES = 50, 20, 15_000
SEED = 20261125
NMEA = b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n"
DOCUMENTED_US = {"record": 130, "replay": 196}
"""mqtt-recorder's CPU per message, as the project's issue states it."""
PROBE = "bench/probe"


def traffic(count: int, per_second: int) -> Iterator[Message]:
    """The same messages each time."""
    chance = random.Random(SEED)
    start = datetime(2026, 3, 2, 12, tzinfo=UTC)
    start_ns = int(start.timestamp()) * 1_000_000_000
    for i in range(count):
        device, frame = f"veh-{i % DEVICES:03d}", i % FRAME_EVERY == 0
        time_ns = start_ns + i * 1_000_000_000 // per_second
        time = datetime.fromtimestamp(time_ns // 1000 / 1e6, UTC)
        envelope = Envelope(
            boot="0123456789abcdef", sequence=i + 1, device_id=device, event_type="bench", time=time, sent_time=time
        )
        properties = b"".join(user_property(*pair) for pair in envelope.properties())
        payload = chance.randbytes(FRAME_BYTES) if frame else NMEA * 4
        yield Message(time_ns, f"bench/{device}/{'frame' if frame else 'gps'}", 1, False, properties, payload)


def write(path: Path, messages: Iterator[Message]) -> Path:
    writer = McapWriter(path, overwrite=True)
    for message in messages:
        writer.write(message)
    writer.close()
    return path


def per_topic(messages: Iterator[Message], *, with_properties: bool = True) -> dict[str, list[int]]:
    """Hashes of what must be the same, in the order of each topic."""
    found: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        if message.topic != PROBE:
            compared = (message.payload, message.qos, message.retain, message.properties if with_properties else b"")
            found[message.topic].append(hash(compared))
    return found


def read(path: Path) -> Iterator[Message]:
    return detect.read(path, Findings(), ReadOptions())


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Listener:
    """A recorder of either kind as a process, its CPU counted from its readiness on."""

    def __init__(self, mosquitto: Mosquitto, path: Path, command: list[str]) -> None:
        self.path = path
        self._process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        publish = ["mosquitto_pub", "-p", str(mosquitto.port), "-q", "1", "-t", PROBE, "-m", "x"]

        def ready() -> bool:
            subprocess.run(publish, check=True)
            return path.exists() and path.stat().st_size > 0 and PROBE.encode() in _start_of(path)

        wait_for("the recorder", ready, 20, 0.3)
        self._before = cpu_s(self._process)

    def finish(self, complete: Callable[[], bool]) -> float:
        """Microseconds of CPU since it was ready, once `complete` says that everything came."""
        wait_for("the recorder to have everything", complete, 60, 0.5)
        used = cpu_s(self._process) - self._before
        self._process.send_signal(signal.SIGINT)
        self._process.wait(20)
        return used * 1e6


def _start_of(path: Path) -> bytes:
    """Enough of a recording to see the probe; an MCAP file is read."""
    if path.suffix == ".mcap":
        return PROBE.encode() if any(message.topic == PROBE for message in read(path)) else b""
    return path.read_bytes()[:4096]


def run(command: list[str]) -> tuple[float, str, int]:
    """CPU in microseconds, standard output, and the peak of resident memory in bytes (looked at every 20 ms)."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        watched, peak = psutil.Process(process.pid), 0
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            # Not ru_maxrss: that of a forked process begins with its parent's.
            with contextlib.suppress(psutil.Error):
                peak = max(peak, watched.memory_info().rss)
            time.sleep(0.02)
        _, status, usage = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command} ended with {process.returncode}")
        output.seek(0)
        return (usage.ru_utime + usage.ru_stime) * 1e6, output.read().decode(), peak


class Bench:
    """The arms, on one broker."""

    def __init__(self, mosquitto: Mosquitto, folder: Path, count: int, per_second: int) -> None:
        self.mosquitto, self.folder, self.count, self.per_second = mosquitto, folder, count, per_second
        self.made = write(folder / "made.mcap", traffic(count, per_second))
        self.expected = per_topic(traffic(count, per_second))
        self.one = write(folder / "one.mcap", traffic(1, per_second))
        self.idle_us = min(run(self._replay(self.one, "max"))[0] for _ in range(3))

    def ours(self, source: Path, name: str, speed: str) -> dict[str, Any]:
        """Replay `source`, record it, compare."""
        target = self.folder / f"{name}.mcap"
        address = f"127.0.0.1:{self.mosquitto.port}"
        command = [*EDGE, "record", str(target), "--broker", address, "--topic", "bench/#", "--quiet", "--force"]
        listener = Listener(self.mosquitto, target, command)
        replay_us, output, rss = run(self._replay(source, speed))
        record_us = listener.finish(lambda: sum(message.topic != PROBE for message in read(target)) >= self.count)
        report = json.loads(output)
        return {
            "speed": speed,
            "messages": report["messages"],
            "messages_per_s": report["messages_per_s"],
            "record_cpu_us_per_message": round(record_us / self.count, 1),
            "replay_cpu_us_per_message": round((replay_us - self.idle_us) / self.count, 1),
            "identical_per_topic": per_topic(read(target)) == self.expected,
            "replay_rss_peak_bytes": rss,
            **{name: value for name, value in report.items() if name.startswith("pacing")},
        }

    def theirs(self, recorder: Path) -> dict[str, Any]:
        """mqtt-recorder with the same traffic: it records, then replays its file."""
        target = self.folder / "theirs.csv"
        target.unlink(missing_ok=True)
        base = [str(recorder), "--host", "127.0.0.1", "--port", str(self.mosquitto.port), "--encode_b64", "--qos", "1"]
        base += ["--csv_field_size_limit", "10000000", "--file"]
        listener = Listener(self.mosquitto, target, [*base, str(target), "--mode", "record", "--topic", "bench/#"])
        run(self._replay(self.made, "1"))
        record_us = listener.finish(lambda: sum(1 for message in read(target) if message.topic != PROBE) >= self.count)
        same = per_topic(read(target), with_properties=False) == per_topic(
            traffic(self.count, self.per_second), with_properties=False
        )
        one = self.folder / "one.csv"
        one.write_text(target.read_text().partition("\n")[0] + "\n")
        idle_us = min(run([*base, str(one), "--mode", "replay"])[0] for _ in range(2))
        replay_us, _, rss = run([*base, str(target), "--mode", "replay"])
        return {
            "record_cpu_us_per_message": round(record_us / self.count, 1),
            "replay_cpu_us_per_message": round((replay_us - idle_us) / self.count, 1),
            "identical_per_topic_but_for_properties": same,
            "replay_rss_peak_bytes": rss,
        }

    def large(self, gigabytes: float) -> dict[str, Any]:
        """A capture of this size at full speed: memory and throughput."""
        path, wanted = self.folder / "large.mcap", int(gigabytes * 1e9)
        payloads = [random.Random(SEED + i).randbytes(60_000) for i in range(40)]
        writer, count = McapWriter(path, overwrite=True), 0
        while writer.bytes_written < wanted:
            body = count.to_bytes(8) + payloads[count % 40]
            writer.write(Message(10**18 + count, f"bench/large/{count % DEVICES}", 1, False, b"", body))
            count += 1
        writer.close()
        used_us, output, rss = run(self._replay(path, "max"))
        report = json.loads(output)
        size = path.stat().st_size
        path.unlink()
        return {
            "file_bytes": size,
            "messages": report["messages"],
            "messages_per_s": report["messages_per_s"],
            "replay_cpu_us_per_message": round((used_us - self.idle_us) / count, 1),
            "replay_rss_peak_bytes": rss,
        }

    def _replay(self, path: Path, speed: str) -> list[str]:
        address = f"127.0.0.1:{self.mosquitto.port}"
        return [*EDGE, "replay", str(path), "--broker", address, "--speed", speed, "--json", "--quiet"]


def mqtt_recorder() -> Path:
    """mqtt-recorder's program, installed where nothing else is."""
    folder = ROOT / "var" / "mqtt-recorder"
    program = folder / "bin" / "mqtt-recorder"
    if not program.exists():
        uv = str(ROOT / ".venv" / "bin" / "uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", str(folder)], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), "mqtt-recorder==1.4.0"],
            check=True,
        )
    return program


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load_average_before": [round(value, 1) for value in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "mcap": importlib.metadata.version("mcap"),
        "mqtt_recorder": "1.4.0",
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="length of the traffic (default 60)")
    parser.add_argument("--per-second", type=int, default=1_000, help="messages per second (default 1000)")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the large capture (default 1)")
    parser.add_argument("--arms", default="ours,theirs,large", help="default: ours,theirs,large")
    parser.add_argument("--output", type=Path, default=ROOT / "var" / "bench" / "capture.json")
    flags = parser.parse_args()
    arms = flags.arms.split(",")
    report: dict[str, Any] = json.loads(flags.output.read_text()) if flags.output.exists() and len(arms) < 3 else {}
    about = machine() | {"seconds": flags.seconds, "per_second": flags.per_second}
    with tempfile.TemporaryDirectory(prefix="bench-capture-") as name:
        folder = Path(name)
        mosquitto = Mosquitto(folder, free_port())
        try:
            bench = Bench(mosquitto, folder, flags.seconds * flags.per_second, flags.per_second)
            about["mosquitto"] = mosquitto.version
            if "ours" in arms:
                report["ours_1x"] = {**bench.ours(bench.made, "first", "1"), "circumstances": about}
                report["ours_10x"] = {**bench.ours(bench.made, "second", "10"), "circumstances": about}
            if "theirs" in arms:
                report["mqtt_recorder_1x"] = {**bench.theirs(mqtt_recorder()), "circumstances": about}
            if "large" in arms:
                report["large"] = {**bench.large(flags.gigabytes), "circumstances": about}
        finally:
            mosquitto.stop()
    report["mqtt_recorder_documented_cpu_us_per_message"] = DOCUMENTED_US
    flags.output.parent.mkdir(parents=True, exist_ok=True)
    flags.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    if not all(report[arm]["identical_per_topic"] for arm in ("ours_1x", "ours_10x") if arm in report):
        raise SystemExit("what was recorded is not what was sent")


if __name__ == "__main__":
    main()
