"""From the bridge's reception of a reading to the moment from which Athena shows it.

A whole stack as `smartcity up` starts it, maintenance and marts included; vehicles, cameras and weather stations at
real time; the local Athena asked every second, through boto3, which batches it sees. A reading counts as visible from
the moment at which the first query that saw its batch was started. Writes var/bench/visible.json.

What is measured, in the columns of each reading: bridge reception (`bridged_at`) → Kafka (`kafka_at`) → start of its
batch (`lake_at`) → visible.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import platform
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from machine import machine

from smartcity.aws.clients import client
from smartcity.aws.query import Result, run_query
from smartcity.aws.settings import from_environment
from smartcity.contracts.streams import STREAMS
from smartcity.local.demo_drive import SIMULATOR
from smartcity.local.errors import LocalError
from smartcity.local.jars import link_jars
from smartcity.local.layout import Layout, default_var
from smartcity.local.reach import at_lake
from smartcity.local.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
ASK_EVERY_S = 1.0
TRIGGER_S = 10.0
LOOK_BACK = timedelta(minutes=3)
"""How far before now a batch may have begun that is not seen yet: far more than one takes."""
DRAIN_TIMEOUT_S = 120.0

Group = tuple[str, datetime]
"""A table's share of one batch: stream, and `lake_at`. It is one commit, so its rows become visible together."""


class Eyes:
    """Asks Athena for what it shows, as a user would."""

    def __init__(self) -> None:
        self._settings = from_environment()
        self._athena = client("athena", self._settings)
        self.first_seen: dict[Group, float] = {}
        self._readings: dict[Group, int] = {}
        self.queries_s: list[float] = []

    def look(self) -> None:
        """One query over all tables.

        Raises:
            SystemExit: a batch's share of a table grew after it was first seen, so it was no single commit.
        """
        after = _literal(datetime.now(UTC) - LOOK_BACK)
        parts = [
            f"SELECT '{stream.name}' AS stream, lake_at, count(*) AS readings FROM {stream.table} "
            f"WHERE lake_at >= {after} GROUP BY lake_at"
            for stream in STREAMS
        ]
        started = time.time()
        answer = self.ask(" UNION ALL ".join(parts))
        self.queries_s.append(time.time() - started)
        for stream, lake_at, readings in answer.rows:
            group = (str(stream), _utc(lake_at))
            if self._readings.setdefault(group, readings) != readings:
                raise SystemExit(f"{group}: {self._readings[group]} readings at first, then {readings}")
            self.first_seen.setdefault(group, started)

    def ask(self, sql: str) -> Result:
        return run_query(sql, self._settings, athena=self._athena)

    def readings(self, first: datetime, end: datetime) -> list[tuple[str, datetime, datetime, datetime]]:
        """Stream, and the times at bridge, Kafka and batch, of what the bridge received from `first` up to `end`."""
        parts = [
            f"SELECT '{stream.name}' AS stream, bridged_at, kafka_at, lake_at FROM {stream.table} "
            f"WHERE bridged_at >= {_literal(first)} AND bridged_at < {_literal(end)}"
            for stream in STREAMS
        ]
        rows = self.ask(" UNION ALL ".join(parts)).rows
        return [(str(row[0]), _utc(row[1]), _utc(row[2]), _utc(row[3])) for row in rows]


def _literal(moment: datetime) -> str:
    return f"from_iso8601_timestamp('{moment.astimezone(UTC).isoformat(timespec='milliseconds')}')"


def _utc(moment: Any) -> datetime:
    """Athena prints timestamps in UTC."""
    found: datetime = moment
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def watch(stack: Stack, options: argparse.Namespace) -> dict[str, Any]:
    """Let the vehicles drive, look, and count.

    Raises:
        SystemExit: the devices could not deliver everything, or Athena does not show everything in time.
    """
    warm_s, measured_s = options.warm_up_s, options.minutes * 60
    command = [
        str(SIMULATOR),
        "run",
        "--broker",
        stack.addresses().mqtt,
        "--state",
        str(stack.layout.var / "sim/visible"),
    ]
    command += [
        "--vehicles",
        str(options.vehicles // 2),
        "--until",
        "never",
        "--departures-s",
        "10",
        "--quiet",
        "--speed",
        "1",
    ]
    command += ["--duration", str(warm_s + measured_s + 15)]
    eyes = Eyes()
    simulator = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        began = datetime.now(UTC)
        first, end = began + timedelta(seconds=warm_s), began + timedelta(seconds=warm_s + measured_s)
        while simulator.poll() is None:
            started = time.monotonic()
            eyes.look()
            time.sleep(max(0.0, ASK_EVERY_S - (time.monotonic() - started)))
    finally:
        simulator.send_signal(signal.SIGTERM) if simulator.poll() is None else None
        code = simulator.wait(60)
    if code != 0:
        raise SystemExit(f"the simulator ended with {code}: not everything was delivered")
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    while max((at for _, at in eyes.first_seen), default=began) < end + timedelta(seconds=TRIGGER_S):
        if time.monotonic() > deadline:
            break  # Nothing came after the end, so the last batch may have begun before it.
        eyes.look()
        time.sleep(ASK_EVERY_S)
    return figures(eyes, eyes.readings(first, end), lake_metrics(stack), options)


def figures(
    eyes: Eyes,
    readings: Sequence[tuple[str, datetime, datetime, datetime]],
    lake: dict[str, float],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """What is written.

    Raises:
        SystemExit: there are no readings, or one was never seen by a look.
    """
    if not readings:
        raise SystemExit("no reading arrived in the measured time")
    hops: dict[str, list[float]] = {"bridge_to_kafka": [], "kafka_to_batch": [], "batch_to_visible": []}
    whole, by_stream = [], {stream.name: [] for stream in STREAMS}
    for stream, bridged, kafka, batch in readings:
        seen = eyes.first_seen.get((stream, batch))
        if seen is None:
            raise SystemExit(f"the {stream} of the batch of {batch} was in the end there, but no look saw it")
        visible = datetime.fromtimestamp(seen, UTC)
        for name, (earlier, later) in zip(hops, ((bridged, kafka), (kafka, batch), (batch, visible)), strict=True):
            hops[name].append((later - earlier).total_seconds())
        whole.append((visible - bridged).total_seconds())
        by_stream[stream].append(whole[-1])
    return {
        **{f"visible_{name}": value for name, value in spread(whole).items()},
        "readings": len(readings),
        "batches": len({batch for _, _, _, batch in readings}),
        "hops": {name: spread(values) for name, values in hops.items()},
        "streams": {name: spread(values) | {"readings": len(values)} for name, values in by_stream.items() if values},
        "athena_query": spread(eyes.queries_s),
        "lake_metrics": lake,
        "trigger_s": TRIGGER_S,
        "vehicles": options.vehicles,
        "measured_s": options.minutes * 60,
        "warm_up_s": options.warm_up_s,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {"python": platform.python_version(), "pyspark": importlib.metadata.version("pyspark")},
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 (nearest rank) and the greatest, in seconds."""
    ordered = sorted(values)
    rank = {"p50_s": 0.50, "p95_s": 0.95, "max_s": 1.0}
    return {name: round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 3) for name, share in rank.items()}


def lake_metrics(stack: Stack) -> dict[str, float]:
    """How the driver's batches went: mean, and the last one by part."""
    with urllib.request.urlopen(f"{stack.addresses().lake_http}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    found = {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        if name.startswith(("lake_last_batch_part", "lake_batch_seconds_sum", "lake_batch_seconds_count"))
    }
    found["mean_batch_s"] = round(found["lake_batch_seconds_sum"] / max(1, found["lake_batch_seconds_count"]), 3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="example: python tests/bench/visible.py --vehicles 20 --minutes 4"
    )
    parser.add_argument("--vehicles", type=int, default=20, help="on both routes together (default 20)")
    parser.add_argument("--minutes", type=float, default=4, help="measured, at real time (default 4)")
    parser.add_argument("--warm-up-s", type=float, default=60, help="before that, not counted (default 60)")
    parser.add_argument("--json", type=Path, default=ROOT / "var/bench/visible.json", help="where to write the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-visible-") as name:
        # Mosquitto, started by root, becomes another user, who must be able to pass through.
        Path(name).chmod(0o711)
        stack = Stack(Path(name) / "var")
        link_jars(Layout(var=default_var()), stack.layout)
        try:
            stack.up(progress=print)
            with at_lake(stack):
                found = watch(stack, options)
        except LocalError as error:
            raise SystemExit(f"visible: {error}") from error
        finally:
            stack.down()
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
