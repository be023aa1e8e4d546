"""Fills Kafka without a pause, as the bridge does, and keeps the truth."""

from __future__ import annotations

import threading
import time

from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as Delivered

from smartcity.bridge.message import Record

from .readings import Source
from .truth import Truth

TICK_S = 0.1
FLUSH_TIMEOUT_S = 60


class Feed(threading.Thread):
    """Sends `rate` records a second until `stop`. What Kafka did not take fails the run."""

    def __init__(self, kafka: str, source: Source, *, rate: int) -> None:
        super().__init__(name="feed", daemon=True)
        self.truth = Truth()
        self.failure: str | None = None
        self.source, self._rate = source, rate
        self._ended = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                "enable.idempotence": True,
                "linger.ms": 20,
                "compression.type": "lz4",
                "log_level": 0,
            }
        )

    def run(self) -> None:
        try:
            self._send()
        except Exception as error:  # Told to the run, which must fail: a thread's end alone would pass unseen.
            self.failure = repr(error)

    def stop(self) -> None:
        """Returns when Kafka has all that was sent."""
        self._ended.set()
        self.join(FLUSH_TIMEOUT_S * 2)
        if self.is_alive():
            self.failure = "the feed did not end"

    def _send(self) -> None:
        records = self.source.records()
        sent, began = 0, time.monotonic()
        while not self._ended.wait(TICK_S):
            due = int((time.monotonic() - began) * self._rate)
            for _ in range(due - sent):
                self._produce(next(records))
            sent = due
            self._producer.poll(0)
        if self._producer.flush(FLUSH_TIMEOUT_S):
            raise RuntimeError(f"Kafka did not take all records within {FLUSH_TIMEOUT_S} s")

    def _produce(self, record: Record) -> None:
        def delivered(error: KafkaError | None, message: Delivered) -> None:
            if error is not None:
                self.failure = f"not delivered: {error}"
                return
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            self.truth.confirmed(record, partition, offset)

        self._producer.produce(
            record.topic, record.value, record.key, headers=dict(record.headers), on_delivery=delivered
        )
