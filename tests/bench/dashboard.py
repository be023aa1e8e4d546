"""How soon a reading is on the live page's map, how many frames a second that page has, and what its server takes.

A real Mosquitto, the dashboard's own process, and one page in headless Chromium, which draws by software.

Delays: `smartcity-sim run`, its vehicles at real time, a GPS burst and an OBD poll per vehicle and second. A delay is
the time from the `senttime` that the device's process writes when it publishes to the frame in which the page draws
the sighting, both by this machine's clock; every sighting that is drawn counts.

Frames: the page's animation frames, with vehicles that drive fast enough (tests/live_devices.py) for every frame to be
painted anew, again with a burst and a poll per vehicle and second. Writes var/bench/dashboard.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from browser import CHROMIUM, Seen, chromium, dashboard, mosquitto, seen
from live_devices import Convoy, Repeating, Wire
from machine import machine
from process import cpu_s

from smartcity.contracts.routes import ROUTE_NAMES

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR = Path(sys.executable).with_name("smartcity-sim")
TAKEN = "import('/static/live/measure.js').then(measure => measure.taken())"
DRIVING = """async count => {
  const { page } = await import('/static/live/main.js');
  const drives = vehicle => vehicle.motion && page.city.silence(vehicle, performance.now()) < 3;
  return [...page.city.vehicles.values()].filter(drives).length >= count;
}"""
FAST_KMH = 5000.0
TICKS_PER_S = 20
SETTLE_S = 5.0


def measure(folder: Path, fleet: Callable[[int, Path], AbstractContextManager[int | None]], options: Any) -> Any:
    """One phase: a gateway, a dashboard, a fleet, a page.

    Args:
        fleet: starts the vehicles at a gateway's port, with a folder of their own; gives their process, if any.

    Raises:
        SystemExit: no sighting was drawn, or the page complains.
    """
    vehicles, seconds = options
    folder.mkdir()
    folder.chmod(0o755)
    with (
        mosquitto(folder) as port,
        dashboard(folder, port) as running,
        chromium() as browser,
        fleet(port, folder) as pid,
        seen(browser, running.url) as page,
    ):
        page.page.wait_for_function(DRIVING, arg=vehicles, timeout=240_000)
        page.page.wait_for_timeout(1000 * SETTLE_S)
        processes = {"server": psutil.Process(running.process.pid)}
        if pid is not None:
            processes["simulator"] = psutil.Process(pid)
        found = window(page, processes, seconds)
        if page.complaints:
            raise SystemExit(f"the page complains: {page.complaints[:3]}")
    return {"vehicles": vehicles, **found}


def simulated(vehicles: int) -> Callable[[int, Path], AbstractContextManager[int | None]]:
    """`smartcity-sim run`, as a user runs it."""

    @contextmanager
    def fleet(port: int, folder: Path) -> Iterator[int | None]:
        command = [str(SIMULATOR), "run", "--vehicles", str(vehicles // 2), "--broker", f"127.0.0.1:{port}", "--quiet"]
        command += ["--confirm", "puback", "--until", "never", "--departures-s", "5", "--state", str(folder / "state")]
        with (folder / "simulator.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    return fleet


def racing(vehicles: int) -> Callable[[int, Path], AbstractContextManager[int | None]]:
    """Vehicles that nobody could drive, out of this process."""

    @contextmanager
    def fleet(port: int, folder: Path) -> Iterator[int | None]:
        wire = Wire(port)
        convoys = [Convoy(wire, road, vehicles // 2, kmh=FAST_KMH, prefix=road[:2]) for road in ROUTE_NAMES]
        share = vehicles // 2 // TICKS_PER_S

        def drive() -> None:
            for convoy in convoys:
                convoy.drive_some(share)

        with Repeating(TICKS_PER_S, drive):
            yield None
        wire.close()

    return fleet


def window(page: Seen, processes: dict[str, psutil.Process], seconds: float) -> dict[str, Any]:
    """What the page and the processes do in so many seconds."""
    page.page.evaluate(TAKEN)
    begun, before = time.monotonic(), {name: cpu_s(process) for name, process in processes.items()}
    page.page.wait_for_timeout(1000 * seconds)
    wall_s = time.monotonic() - begun
    used = {f"{name}_cpu_cores": round((cpu_s(each) - before[name]) / wall_s, 3) for name, each in processes.items()}
    taken = page.page.evaluate(TAKEN)
    delays, frames = sorted(taken["delays"]), taken["frames"]
    if not delays or len(frames) < 2:
        raise SystemExit("the page drew nothing")
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(frames))
    span_s = (frames[-1] - frames[0]) / 1000
    return {
        "delay_ms": {"p50": at(delays, 0.5), "p99": at(delays, 0.99), "max": delays[-1], "sightings": len(delays)},
        "frames_per_s": round((len(frames) - 1) / span_s, 1),
        "painted_per_s": round(len(taken["painted"]) / span_s, 1),
        "frame_gap_ms": {"p50": round(at(gaps, 0.5), 1), "p99": round(at(gaps, 0.99), 1), "max": round(gaps[-1], 1)},
        "server_rss_mb": round(processes["server"].memory_info().rss / 1e6, 1),
        **used,
        "seconds": round(wall_s, 1),
    }


def at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def version() -> str:
    asked = subprocess.run([str(CHROMIUM), "--version"], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="example: python tests/bench/dashboard.py --seconds 30"
    )
    parser.add_argument(
        "--vehicles", type=int, default=200, help="for the delays, on both roads together (default 200)"
    )
    parser.add_argument("--many", type=int, default=500, help="for the frames (default 500)")
    parser.add_argument("--seconds", type=float, default=60, help="measured, of each (default 60)")
    parser.add_argument("--json", type=Path, default=ROOT / "var/bench/dashboard.json", help="where to write")
    options = parser.parse_args()
    if CHROMIUM is None:
        raise SystemExit("dashboard: no Chromium: `make setup-tests` installs it")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    with tempfile.TemporaryDirectory(prefix="bench-dashboard-") as name:
        # Mosquitto, started by root, becomes another user, who must be able to pass through.
        Path(name).chmod(0o711)
        loaded = os.getloadavg()[0]
        found = {
            "delays": measure(
                Path(name) / "delays", simulated(options.vehicles), (options.vehicles, options.seconds)
            ),
            "frames": measure(Path(name) / "frames", racing(options.many), (options.many, options.seconds)),
            "viewport": "1280x720",
            "load_average_before": round(loaded, 2),
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": {
                "python": platform.python_version(),
                "chromium": version(),
                "playwright": importlib.metadata.version("playwright"),
            },
        }  # fmt: skip
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
