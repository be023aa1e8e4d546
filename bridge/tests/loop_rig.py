"""A gateway and a Kafka that the test plays, and the bridge's loop between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from smartcity.bridge.ledger import Ack, Ledger
from smartcity.bridge.loop import Loop
from smartcity.bridge.metrics import Metrics
from smartcity.bridge.outbound import Outbound
from smartcity.bridge.rate import RateLimit
from smartcity.bridge.route import RawRoute

TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)
FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", True)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


QUEUE_FULL = KafkaError(KafkaError._QUEUE_FULL)
MOMENT = timedelta(milliseconds=1)
"""Messages with another moment of reception come from another read."""
ROUTES = (RawRoute(pattern="plant/#", kafka_topic="plant"),)


class Produced:
    """A record in a delivery report."""

    def __init__(self, topic: str, key: bytes | None, value: bytes) -> None:
        self._topic, self._key, self._value = topic, key, value

    def topic(self) -> str:
        return self._topic

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes:
        return self._value


class Gateway:
    """The MQTT side."""

    def __init__(self, ledger: Ledger) -> None:
        self.queue: deque[Any] = deque()
        self.connections = 0
        self.epoch = 0
        self.acked: list[int] = []
        self.published: list[tuple[str, bytes]] = []
        self.connected = False
        self.reading: list[bool] = []
        self._ledger = ledger

    def connect(self) -> None:
        self._new_epoch()
        self.connections += 1
        self.connected = True

    def _new_epoch(self) -> None:
        self.epoch += 1
        self._ledger.begin(self.epoch)

    def turn(self, timeout_s: float, *, reading: bool) -> None:
        self.reading.append(reading)

    def ack(self, ack: Ack) -> bool:
        if ack.epoch == self.epoch:
            self.acked += ack.packet_ids
        return ack.epoch == self.epoch

    def publish(self, topic: str, payload: bytes) -> bool:
        if self.connected:
            self.published.append((topic, payload))
        return self.connected

    def disconnect(self) -> None:
        if self.connected:
            self.connected = False
            self._new_epoch()

    def wants_write(self) -> bool:
        return False


class Kafka:
    """The producer's side: records wait until the test reports them."""

    def __init__(self, on_error: Callable[[KafkaError], None]) -> None:
        self.waiting: list[Callable[[Any, Any], None]] = []
        self.topics: list[str] = []
        self.values: list[bytes] = []
        self.room = 1_000_000
        self.raises: KafkaError | None = None
        """What the next `produce` refuses its record with."""

    def produce(self, topic: str, value: bytes, key: Any, partition: int, callback: Any, *_more: Any) -> None:
        if self.raises is not None:
            error, self.raises = self.raises, None
            raise KafkaException(error)
        if self.room == 0:
            raise BufferError
        self._take(topic, value, key, callback)

    def _take(self, topic: str, value: bytes, key: Any, callback: Any) -> None:
        self.room -= 1
        self.topics.append(topic)
        self.values.append(value)
        record = Produced(topic, key, value)
        self.waiting.append(lambda error, _record: callback(error, record))

    def produce_batch(self, topic: str, messages: list[dict[str, Any]], *, on_delivery: Any) -> int:
        """As confluent-kafka's: what does not fit is marked and not counted."""
        queued = 0
        for message in messages:
            if self.room == 0:
                message["_error"] = QUEUE_FULL
                continue
            queued += 1
            self._take(topic, message["value"], message["key"], on_delivery)
        return queued

    def poll(self, timeout: float) -> int:
        return 0

    def purge(self) -> None: ...

    def list_topics(self, *, timeout: float) -> Any: ...


class Rig:
    def __init__(self, samples: Any, *, rate_limit: float | None = None) -> None:
        self.samples = samples
        self.now = 0.0
        self.sequence = 0
        self.metrics = Metrics()
        self.kafkas: list[Kafka] = []
        ledger = Ledger()
        self.gateway = Gateway(ledger)
        self.outbound = Outbound(self._make_kafka, clock=lambda: self.now)
        self.loop = Loop(
            source=self.gateway,
            outbound=self.outbound,
            ledger=ledger,
            metrics=self.metrics,
            receipt_interval_s=0.2,
            rate_limit=rate_limit and RateLimit(per_s=rate_limit, burst=2, clock=lambda: self.now),
            clock=lambda: self.now,
        )
        self.gateway.connect()

    def _make_kafka(self, on_error: Callable[[KafkaError], None]) -> Kafka:
        self.kafkas.append(Kafka(on_error))
        return self.kafkas[-1]

    @property
    def kafka(self) -> Kafka:
        return self.kafkas[-1]

    def arrive(self, name: str = "gps", **changes: Any) -> None:
        self.sequence += 1
        values = {"properties": self.samples.properties(name, sequence=self.sequence), "packet_id": self.sequence}
        self.gateway.queue.append(self.samples.message(name, **(values | {"epoch": self.gateway.epoch} | changes)))

    def arrive_raw(self, payload: bytes = b"same", **changes: Any) -> None:
        self.arrive(topic="plant/line-1", payload=payload, properties=(), routes=ROUTES, **changes)

    def turn(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.loop.turn()

    def scrape(self) -> dict[tuple[str, str], float]:
        """Value by metric and stream, the reasons summed up."""
        values: dict[tuple[str, str], float] = {}
        for family in text_string_to_metric_families(generate_latest(self.metrics.registry).decode()):
            for sample in family.samples:
                key = (sample.name.removeprefix("smartcity_bridge_"), sample.labels.get("stream", ""))
                values[key] = values.get(key, 0) + sample.value
        return values

    def assert_conserved(self) -> None:
        now = self.scrape()
        streams = {stream for name, stream in now if name == "received_total"}
        for stream in streams:
            parts = [
                now.get((name, stream), 0)
                for name in ("delivered_total", "dead_lettered_total", "ignored_total", "in_flight")
            ]
            assert now["received_total", stream] == sum(parts), (stream, parts)
