"""The ways to bridge one kind of message that the benchmark compares."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from messages import Made, make_foreign, make_reading
from services import Kafka, Mosquitto, free_port
from wire import publish

from smartcity.contracts.streams import STREAM_BY_NAME

RAW_TOPIC = "bench_raw"
RAW_FILTER = "plant/#"
PARTITIONS = 2
LIVE_PER_S = 2_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to drain one kind of message."""

    name: str
    pattern: str
    kafka_topic: str
    make: Callable[..., Made]
    """From a number, and when it is sent."""
    command: Callable[[Rig], list[str]]
    share: float = 1.0
    """Of the messages that the other arms drain."""
    rate: float = 0.0
    """Messages per second of the live flow; 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    mosquitto: Mosquitto
    kafka: Kafka
    receive_maximum: int
    folder: Path


def paho_loop(rig: Rig) -> list[str]:
    reference = str(Path(__file__).parent / "paho_loop.py")
    return [
        sys.executable, reference, "127.0.0.1", str(rig.mosquitto.port), rig.kafka.bootstrap, "bench", RAW_FILTER,
        RAW_TOPIC, str(rig.receive_maximum),
    ]  # fmt: skip


def ours(*more: str) -> Callable[[Rig], list[str]]:
    return lambda rig: [
        sys.executable, "-m", "smartcity.bridge.main", "run", "--client-id", "bench",
        "--mqtt", f"127.0.0.1:{rig.mosquitto.port}", "--kafka", rig.kafka.bootstrap,
        "--http", f"127.0.0.1:{free_port()}", "--receive-maximum", str(rig.receive_maximum), *more,
    ]  # fmt: skip


def arms(streams: list[str]) -> Iterator[Arm]:
    yield Arm(
        name="paho-loop",
        pattern=RAW_FILTER,
        kafka_topic=RAW_TOPIC,
        make=make_foreign,
        command=paho_loop,
        rate=LIVE_PER_S,
    )
    yield Arm(
        name="passthrough", pattern=RAW_FILTER, kafka_topic=RAW_TOPIC, make=make_foreign,
        command=ours("--route", f"{RAW_FILTER}={RAW_TOPIC}"), rate=LIVE_PER_S,
    )  # fmt: skip
    for name in streams:
        yield Arm(
            name=name, pattern="devices/#", kafka_topic=STREAM_BY_NAME[name].kafka_topic,
            make=functools.partial(make_reading, name), command=ours(),
            share=0.05 if name == "camera" else 1.0, rate=LIVE_PER_S if name == "weather" else 0.0,
        )  # fmt: skip


def packet(arm: Arm, number: int, sent: datetime) -> bytes:
    topic, pairs, payload = arm.make(number, sent)
    return publish(topic, number % 65_000 + 1, pairs, payload)
