"""Seeing a reading arrive: in Kafka by a consumer of its own, in the lake by its tables."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import OFFSET_END, Consumer, TopicPartition
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import GreaterThanOrEqual

from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import DATABASE
from smartcity.contracts.topics import KAFKA_TOPICS

from .devices import Heads

KEPT_MAX = 20_000
LAKE_TIMEOUT_S = 4
Arrival = tuple[float, str, str, int]
"""Monotonic time, device, boot, sequence."""


def is_new(heads: Heads, device: str, boot: str, sequence: int) -> bool:
    """Whether the reading was made after the moment of these heads."""
    return sequence > heads.get((device, boot), 0)


class KafkaWatch:
    """Reads all stream topics from their ends on, in a thread, and keeps the ids of what came last."""

    def __init__(self, address: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "smartcity-chaos",
                "enable.auto.commit": False,
                "reconnect.backoff.ms": 100,
                "reconnect.backoff.max.ms": 300,
                "fetch.wait.max.ms": 100,
                "log_level": 0,
            }
        )
        names = {stream.kafka_topic for stream in STREAMS}
        self._consumer.assign(
            [
                TopicPartition(topic.name, partition, OFFSET_END)
                for topic in KAFKA_TOPICS
                if topic.name in names
                for partition in range(topic.partitions)
            ]
        )
        self._arrivals: deque[Arrival] = deque(maxlen=KEPT_MAX)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, name="kafka-watch", daemon=True)

    def first_new(
        self, heads: Heads, since: float, *, devices: Collection[str] | None = None, rebooted: bool = False
    ) -> float | None:
        """When the first reading came that was made after `heads`; None if none has since `since` (monotonic).

        With `devices`, only readings of these; with `rebooted`, only those under a boot that `heads` does not know.
        """
        for arrived, device, boot, sequence in list(self._arrivals):
            if arrived < since or (devices is not None and device not in devices):
                continue
            if rebooted and (device, boot) in heads:
                continue
            if is_new(heads, device, boot, sequence):
                return arrived
        return None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(10)
        self._consumer.close()

    def _read(self) -> None:
        while not self._ended.is_set():
            for record in self._consumer.consume(500, timeout=0.1):
                if record.error() is None:
                    self._take(dict(record.headers() or []))  # type: ignore[arg-type]

    def _take(self, headers: Mapping[str, bytes | None]) -> None:
        source, identity = headers.get("ce_source"), headers.get("ce_id")
        if source and identity:
            boot, _, sequence = identity.decode().partition(".")
            self._arrivals.append((time.monotonic(), source.decode().rpartition("/")[2], boot, int(sequence)))


class LakeWatch:
    """Looks into the lake as any Iceberg reader would."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        keys = {"access-key-id": "AWS_ACCESS_KEY_ID", "secret-access-key": "AWS_SECRET_ACCESS_KEY"}
        glue = boto3.client(
            "glue",
            region_name=environment["AWS_REGION"],
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=environment[keys["access-key-id"]],
            aws_secret_access_key=environment[keys["secret-access-key"]],
            config=Config(connect_timeout=LAKE_TIMEOUT_S, read_timeout=LAKE_TIMEOUT_S, retries={"max_attempts": 0}),
        )
        properties = {
            **{f"s3.{name}": environment[variable] for name, variable in keys.items()},
            "s3.region": environment["AWS_REGION"],
            "s3.endpoint": environment["AWS_ENDPOINT_URL_S3"],
            "s3.connect-timeout": str(LAKE_TIMEOUT_S),
            "s3.request-timeout": str(LAKE_TIMEOUT_S),
        }
        self.catalog = GlueCatalog("chaos", client=glue, **properties)

    def has_new(self, heads: Heads, since: float) -> bool:
        """Whether it shows a reading made after `heads`, sent after `since` (seconds since 1970). False too where it
        cannot be read: that is what the fault does."""
        moment = datetime.fromtimestamp(since, UTC).isoformat()
        sent = GreaterThanOrEqual("sent_at", moment)  # type: ignore[call-arg,arg-type]
        try:
            table = self.catalog.load_table((DATABASE, "gps"))
            snapshot = table.current_snapshot()
            if snapshot is None or snapshot.timestamp_ms < since * 1000:
                return False
            found = table.scan(row_filter=sent, selected_fields=("device_id", "id")).to_arrow().to_pylist()
        except (ClientError, BotoCoreError, NoSuchTableError, OSError):
            return False
        ids = ((row["device_id"], *row["id"].split(".")) for row in found)
        return any(is_new(heads, device, boot, int(sequence)) for device, boot, sequence in ids)
