"""What the lake's tables hold beside the contracts: lineage columns, and the dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .fields import Column, columns, nullable, required
from .limits import DETAIL_CHARACTERS_MAX
from .streams import SHA256_PATTERN, Stream

DATABASE = "smartcity"
"""The Glue database of the lake."""

DEAD_LETTERS_TABLE = "dead_letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Appended to every stream's columns: where on the roads, and when the reading passed each hop."""

    route: str | None = nullable("Route whose line is within 250 m, by name", carrier="lake", length_max=40)
    route_km: float | None = nullable("Distance along that route from its origin", unit="km", carrier="lake")
    sent_at: datetime | None = nullable("Wall clock of the device at publishing", unit="UTC", carrier="envelope")
    bridged_at: datetime | None = nullable("Wall clock of the bridge at reception", unit="UTC", carrier="gateway")
    kafka_at: datetime = required("Timestamp of the Kafka record", unit="UTC", carrier="lake")
    lake_at: datetime = required("Wall clock of the batch that committed it", unit="UTC", carrier="lake")
    payload_sha256: str | None = nullable(
        "SHA-256 of the native payload as received", carrier="gateway", pattern=SHA256_PATTERN
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Something that was refused, kept whole, with its reason."""

    reason: str = required("Reason code, see the list of reasons", carrier="gateway", length_max=40)
    detail: str | None = nullable("What exactly was wrong", carrier="gateway", length_max=DETAIL_CHARACTERS_MAX)
    refused_by: str = required("Who refused it", carrier="gateway", choices=("bridge", "lake"))
    device_id: str | None = nullable("Device, as the MQTT topic says", carrier="envelope")
    id: str | None = nullable("Id, as far as the envelope was readable", carrier="envelope")
    mqtt_topic: str | None = nullable("MQTT topic it came on", carrier="gateway")
    properties: str | None = nullable("MQTT 5 user properties as a JSON list of pairs", carrier="gateway")
    payload: bytes = required("The bytes as received")
    payload_sha256: str = required("SHA-256 of those bytes", carrier="gateway", pattern=SHA256_PATTERN)
    received_at: datetime = required(
        "Wall clock at reception (bridge), or the Kafka record's timestamp", carrier="gateway"
    )
    kafka_topic: str = required("Kafka topic the lake read it from", carrier="lake")
    kafka_partition: int = required("Partition there", carrier="lake")
    kafka_offset: int = required("Offset there", carrier="lake")
    lake_at: datetime = required("Wall clock of the batch that committed it", unit="UTC", carrier="lake")


def lake_columns(stream: Stream) -> tuple[Column, ...]:
    """Columns of a stream's Iceberg table: its contract, then the lineage."""
    return columns(stream.contract) + columns(Lineage)


def dead_letter_columns() -> tuple[Column, ...]:
    """Columns of the dead-letter table."""
    return columns(DeadLetter)


def frame_key(sha256: str) -> str:
    """Object key of a camera frame in the lake's bucket. `sha256` is hexadecimal."""
    return f"frames/{sha256[:2]}/{sha256}.jpg"
