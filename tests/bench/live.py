"""Live flow: what a message costs, and how long it takes, while the bridge keeps up easily."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import Any

import psutil
from arms import PARTITIONS, Arm, Rig, packet
from messages import START
from process import cpu_s, main_thread_s, settle
from services import wait_for
from wire import Session


def live(rig: Rig, arm: Arm, duration_s: float) -> dict[str, float]:
    """Messages at a steady rate into a bridge that waits for them; latency from sending to Kafka's append, in whole ms.

    Raises:
        SystemExit: Kafka has not every message once.
    """
    count, tick_s = int(arm.rate * duration_s), 0.005
    cleared = Session(rig.mosquitto.port, "bench")
    cleared.subscribe(arm.pattern)
    cleared.close()
    log = (rig.folder / "bridge.log").open("ab")
    bridge = subprocess.Popen(arm.command(rig), stdout=log, stderr=log)
    try:
        process = psutil.Process(bridge.pid)
        settle(process)
        publisher = Session(rig.mosquitto.port, "filler")
        warm = rig.kafka.count(arm.kafka_topic, PARTITIONS) + 100
        publisher.publish_all((packet(arm, number, START) for number in range(100)), 100)
        wait_for(f"{arm.name}: it flows", lambda: rig.kafka.count(arm.kafka_topic, PARTITIONS) >= warm, 30)
        start = rig.kafka.ends(arm.kafka_topic, PARTITIONS)
        started_cpu, started_main = cpu_s(process), main_thread_s(process)
        per_tick = int(arm.rate * tick_s)
        late_s = publisher.publish_paced(
            (
                [packet(arm, 100 + first + number, datetime.now(UTC)) for number in range(per_tick)]
                for first in range(0, count, per_tick)
            ),
            tick_s,
        )
        publisher.close()
        records = rig.kafka.read(start, count)
        used_s, python_s = cpu_s(process) - started_cpu, main_thread_s(process) - started_main
        rss_mb = process.memory_info().rss / 1e6
    finally:
        bridge.terminate()
        bridge.wait(30)
    if len(records) != count:
        raise SystemExit(f"{arm.name}: Kafka has {len(records)} records, not {count}")
    waits_ms = sorted(record.timestamp()[1] - 1000 * sent_at(record).timestamp() for record in records)
    return {
        "cpu_us": 1e6 * used_s / count, "main_thread_cpu_us": 1e6 * python_s / count, "messages_per_s": arm.rate,
        "latency_p50_ms": waits_ms[count // 2], "latency_p99_ms": waits_ms[count * 99 // 100], "rss_mb": rss_mb,
        "publisher_late_ms": 1000 * late_s,
    }  # fmt: skip


def sent_at(record: Any) -> datetime:
    """As the envelope says, or the beginning of a payload without one."""
    headers = dict(record.headers() or ())
    return datetime.fromisoformat((headers.get("ce_senttime") or record.value().split(b" ")[0]).decode())
