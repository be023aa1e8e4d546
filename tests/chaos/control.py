"""The control arm: the same kills against a pipeline as tutorials write it, its losses counted by ids.

A publisher of paho at QoS 1 without an outbox, which is never killed itself; Mosquitto as Debian configures it
(persistence on, all else by default); `tutorial.py`; and the same Kafka and the same supervisor as the other arm.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from paho.mqtt.enums import CallbackAPIVersion

from smartcity.contracts.topics import KAFKA_TOPICS
from smartcity.edge.gateway import claim_data
from smartcity.local.programs import find_mosquitto
from smartcity.local.services import Place, Service
from smartcity.local.services.kafka import KAFKA
from smartcity.local.services.mosquitto import MOSQUITTO
from smartcity.local.stack import Stack

from . import tutorial
from .inject import Say
from .plan import QUIET_S
from .report import percentile
from .system import System, make_reachable

VICTIMS = ("mosquitto", "subscriber", "kafka")
RATE_PER_S = 100
PADDING = "x" * 250
RECOVERY_TIMEOUT_S = 90.0
DRAIN_S = 20.0
POLL_S = 0.1


def _prepare_mosquitto(place: Place) -> None:
    data = place.layout.data("mosquitto")
    data.mkdir(parents=True, exist_ok=True)
    user = claim_data(data)
    folder = place.layout.config("mosquitto")
    folder.mkdir(parents=True, exist_ok=True)
    settings = [f"listener {place.ports['mqtt']} 127.0.0.1", "allow_anonymous true"]
    settings += ["persistence true", f"persistence_location {data}/"] + ([f"user {user}"] if user else [])
    (folder / "mosquitto.conf").write_text("\n".join(settings) + "\n")


MOSQUITTO_BY_DEFAULT = Service(
    name="mosquitto",
    ports={"mqtt": 1883},
    prepare=_prepare_mosquitto,
    command=lambda place: [str(find_mosquitto()), "-c", str(place.layout.config("mosquitto") / "mosquitto.conf")],
    probe=MOSQUITTO.probe,
    start_timeout_s=10,
    keeps_data=True,
)
SUBSCRIBER = Service(
    name="subscriber",
    needs=("mosquitto", "kafka"),
    command=lambda place: [
        *(sys.executable, str(Path(tutorial.__file__).resolve())),
        *(str(place.ports["mqtt"]), place.address("kafka")),
    ],
    probe=lambda place: None,
)


class Publisher:
    """Publishes numbered messages at QoS 1, as `client.publish` in a loop does, and remembers the numbers."""

    def __init__(self, port: int) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_publish = self._on_publish
        self._client.connect("127.0.0.1", port)
        self._client.reconnect_delay_set(min_delay=1, max_delay=2)
        self._client.loop_start()
        self._acknowledged = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish, name="publisher", daemon=True)
        self.count = 0
        self._thread.start()

    def stop(self, timeout_s: float) -> int:
        """Returns how many messages the broker never acknowledged."""
        self._ended.set()
        self._thread.join(10)
        deadline = time.monotonic() + timeout_s
        while self._acknowledged < self.count and time.monotonic() < deadline:
            time.sleep(POLL_S)
        self._client.loop_stop()
        return self.count - self._acknowledged

    def _on_publish(self, *_: object) -> None:
        self._acknowledged += 1

    def _publish(self) -> None:
        while not self._ended.wait(1 / RATE_PER_S):
            body = json.dumps({"id": self.count, "padding": PADDING})
            self._client.publish("sensors/1", body, qos=1)  # Without a connection paho queues it.
            self.count += 1


class Reader:
    """The numbers that have come to Kafka."""

    def __init__(self, kafka: str) -> None:
        settings = {"bootstrap.servers": kafka, "group.id": "control", "enable.auto.commit": False, "log_level": 0}
        self._consumer = Consumer({**settings, "reconnect.backoff.max.ms": 300})
        partitions = next(topic.partitions for topic in KAFKA_TOPICS if topic.name == tutorial.TOPIC_OUT)
        self._consumer.assign([TopicPartition(tutorial.TOPIC_OUT, n, OFFSET_BEGINNING) for n in range(partitions)])
        self.times: Counter[int] = Counter()

    def look(self) -> None:
        """Takes what is there."""
        while records := self._consumer.consume(1000, timeout=POLL_S):
            self.times.update(json.loads(record.value() or b"")["id"] for record in records if record.error() is None)
            if len(records) < 100:
                return

    def close(self) -> None:
        self._consumer.close()


def run_control(var: Path, *, seed: int, kills: int, minutes_max: float, say: Say) -> dict[str, Any]:
    """The document of the control arm: per victim kills and lost messages.

    A loss counts for the newest kill before whose successor the message was published.
    """
    shutil.rmtree(var, ignore_errors=True)
    make_reachable(var)
    system = System(Stack(var, services=(MOSQUITTO_BY_DEFAULT, KAFKA, SUBSCRIBER)))
    order = [victim for victim in VICTIMS for _ in range(kills)]
    draw = random.Random(seed)
    draw.shuffle(order)
    try:
        system.stack.up(progress=say, supervise=False)
        system.watch()
        place = system.stack.place()
        reader = Reader(place.address("kafka"))
        publisher = Publisher(place.ports["mqtt"])
        with contextlib.closing(reader):
            _await(reader, 0)
            ends, seconds = _fire(system, publisher, reader, draw=draw, order=order, minutes_max=minutes_max, say=say)
            unacknowledged = publisher.stop(DRAIN_S)
            deadline = time.monotonic() + DRAIN_S
            while len(reader.times) < publisher.count and time.monotonic() < deadline:
                reader.look()
    finally:
        system.down()
    return _document(
        order[: len(ends)],
        ends,
        seconds,
        published=publisher.count,
        times=reader.times,
        unacknowledged=unacknowledged,
    )


def _fire(
    system: System,
    publisher: Publisher,
    reader: Reader,
    *,
    draw: random.Random,
    order: Sequence[str],
    minutes_max: float,
    say: Say,
) -> tuple[list[int], list[float | None]]:
    """For each kill the number up to which losses are its own, and the seconds of recovery."""
    end = time.monotonic() + minutes_max * 60
    ends: list[int] = []
    seconds: list[float | None] = []
    for number, victim in enumerate(order, 1):
        if time.monotonic() > end:
            break
        time.sleep(draw.uniform(*QUIET_S))
        began = time.monotonic()
        system.kill(victim)
        recovered = _await(reader, publisher.count)
        seconds.append(time.monotonic() - began if recovered else None)
        ends.append(publisher.count)
        say(f"control {number}/{len(order)} kill {victim}: {time.monotonic() - began:.1f} s")
    return ends, seconds


def _await(reader: Reader, number: int) -> bool:
    """Waits for a message numbered `number` or higher in Kafka."""
    deadline = time.monotonic() + RECOVERY_TIMEOUT_S
    while time.monotonic() < deadline:
        reader.look()
        if reader.times and max(reader.times) >= number:
            return True
    return False


def _document(
    order: Sequence[str],
    ends: Sequence[int],
    seconds: Sequence[float | None],
    *,
    published: int,
    times: Counter[int],
    unacknowledged: int,
) -> dict[str, Any]:
    lost = [number for number in range(published) if number not in times]
    rows: dict[str, dict[str, Any]] = {}
    for victim in VICTIMS:
        mine = [index for index, name in enumerate(order) if name == victim]
        spans = [(ends[i - 1] if i else 0, ends[i] if i + 1 < len(ends) else published) for i in mine]
        counts = [sum(first <= number < last for number in lost) for first, last in spans]
        recovered = [value for i in mine if (value := seconds[i]) is not None]
        p95 = percentile(recovered, 0.95)
        rows[f"kill {victim}"] = {
            "n": len(mine),
            "lost": sum(counts),
            "kills_with_loss": sum(count > 0 for count in counts),
            "recovery_p95_s": None if p95 is None else round(p95, 2),
        }
    return {
        "published": published,
        "in_kafka": len(times),
        "lost": len(lost),
        "duplicated_in_kafka": sum(count > 1 for count in times.values()),
        "never_acknowledged": unacknowledged,
        "rate_per_s": RATE_PER_S,
        "faults": rows,
    }
