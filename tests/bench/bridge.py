"""What a message costs in the bridge: drains of a persistent session, side by side with a paho-loop bridge.

Each arm drains the same number of QoS 1 messages, all acknowledged after Kafka has them. CPU is user plus system time
of the whole process, librdkafka's threads included, from the first message to the last acknowledgement: the gateway
is paused (SIGSTOP) while the bridge starts. Afterwards the session must be empty, or the run counts as failed.
Arms alternate within a round; figures are medians over the rounds. Some arms also get live flow: a steady rate into a
waiting bridge, with the latency from publishing to Kafka's append. Writes var/bench/bridge.json.
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
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from arms import PARTITIONS, RAW_TOPIC, Arm, Rig, arms
from live import live
from machine import machine
from process import cpu_s, main_thread_s, settle
from services import Kafka, Mosquitto, free_port, wait_for
from stages import stage_cpu_us
from wire import Session, publish

from smartcity.contracts.topics import KAFKA_TOPICS

ROOT = Path(__file__).resolve().parents[2]


def fill(port: int, arm: Arm, count: int) -> tuple[int, int]:
    """Queue messages for the bridge's session; mean bytes of payload and of packet."""
    session = Session(port, "bench")
    session.subscribe(arm.pattern)
    session.close()
    payload_bytes = packet_bytes = 0

    def packets() -> Iterator[bytes]:
        nonlocal payload_bytes, packet_bytes
        for number in range(count):
            topic, pairs, payload = arm.make(number)
            packet = publish(topic, number % 65_000 + 1, pairs, payload)
            payload_bytes += len(payload)
            packet_bytes += len(packet)
            yield packet

    publisher = Session(port, "filler")
    accepted = publisher.publish_all(packets(), 400)
    publisher.close()
    if accepted != count:
        raise SystemExit(f"the gateway accepted {accepted} of {count} messages")
    return payload_bytes // count, packet_bytes // count


def drain(rig: Rig, arm: Arm, count: int) -> dict[str, float]:
    """One run of one arm.

    Raises:
        SystemExit: not everything arrived in Kafka, or not everything was acknowledged.
    """
    payload_bytes, packet_bytes = fill(rig.mosquitto.port, arm, count)
    before = rig.kafka.count(arm.kafka_topic, PARTITIONS)
    rig.mosquitto.pause()
    log = (rig.folder / "bridge.log").open("ab")
    bridge = subprocess.Popen(arm.command(rig), stdout=log, stderr=log)
    try:
        process = psutil.Process(bridge.pid)
        settle(process)
        if rig.kafka.count(arm.kafka_topic, PARTITIONS) != before:
            raise SystemExit(f"{arm.name}: the drain began before it was measured (who woke Mosquitto?)")
        started_cpu, started_main, started = cpu_s(process), main_thread_s(process), time.monotonic()
        rig.mosquitto.resume()
        wait_for(
            f"{arm.name}: all in Kafka (see {rig.folder})",
            lambda: rig.kafka.count(arm.kafka_topic, PARTITIONS) - before >= count, 120, 0.02,
        )  # fmt: skip
        wall_s = time.monotonic() - started
        settle(process)
        used_s = cpu_s(process) - started_cpu
        python_s = main_thread_s(process) - started_main
        rss_mb = process.memory_info().rss / 1e6
    finally:
        rig.mosquitto.resume()
        bridge.terminate()
        bridge.wait(30)
    session = Session(rig.mosquitto.port, "bench")
    if not session.present or not session.silent(0.3):
        raise SystemExit(f"{arm.name}: not everything was acknowledged")
    session.close()
    written = rig.kafka.count(arm.kafka_topic, PARTITIONS) - before
    if written != count:
        raise SystemExit(f"{arm.name}: Kafka has {written} records, not {count}")
    return {
        "cpu_us": 1e6 * used_s / count, "main_thread_cpu_us": 1e6 * python_s / count,
        "messages_per_s": count / wall_s, "rss_mb": rss_mb,
        "payload_bytes": payload_bytes, "packet_bytes": packet_bytes,
    }  # fmt: skip


def show(number: int, name: str, found: dict[str, float]) -> None:
    """A line of progress."""
    cpu = f"{found['cpu_us']:7.2f} µs CPU/message ({found['main_thread_cpu_us']:6.2f} in its main thread)"
    latency = ""
    if "latency_p50_ms" in found:
        latency = f"  p50 {found['latency_p50_ms']:.0f}, p99 {found['latency_p99_ms']:.0f} ms"
    flow = f"{found['messages_per_s']:8.0f} msg/s  {found['rss_mb']:5.0f} MB RSS{latency}"
    print(f"round {number + 1}  {name:17}  {cpu}  {flow}", flush=True)


def medians(runs: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: round(statistics.median(run[key] for run in found), 2) for key in found[0]}
        | {"cpu_us_all": [round(run["cpu_us"], 2) for run in found]}
        for name, found in runs.items()
        if found
    }


def breakdown(arm: dict[str, Any], stream_name: str) -> dict[str, float]:
    """Stages of the main thread measured by themselves, and what is left of the drain's figures."""
    stages = stage_cpu_us(stream_name)
    rest = arm["main_thread_cpu_us"] - sum(stages.values())
    return stages | {
        "rest of the main thread: reads, delivery reports, receipts, PUBACKs": round(rest, 2),
        "librdkafka's threads": round(arm["cpu_us"] - arm["main_thread_cpu_us"], 2),
    }


def report(
    runs: dict[str, list[dict[str, float]]],
    flows: dict[str, list[dict[str, float]]],
    rig: Rig,
    options: argparse.Namespace,
) -> dict[str, Any]:
    drains = medians(runs)
    rates = {name: statistics.median(run["messages_per_s"] for run in found) for name, found in runs.items()}
    cpus = {name: statistics.median(run["cpu_us"] for run in found) for name, found in runs.items()}
    packages = ("paho-mqtt", "confluent-kafka", "msgspec", "pynmea2")
    return {
        "passthrough_cpu_us": round(cpus["passthrough"], 2),
        "full_cpu_us": round(cpus["weather"], 2) if "weather" in cpus else None,
        "throughput_ratio_to_paho_loop": round(rates["passthrough"] / rates["paho-loop"], 2),
        "cpu_ratio_to_paho_loop": round(cpus["paho-loop"] / cpus["passthrough"], 2),
        "arms": drains,
        "live": medians(flows),
        "weather_breakdown_cpu_us": breakdown(drains["weather"], "weather") if "weather" in drains else None,
        "messages": options.messages,
        "rounds": options.rounds,
        "receive_maximum": options.receive_maximum,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {
            "python": platform.python_version(), "mosquitto": rig.mosquitto.version, "kafka": rig.kafka.version,
            **{name: importlib.metadata.version(name) for name in packages},
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="example: python tests/bench/bridge.py --messages 20000 --rounds 1"
    )
    parser.add_argument("--messages", type=int, default=100_000, help="messages per drain")
    parser.add_argument("--rounds", type=int, default=3, help="runs of every arm")
    parser.add_argument("--receive-maximum", type=int, default=2_000, help="for every arm the same")
    parser.add_argument("--streams", default="weather,emergency,gps,vehicle,camera", help="for the full path")
    parser.add_argument("--only", default="", help="arms to run, by name, separated by commas")
    parser.add_argument("--live-s", type=float, default=5.0, help="seconds of live flow, where an arm has one")
    parser.add_argument("--no-live", action="store_true", help="drains only")
    parser.add_argument("--port-base", type=int, help="three ports from here on; free ones where not given")
    parser.add_argument("--json", type=Path, default=ROOT / "var/bench/bridge.json", help="where to write the figures")
    options = parser.parse_args()
    chosen = [arm for arm in arms(options.streams.split(",")) if not options.only or arm.name in options.only]
    ports = [options.port_base + n for n in range(3)] if options.port_base else [free_port() for _ in range(3)]
    jars = Path(os.environ.get("SMARTCITY_KAFKA_JARS") or ROOT / "var/jars/kafka")
    runs: dict[str, list[dict[str, float]]] = {arm.name: [] for arm in chosen}
    flows: dict[str, list[dict[str, float]]] = {arm.name: [] for arm in chosen}
    with tempfile.TemporaryDirectory(prefix="bench-bridge-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        mosquitto = Mosquitto(folder, ports[0])
        try:
            kafka = Kafka(jars, folder, ports[1], ports[2])
            rig = Rig(mosquitto=mosquitto, kafka=kafka, receive_maximum=options.receive_maximum, folder=folder)
            try:
                topics = {topic.name: topic.configs() for topic in KAFKA_TOPICS} | {RAW_TOPIC: {}}
                appended = {"message.timestamp.type": "LogAppendTime"}  # For the latency of live flow.
                kafka.create({name: configs | appended for name, configs in topics.items()}, PARTITIONS)
                for number in range(options.rounds):
                    for arm in chosen:
                        runs[arm.name].append(found := drain(rig, arm, int(arm.share * options.messages)))
                        show(number, arm.name, found)
                    for arm in chosen:
                        if arm.rate and not options.no_live:
                            flows[arm.name].append(found := live(rig, arm, options.live_s))
                            show(number, f"{arm.name}, live", found)
            finally:
                kafka.stop()
        finally:
            mosquitto.stop()
    if options.only:
        return
    figures = report(runs, flows, rig, options)
    print(json.dumps(figures, indent=2))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
