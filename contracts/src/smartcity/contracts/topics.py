"""MQTT and Kafka topics, and who listens to what."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .limits import DEAD_LETTER_RECORD_BYTES_MAX, DEVICE_NAME_PATTERN, STREAM_RECORD_BYTES_MAX
from .streams import STREAM_BY_LEAF, STREAMS, Stream

DEVICES_FILTER = "devices/#"
"""What the bridge subscribes to."""

STATUS_LEAF = "status"
DEAD_LETTERS_TOPIC = "dead_letters"

_DAY_MS = 24 * 60 * 60 * 1000
_DEVICE_TOPIC = re.compile(rf"devices/({DEVICE_NAME_PATTERN})/([^/]+)")


def reading_topic(device_id: str, stream: Stream) -> str:
    """MQTT topic on which a device publishes a stream."""
    return f"devices/{device_id}/{stream.leaf}"


def status_topic(device_id: str) -> str:
    """MQTT topic of a device's retained status (birth, report, last will)."""
    return f"devices/{device_id}/{STATUS_LEAF}"


def receipt_topic(device_id: str) -> str:
    """MQTT topic on which the bridge tells a device what Kafka has. Outside `devices/#`."""
    return f"receipts/{device_id}"


def parse_device_topic(topic: str) -> tuple[str, str] | None:
    """Device and leaf of `devices/<device>/<leaf>`, or None where the topic is of another shape."""
    match = _DEVICE_TOPIC.fullmatch(topic)
    return (match[1], match[2]) if match else None


def stream_of_topic(topic: str) -> tuple[str, Stream] | None:
    """Device and stream of a reading's topic, or None."""
    parsed = parse_device_topic(topic)
    if parsed is None or parsed[1] not in STREAM_BY_LEAF:
        return None
    return parsed[0], STREAM_BY_LEAF[parsed[1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaTopic:
    """A Kafka topic as it must be created; `configs()` gives Kafka's own names."""

    name: str
    partitions: int
    retention_ms: int
    record_bytes_max: int

    def configs(self) -> dict[str, str]:
        return {
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.record_bytes_max),
            "cleanup.policy": "delete",
            "message.timestamp.type": "CreateTime",
        }


KAFKA_TOPICS = (
    *(
        KafkaTopic(
            name=stream.kafka_topic,
            partitions=2,
            retention_ms=7 * _DAY_MS,
            record_bytes_max=STREAM_RECORD_BYTES_MAX,
        )
        for stream in STREAMS
    ),
    KafkaTopic(
        name=DEAD_LETTERS_TOPIC,
        partitions=1,
        retention_ms=30 * _DAY_MS,
        record_bytes_max=DEAD_LETTER_RECORD_BYTES_MAX,
    ),
)
