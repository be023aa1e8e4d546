"""What 10,000 and 1,000,000 vehicles need: the measured figures of docs/measured, multiplied.

    python tests/bench/scale.py --write      # renders the tables of docs/scale.md; --check exits 1 where they differ

Everything here is arithmetic. What is measured comes from the JSON files; what is assumed stands in `Assumptions` and
`Prices`, and is rendered beside the results.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from smartcity.aws.costs import Prices as StackPrices

LISTED = StackPrices()
"""Those that `smartcity-aws plan` reckons with."""

ROOT = Path(__file__).parents[2]
PAGE = Path("docs/scale.md")
MEASURED = Path("docs/measured")
READINGS = Path("contracts/released/readings-v1.jsonl")
FLEETS = (10_000, 1_000_000)
HOURS = 730
"""In a month, as AWS counts."""
SECONDS = HOURS * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What no benchmark of ours says, with its reason."""

    frames_per_vehicle_s: float = 0.001
    """One camera per 100 vehicles, one frame in 10 s."""
    weather_per_vehicle_s: float = 1 / 60_000
    """One station per 1,000 vehicles, one report a minute."""
    emergency_per_vehicle_s: float = 1 / 600_000
    """One step of an incident a minute per 10,000 vehicles."""
    frame_bytes: int = 30_045
    """As in the bridge's benchmark."""
    use_max: float = 0.5
    """Of a core, so that a backlog is caught up with at the rate at which it came."""
    kafka_mb_per_broker_s: float = 20.0
    """Written by producers, before replication, to a broker of 4 vCPU."""
    kafka_mb_per_partition_s: float = 5.0
    kafka_replicas: int = 3
    trigger_s: float = 10.0
    rows_per_file: int = 200_000
    lookup_gets_per_file: float = 6.0
    """Where a batch fills more than one file: footer and two columns, in the files of two batches."""
    lake_bytes_per_row: int = 87
    """Parquet files of 2,700 to 4,500 GPS and OBD rows of a simulated drive had 85 to 89."""
    memory_gb_per_core: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars, us-east-1, on demand, list price."""

    ec2_m7g_large_h: float = 0.0816
    msk_m7g_xlarge_h: float = 0.408
    msk_storage_gb_month: float = 0.10
    emr_vcpu_h: float = LISTED.emr_vcpu_h
    emr_gb_h: float = LISTED.emr_gb_h
    s3_put_1000: float = LISTED.s3_put_1000
    s3_get_1000: float = LISTED.s3_get_1000
    s3_gb_month: float = LISTED.s3_gb_month


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Per reading, on one core of the machine that is named in the files."""

    gateway_us: float
    bridge_us: dict[str, float]
    bridge_live_us: float
    """What the bridge takes more where messages come singly (weather at 2,000/s) than from a backlog."""
    lake_records_per_cpu_s: float
    record_bytes: dict[str, float]
    """Kafka records: key, value and headers."""
    s3: dict[str, float]
    """Requests per batch."""
    puts_per_frame: float


STREAM_OF = {
    "gps_data": "gps", "vehicle_data": "vehicle", "traffic_data": "camera", "weather_data": "weather",
    "emergency_data": "emergency",
}  # fmt: skip


def read(root: Path, assumed: Assumptions) -> Measured:
    def load(name: str) -> Any:
        return json.loads((root / MEASURED / name).read_text(encoding="utf-8"))

    bridge, simulator, lake, s3 = (load(f"{name}.json") for name in ("bridge", "simulator", "lake", "s3-requests"))
    fleet = simulator["fleet"]
    return Measured(
        gateway_us=1e6 * fleet["mosquitto_cpu_cores"] / fleet["readings_per_s"],
        bridge_us={name: bridge["arms"][name]["cpu_us"] for name in STREAM_OF.values()},
        bridge_live_us=bridge["live"]["weather"]["cpu_us"] - bridge["arms"]["weather"]["cpu_us"],
        lake_records_per_cpu_s=lake["records_per_cpu_s"],
        record_bytes=record_bytes(root, assumed),
        s3=s3["per_batch"],
        puts_per_frame=s3["puts_per_frame"],
    )


def record_bytes(root: Path, assumed: Assumptions) -> dict[str, float]:
    """Mean size by stream of the readings that are kept with the contract; a frame counts as assumed."""
    sizes: dict[str, list[int]] = {}
    for line in (root / READINGS).read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        size = len(record["key"]) + sum(len(name) + len(text.encode()) for name, text in record["headers"])
        size += len(record["value"].encode()) if "value" in record else assumed.frame_bytes
        sizes.setdefault(STREAM_OF[record["topic"]], []).append(size)
    return {name: sum(found) / len(found) for name, found in sizes.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Of one fleet. Sizes in MB and GB are decimal."""

    vehicles: int
    readings_s: float
    kafka_mb_s: float
    gateways: int
    vehicles_per_gateway: int
    bridge_core: float
    brokers: int
    partitions: int
    kafka_gb_day: float
    cores: int
    puts_s: float
    gets_s: float
    lake_gb_day: float
    dollars: dict[str, float]


def rates(vehicles: int, assumed: Assumptions) -> dict[str, float]:
    """Readings per second by stream."""
    return {
        "gps": vehicles,
        "vehicle": vehicles,
        "camera": vehicles * assumed.frames_per_vehicle_s,
        "weather": vehicles * assumed.weather_per_vehicle_s,
        "emergency": vehicles * assumed.emergency_per_vehicle_s,
    }


def need(vehicles: int, measured: Measured, assumed: Assumptions, prices: Prices) -> Need:
    rate = rates(vehicles, assumed)
    total = sum(rate.values())
    kafka_mb_s = sum(rate[name] * measured.record_bytes[name] for name in rate) / 1e6
    gateways = math.ceil(total * measured.gateway_us / 1e6 / assumed.use_max)
    bridge_us = sum(rate[name] * measured.bridge_us[name] for name in rate) / total + measured.bridge_live_us
    brokers = max(3, math.ceil(kafka_mb_s / assumed.kafka_mb_per_broker_s))
    cores = math.ceil(total / measured.lake_records_per_cpu_s / assumed.use_max)
    # A batch is read in as many tasks as there are cores, so the two large topics need as many partitions together.
    partitions = max(2, math.ceil(cores / 2), math.ceil(kafka_mb_s / 2 / assumed.kafka_mb_per_partition_s))
    more_files = sum(math.floor(r * assumed.trigger_s / assumed.rows_per_file) for r in rate.values())
    puts = measured.s3.get("PUT", 0) + measured.s3.get("POST", 0) + measured.s3.get("LIST", 0) + more_files
    gets = measured.s3.get("GET", 0) + measured.s3.get("HEAD", 0) + more_files * assumed.lookup_gets_per_file
    puts_s = puts / assumed.trigger_s + rate["camera"] * measured.puts_per_frame
    gets_s = gets / assumed.trigger_s
    kafka_gb_day = kafka_mb_s * 86.4 * assumed.kafka_replicas
    row_gb_day = total * assumed.lake_bytes_per_row * 86_400 / 1e9
    frame_gb_day = rate["camera"] * assumed.frame_bytes * 86_400 / 1e9
    dollars = {
        "gateways and bridges (EC2)": gateways * prices.ec2_m7g_large_h * HOURS,
        "Kafka's brokers (MSK)": brokers * prices.msk_m7g_xlarge_h * HOURS,
        "Kafka's storage, per day kept": kafka_gb_day * prices.msk_storage_gb_month,
        "Spark (EMR Serverless)": cores * (prices.emr_vcpu_h + assumed.memory_gb_per_core * prices.emr_gb_h) * HOURS,
        "S3 requests": SECONDS * (puts_s * prices.s3_put_1000 + gets_s * prices.s3_get_1000) / 1000,
        "S3 storage, after 30 days": 30 * (row_gb_day + frame_gb_day) * prices.s3_gb_month,
    }
    return Need(
        vehicles=vehicles, readings_s=total, kafka_mb_s=kafka_mb_s, gateways=gateways,
        vehicles_per_gateway=math.ceil(vehicles / gateways), bridge_core=total / gateways * bridge_us / 1e6,
        brokers=brokers, partitions=partitions, kafka_gb_day=kafka_gb_day, cores=cores, puts_s=puts_s, gets_s=gets_s,
        lake_gb_day=row_gb_day + frame_gb_day, dollars=dollars,
    )  # fmt: skip


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def measured_table(m: Measured) -> str:
    bridge = ", ".join(f"{name} {value:g}" for name, value in m.bridge_us.items())
    size = ", ".join(f"{name} {value:,.0f}" for name, value in m.record_bytes.items())
    s3 = ", ".join(f"{name} {value:g}" for name, value in m.s3.items())
    return table(
        ["measured", "value", "from"],
        [
            ["Mosquitto: CPU per reading, receipt included", f"{m.gateway_us:.1f} µs", "simulator.json, `fleet`"],
            ["bridge: CPU per reading of a backlog", f"{bridge} µs", "bridge.json, `arms`"],
            ["bridge: more per reading where they come singly", f"{m.bridge_live_us:.1f} µs", "bridge.json, `live`"],
            ["lake: records per CPU-second", f"{m.lake_records_per_cpu_s:,.0f}", "lake.json"],
            ["Kafka record, uncompressed", f"{size} B", "readings-v1.jsonl; frame assumed"],
            ["S3 requests per batch of five tables", s3, "s3-requests.json"],
            ["PUTs per frame", f"{m.puts_per_frame:g}", "s3-requests.json"],
        ],
    )


def needs_table(found: list[Need]) -> str:
    def row(name: str, *values: str) -> list[str]:
        return [name, *values]

    rows = [
        row("readings per second", *(f"{n.readings_s:,.0f}" for n in found)),
        row("into Kafka", *(f"{n.kafka_mb_s:,.1f} MB/s" for n in found)),
        row("gateways, each with its bridge", *(f"{n.gateways:,}" for n in found)),
        row("vehicles per gateway", *(f"{n.vehicles_per_gateway:,}" for n in found)),
        row("of a core, per bridge", *(f"{n.bridge_core:.2f}" for n in found)),
        row("Kafka brokers", *(f"{n.brokers:,}" for n in found)),
        row("partitions of `gps_data` and of `vehicle_data`", *(f"{n.partitions:,}" for n in found)),
        row("Kafka's disk per day kept, three replicas", *(f"{n.kafka_gb_day:,.0f} GB" for n in found)),
        row("Spark cores", *(f"{n.cores:,}" for n in found)),
        row("S3: PUT, POST and LIST per second", *(f"{n.puts_s:,.1f}" for n in found)),
        row("S3: GET and HEAD per second", *(f"{n.gets_s:,.1f}" for n in found)),
        row("lake grows per day", *(f"{n.lake_gb_day:,.0f} GB" for n in found)),
    ]
    return table(["", *(f"{n.vehicles:,} vehicles" for n in found)], rows)


def dollars_table(found: list[Need]) -> str:
    rows = [[name, *(f"{n.dollars[name]:,.0f}" for n in found)] for name in found[0].dollars]
    rows.append(["**sum**", *(f"**{sum(n.dollars.values()):,.0f}**" for n in found)])
    rows.append(["per vehicle", *(f"{sum(n.dollars.values()) / n.vehicles:.3f}" for n in found)])
    return table(["US dollars a month", *(f"{n.vehicles:,} vehicles" for n in found)], rows)


def values_table(value: Assumptions | Prices, name: str) -> str:
    rows = [[f"`{field.name}`", f"{getattr(value, field.name):.6g}"] for field in fields(value)]
    return table([name, "value"], rows)


def render(root: Path) -> str:
    """The page, with its tables made anew between their markers."""
    assumed, prices = Assumptions(), Prices()
    measured = read(root, assumed)
    found = [need(vehicles, measured, assumed, prices) for vehicles in FLEETS]
    made = {
        "measured": measured_table(measured),
        "needs": needs_table(found),
        "dollars": dollars_table(found),
        "assumptions": values_table(assumed, "assumed"),
        "prices": values_table(prices, "price"),
    }
    page = (root / PAGE).read_text(encoding="utf-8")
    for name, text in made.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page, count = between.subn(lambda marks, text=text: f"{marks[1]}{text}\n{marks[2]}", page)
        if count != 1:
            raise SystemExit(f"{PAGE}: there must be one place marked {name}")
    return page


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    page = render(ROOT)
    if options.write:
        (ROOT / PAGE).write_text(page, encoding="utf-8")
        return 0
    if page == (ROOT / PAGE).read_text(encoding="utf-8"):
        return 0
    print(f"{PAGE} does not show docs/measured: run `python tests/bench/scale.py --write`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
