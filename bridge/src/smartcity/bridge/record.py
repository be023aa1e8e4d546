"""From a checked reading to its Kafka record: JSON value, CloudEvents headers (Kafka protocol binding, binary mode)."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from smartcity.contracts import envelope as names
from smartcity.contracts.envelope import Envelope, format_time
from smartcity.contracts.fields import Kind, columns
from smartcity.contracts.streams import CAMERA, STREAMS, Reading, Stream

from .message import Message, Record

_ENCODER = msgspec.json.Encoder()
JSON = b"application/json"


def reading_record(stream: Stream, reading: Reading, envelope: Envelope | None, message: Message) -> Record:
    """The record of a reading that passed `check`.

    Guarantees: every field of the contract is in the JSON, floats read back to the same bits, times have microseconds.
    The camera's value is the JPEG as received, and its JSON the header `reading`.
    """
    document = encode_reading(reading)
    headers = {
        name: value.encode() for name, value in _attributes(stream, reading, envelope)
    }  # The order of the CloudEvents specification.
    is_frame = stream is CAMERA
    headers[names.HEADER_CONTENT_TYPE] = stream.content_type.encode() if is_frame else JSON
    headers[names.HEADER_PAYLOAD_SHA256] = hashlib.sha256(message.payload).hexdigest().encode()
    headers[names.HEADER_BRIDGE_TIME] = message.reception.header
    if is_frame:
        headers[names.HEADER_READING] = document
    return Record(
        topic=stream.kafka_topic,
        key=reading.device_id.encode(),
        value=message.payload if is_frame else document,
        headers=headers,
        identity=None if envelope is None else (reading.device_id, envelope.boot, envelope.sequence),
        sent_at=None if envelope is None else envelope.sent_time,
    )


def encode_reading(reading: Reading) -> bytes:
    """The contract as compact JSON."""
    times, others = _NAMES[type(reading)]
    document: dict[str, Any] = {name: getattr(reading, name) for name in others}
    for name in times:
        document[name] = format_time(getattr(reading, name))
    return _ENCODER.encode(document)


def _names(contract: type[Reading]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Times, and every other field. A nullable time would need a test for None; no contract has one."""
    every = columns(contract)
    times = tuple(column.name for column in every if column.kind is Kind.TIMESTAMP)
    return times, tuple(column.name for column in every if column.kind is not Kind.TIMESTAMP)


_NAMES = {stream.contract: _names(stream.contract) for stream in STREAMS}


def _attributes(stream: Stream, reading: Reading, envelope: Envelope | None) -> list[tuple[str, str]]:
    if envelope is not None:
        return [(names.HEADER_PREFIX + name, value) for name, value in envelope.properties()]
    return [
        ("ce_specversion", names.SPEC_VERSION),
        ("ce_id", reading.id),
        ("ce_source", f"/devices/{reading.device_id}"),
        ("ce_type", stream.event_type),
        ("ce_time", format_time(reading.timestamp)),
    ]
