"""What the lake must show: every record that Kafka confirmed, by what makes it one, with a digest of its contents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from smartcity.bridge.message import Record
from smartcity.contracts.envelope import HEADER_PAYLOAD_SHA256, HEADER_READING, HEADER_REASON, parse_time
from smartcity.contracts.fields import Kind, columns
from smartcity.contracts.reasons import Reason
from smartcity.contracts.streams import CAMERA, STREAMS, Stream
from smartcity.contracts.tables import DEAD_LETTERS_TABLE
from smartcity.contracts.topics import DEAD_LETTERS_TOPIC

Key = tuple[Any, ...]
"""Of a reading: device and id. Of a dead letter: Kafka topic, partition and offset."""

_FIELDS = {stream.name: columns(stream.contract) for stream in STREAMS}
STREAM_BY_TOPIC = {stream.kafka_topic: stream for stream in STREAMS}
STRANGE_REASONS = {True: Reason.CONTRACT_VIOLATION, False: Reason.RECORD_UNPARSEABLE}
"""Why the lake refuses a strange record, by whether it is JSON."""


class Truth:
    """Filled by one thread; read when that has ended."""

    def __init__(self) -> None:
        tables = (*(stream.table for stream in STREAMS), DEAD_LETTERS_TABLE)
        self.rows: dict[str, dict[Key, str]] = {table: {} for table in tables}
        self.records = 0
        self.repeated = 0
        self.reasons: dict[str, int] = {}

    def confirmed(self, record: Record, partition: int, offset: int) -> None:
        """Kafka has the record, there."""
        self.records += 1
        stream = STREAM_BY_TOPIC.get(record.topic)
        if stream is None or HEADER_PAYLOAD_SHA256 not in record.headers:
            reason, refused_by = _refusal(record)
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
            digest = letter_digest(reason, refused_by, record.value)
            self.rows[DEAD_LETTERS_TABLE][record.topic, partition, offset] = digest
            return
        text = record.headers[HEADER_READING] if stream is CAMERA else record.value
        document = json.loads(text)
        document["timestamp"] = parse_time("timestamp", document["timestamp"])
        key = (document["device_id"], document["id"])
        digest = reading_digest(stream, document, record.headers[HEADER_PAYLOAD_SHA256].decode())
        rows = self.rows[stream.table]
        self.repeated += key in rows
        assert rows.setdefault(key, digest) == digest, f"{key} was sent with other contents: the source is wrong"


def _refusal(record: Record) -> tuple[str, str]:
    if record.topic == DEAD_LETTERS_TOPIC:
        return record.headers[HEADER_REASON].decode(), "bridge"
    return str(STRANGE_REASONS[_is_json(record.value)]), "lake"


def _is_json(value: bytes) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def reading_digest(stream: Stream, values: Mapping[str, Any], payload_sha256: str | None) -> str:
    """Of all fields of the contract, and of the native payload's hash."""
    fields = [_plain(column.kind, values.get(column.name)) for column in _FIELDS[stream.name]]
    return _digest([*fields, payload_sha256])


def letter_digest(reason: str, refused_by: str, payload: bytes) -> str:
    return _digest([reason, refused_by, hashlib.sha256(payload).hexdigest()])


def _digest(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values, allow_nan=False).encode()).hexdigest()


def _plain(kind: Kind, value: Any) -> Any:
    """JSON and Arrow write one value in different ways."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if kind is Kind.NUMBER and value is not None:
        return float(value)
    return list(value) if isinstance(value, tuple) else value
