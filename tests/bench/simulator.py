"""What a fleet costs: `smartcity-sim run --vehicles N` as a user runs it, one GPS reading per vehicle and second.

Each vehicle has its own connection to a real Mosquitto; outbox (synced to disk) and envelope are on. Receipts come
from a stand-in for bridge and Kafka (receipts.py), a process of its own. CPU is user plus system time of the whole
process. Lag is the time from a reading's event time to its reception behind the gateway, of every reading; a vehicle
measures at its own hundredth of each second, so what falls due is spread over the second. Figures are medians over the
windows, which begin when all vehicles are connected and drive; of lags, the worst second. Then the same fleet without
the vehicle model (constant payloads, the same spread: the floor), and one vehicle alone. Fails where a reading was
refused, dropped, or missing. Writes var/bench/simulator.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from machine import machine
from process import cpu_s
from services import Mosquitto, free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR = Path(sys.executable).with_name("smartcity-sim")
HERE = Path(__file__).parent
OPEN_FILES = 16_384
"""For Mosquitto and simulator; fewer where the hard limit is lower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """The processes that are measured, and where the giver of receipts reports to."""

    folder: Path
    mosquitto: Mosquitto
    giver: subprocess.Popen[bytes]
    report: Path

    def told(self) -> dict[str, Any]:
        """The giver's latest report."""
        return dict(json.loads(self.report.read_text()))

    def told_next(self) -> dict[str, Any]:
        """Its next report, so that a window begins and ends with one."""
        before = self.told()["at"]
        wait_for("a report of the giver of receipts", lambda: self.told()["at"] > before, 10, 0.01)
        return self.told()


def window(rig: Rig, simulator: psutil.Process, window_s: float) -> dict[str, float]:
    """One window of the steady state: rates and CPU per process, the worst lags of its seconds."""
    processes = {
        "simulator": simulator,
        "receipt_giver": psutil.Process(rig.giver.pid),
        "mosquitto": psutil.Process(rig.mosquitto.pid),
    }
    begin = rig.told_next()
    before = {name: cpu_s(process) for name, process in processes.items()}
    seconds: list[dict[str, Any]] = []
    end = begin
    while end["at"] < begin["at"] + window_s:
        end = rig.told_next()
        seconds.append(end["lag_s"] or {"max": float("inf"), "p99": float("inf"), "p50": float("inf")})
    used = {name: cpu_s(process) - before[name] for name, process in processes.items()}
    wall_s = end["at"] - begin["at"]
    readings = end["readings"] - begin["readings"]
    return {
        "readings_per_s": readings / wall_s,
        "cpu_cores": used["simulator"] / wall_s,
        "cpu_us_per_reading": 1e6 * used["simulator"] / max(readings, 1),
        "receipt_giver_cpu_cores": used["receipt_giver"] / wall_s,
        "mosquitto_cpu_cores": used["mosquitto"] / wall_s,
        "lag_max_s": max(second["max"] for second in seconds),
        "lag_p99_s": max(second["p99"] for second in seconds),
        "lag_p50_s": statistics.median(second["p50"] for second in seconds),
        "rss_mb": simulator.memory_info().rss / 1e6,
        "duplicates": end["duplicates"] - begin["duplicates"],
        "gaps": end["gaps"] - begin["gaps"],
    }


def steady(rig: Rig, vehicles: int) -> bool:
    """Whether every vehicle drove in the last second: as many readings in it as there are vehicles, all different."""
    before, after = rig.told(), rig.told_next()
    per_s = (after["readings"] - before["readings"]) / (after["at"] - before["at"])
    return bool(after["devices"] >= vehicles and per_s >= 0.97 * vehicles)


def measure(rig: Rig, command: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """A fleet from its start to its end; medians over the windows.

    Raises:
        SystemExit: a reading was refused, dropped or lost, or the fleet does not come to its rate.
    """
    log = rig.folder / "simulator.log"
    with log.open("wb") as errors:
        started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        begun = time.monotonic()
        wait_for(f"all vehicles drive (see {log})", lambda: steady(rig, options.vehicles), 240)
        ready_s = time.monotonic() - begun
        process = psutil.Process(started.pid)
        windows = []
        for number in range(options.windows):
            windows.append(found := window(rig, process, options.window_s))
            print(
                f"  window {number + 1}: {found['readings_per_s']:.0f} readings/s, {found['cpu_cores']:.3f} cores, "
                f"{found['cpu_us_per_reading']:.1f} µs/reading, lag max {found['lag_max_s']:.2f} s", flush=True,
            )  # fmt: skip
        started.send_signal(signal.SIGTERM)
        out, _ = started.communicate(timeout=60)
    finally:
        started.kill()
        started.wait()
    if started.returncode != 0:
        raise SystemExit(f"the simulator failed: {log.read_text()[-2000:]}")
    ended = json.loads(out)
    outcome = {name: ended[name] for name in ("published", "confirmed", "pending", "refused", "dropped")}
    generated = sum(ended["generated"].values())
    if ended["refused"] or ended["dropped"] or generated != ended["confirmed"] + ended["pending"]:
        raise SystemExit(f"of {generated} readings: {outcome}")
    worst = ("lag_max_s", "lag_p99_s", "rss_mb", "duplicates", "gaps")
    medians = {
        name: round((max if name in worst else statistics.median)(found[name] for found in windows), 3)
        for name in windows[0]
    }
    return {**medians, "ready_after_s": round(ready_s, 1), "generated": generated, **outcome, "windows": windows}


def one_vehicle_rss_mb(rig: Rig, streams: str, readings: int) -> float:
    """Largest RSS of a simulator with one vehicle, after it has sent so many readings."""
    state = rig.folder / f"one-{streams.replace(',', '-')}"
    outbox = state / "outbox.db"
    command = fleet_command(rig, state, 1, "--streams", streams)
    with (rig.folder / "one.log").open("wb") as errors:
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)

    def confirmed() -> bool:
        if not outbox.exists():
            return False
        with sqlite3.connect(f"file:{outbox}?mode=ro", uri=True) as db:
            try:
                logged, pending = (db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("log", "pending"))
            except sqlite3.OperationalError:  # Not made yet.
                return False
        return bool(logged - pending >= readings)

    try:
        wait_for("one vehicle's readings are confirmed", confirmed, 60)
        return round(psutil.Process(started.pid).memory_info().rss / 1e6, 1)
    finally:
        started.terminate()
        started.wait(30)


def fleet_command(rig: Rig, state: Path, vehicles: int, *more: str) -> list[str]:
    return [
        str(SIMULATOR), "run", "--route", "waterloo-toronto", "--vehicles", str(vehicles), "--until", "never",
        "--departures-s", "10", "--broker", f"127.0.0.1:{rig.mosquitto.port}", "--state", str(state), "--quiet",
        "--json", *more,
    ]  # fmt: skip


def with_rig(folder: Path, work: Callable[[Rig], Any]) -> Any:
    """A Mosquitto and a giver of receipts of one's own."""
    folder.mkdir()
    folder.chmod(0o755)
    mosquitto = Mosquitto(folder, free_port())
    report = folder / "receipts.json"
    giver = subprocess.Popen([sys.executable, str(HERE / "receipts.py"), str(mosquitto.port), str(report)])
    try:
        wait_for("the giver of receipts", report.exists, 10)
        return work(Rig(folder=folder, mosquitto=mosquitto, giver=giver, report=report))
    finally:
        giver.terminate()
        giver.wait(10)
        mosquitto.stop()


def make_room() -> None:
    """Children inherit it: Mosquitto needs an open file per connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: python tests/bench/simulator.py --vehicles 1000 --window-s 5 --no-floor",
    )
    parser.add_argument("--vehicles", type=int, default=10_000, help="one connection each")
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--window-s", type=float, default=20.0, help="seconds per window")
    parser.add_argument("--no-floor", action="store_true", help="leave out the fleet without vehicle model")
    parser.add_argument("--json", type=Path, default=ROOT / "var/bench/simulator.json", help="where to write")
    options = parser.parse_args()
    make_room()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # So that what was started is ended.
    with tempfile.TemporaryDirectory(prefix="bench-simulator-", dir=state_folder()) as name:
        folder = Path(name)
        folder.chmod(0o755)
        figures = report(folder, options)
    print(json.dumps(figures, indent=2))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=2) + "\n")


def state_folder() -> Path:
    """On the project's disk: a temporary folder may be in memory, where a sync costs nothing."""
    folder = ROOT / "var"
    folder.mkdir(exist_ok=True)
    return folder


def report(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    print(f"{options.vehicles} vehicles", flush=True)
    one_streams = "gps,vehicle"

    def work(rig: Rig) -> tuple[dict[str, Any], str]:
        command = fleet_command(rig, folder / "fleet-state", options.vehicles, "--streams", "gps")
        return measure(rig, command, options), rig.mosquitto.version

    fleet, mosquitto = with_rig(folder / "fleet", work)
    one = with_rig(folder / "one", lambda rig: one_vehicle_rss_mb(rig, one_streams, 20))
    floor = None
    if not options.no_floor:
        print("without the vehicle model", flush=True)
        floor = with_rig(
            folder / "floor",
            lambda rig: measure(
                rig,
                [
                    sys.executable, str(HERE / "bare_fleet.py"), str(rig.mosquitto.port), str(folder / "floor-state"),
                    str(options.vehicles),
                ],
                options,
            ),
        )  # fmt: skip
    return {
        "vehicles": options.vehicles,
        "readings_per_s": fleet["readings_per_s"],
        "cpu_cores": fleet["cpu_cores"],
        "rss_mb": fleet["rss_mb"],
        "one_vehicle_rss_mb": one,
        "one_vehicle_streams": one_streams,
        "cpu_us_per_reading": fleet["cpu_us_per_reading"],
        "rss_kb_per_device": round((fleet["rss_mb"] - one) * 1e3 / options.vehicles, 1),
        "lag_s": {"max": fleet["lag_max_s"], "p99": fleet["lag_p99_s"], "p50": fleet["lag_p50_s"]},
        "lag_is": "from a reading's event time (its vehicle's own hundredth of the second, as in its NMEA sentences) to"
        " its reception behind the gateway, every reading; max and p99: the worst second of all windows",
        "refused": fleet["refused"],
        "dropped": fleet["dropped"],
        "duplicates": fleet["duplicates"],
        "fleet": fleet,
        "floor_without_vehicle_model": floor,
        "windows": options.windows,
        "window_s": options.window_s,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {
            "python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "mosquitto": mosquitto,
            "smartcity-sim": importlib.metadata.version("smartcity-sim"),
        },
        "open_files": os.sysconf("SC_OPEN_MAX"),
    }  # fmt: skip


if __name__ == "__main__":
    main()
