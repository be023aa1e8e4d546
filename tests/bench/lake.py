"""Records per second of CPU from Kafka into the lake, beside the way tutorials write it, and the floor of both.

Kafka is filled once, with the bridge's own records. Each arm reads all of it in batches of one size, in a JVM of its
own; its CPU is that of driver, JVM and Python workers. What was used before the warm-up's records is not counted.
Kafka and the S3 endpoint are not counted either: they serve every arm alike. Writes var/bench/lake.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from lake_arm import ARMS
from lake_records import MIX, fill
from machine import machine

from smartcity.local.jars import link_jars
from smartcity.local.layout import Layout, default_var
from smartcity.local.services.aws import AWS
from smartcity.local.services.kafka import KAFKA
from smartcity.local.services.lake import LAKE
from smartcity.local.services.s3 import S3
from smartcity.local.stack import Stack

ROOT = Path(__file__).resolve().parents[2]


def run(arm: str, stack: Stack, options: argparse.Namespace) -> dict[str, float]:
    """One arm over all records.

    Raises:
        SystemExit: it failed, or did not read all of them.
    """
    place = stack.place()
    environment = {**os.environ, **stack.environment(), **(LAKE.environment(place) if LAKE.environment else {})}
    shares = {stream: share / 100 for stream, share in MIX.items()}
    command = [sys.executable, str(Path(__file__).with_name("lake_arm.py")), arm, "--kafka", place.address("kafka")]
    command += ["--bucket", environment["SMARTCITY_BUCKET"], "--jars", str(place.layout.jars("spark"))]
    command += ["--batch", str(options.batch), "--shares", json.dumps(shares)]
    log = stack.layout.var / "log" / f"arm-{arm}.log"
    with log.open("ab") as errors:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines or lines[-1]["records"] < options.records:
        raise SystemExit(f"{arm} ended with {done.returncode} after {lines[-1:]}; see {log}")
    warm = next(line for line in lines if line["records"] >= options.warm_up)
    last = next(line for line in lines if line["records"] == lines[-1]["records"])
    records, cpu_s = last["records"] - warm["records"], last["cpu_s"] - warm["cpu_s"]
    return {
        "records_per_cpu_s": records / cpu_s,
        "records_per_s": records / (last["at"] - warm["at"]),
        "cpu_us_per_record": 1e6 * cpu_s / records,
    }


def report(
    runs: Mapping[str, list[dict[str, float]]], value_bytes: float, options: argparse.Namespace
) -> dict[str, Any]:
    medians = {
        arm: {key: round(statistics.median(one[key] for one in found), 2) for key in found[0]}
        | {"records_per_cpu_s_all": [round(one["records_per_cpu_s"]) for one in found]}
        for arm, found in runs.items()
    }
    return {
        **{
            f"{prefix}records_per_cpu_s": round(medians[arm]["records_per_cpu_s"])
            for prefix, arm in (("", "lake"), ("tutorial_", "tutorial"), ("floor_", "floor"))
            if arm in medians
        },
        "arms": medians,
        "records": options.records,
        "warm_up": options.warm_up,
        "batch": options.batch,
        "rounds": options.rounds,
        "mix_percent": MIX,
        "value_bytes_mean": round(value_bytes),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {"python": platform.python_version(), "pyspark": importlib.metadata.version("pyspark")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="example: python tests/bench/lake.py --records 200000 --rounds 1"
    )
    parser.add_argument("--records", type=int, default=1_000_000, help="in Kafka, of all streams")
    parser.add_argument("--warm-up", type=int, default=400_000, help="of them, not counted")
    parser.add_argument("--batch", type=int, default=100_000, help="records in a batch")
    parser.add_argument("--rounds", type=int, default=1, help="runs of every arm; the lake's tables start empty once")
    parser.add_argument("--arms", default=",".join(ARMS), help="which, separated by commas")
    parser.add_argument("--json", type=Path, default=ROOT / "var/bench/lake.json", help="where to write the figures")
    options = parser.parse_args()
    arms = options.arms.split(",")
    runs: dict[str, list[dict[str, float]]] = {arm: [] for arm in arms}
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-lake-") as name:
            stack = make_stack(Path(name) / "var")
            try:
                stack.up(progress=print, supervise=False)
                value_bytes = fill(stack.place().address("kafka"), options.records)
                print(f"Kafka holds {options.records} records of {value_bytes:.0f} bytes (frames left out)", flush=True)
                for arm in arms:
                    runs[arm].append(found := run(arm, stack, options))
                    print(
                        f"round {number + 1}  {arm:8}  {found['records_per_cpu_s']:8.0f} records per CPU-second  "
                        f"{found['records_per_s']:8.0f} per second  {found['cpu_us_per_record']:6.1f} µs",
                        flush=True,
                    )
            finally:
                stack.down()
    figures = report(runs, value_bytes, options)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def make_stack(var: Path) -> Stack:
    """Kafka, S3 and the local AWS; the jars are those of `make setup`."""
    link_jars(Layout(var=default_var()), Layout(var=var))
    return Stack(var, services=(S3, AWS, KAFKA))


if __name__ == "__main__":
    main()
