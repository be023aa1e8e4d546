"""The short way of a message of the usual form: from its stamp and payload to its record, with few objects.

Decoding, types, ranges and lengths are one step in C: msgspec types that are made from the contract. It gives the
record that the thorough way (`examine.py`) gives, byte for byte, or None, and then the thorough way decides; it never
refuses anything. So it may be stricter than the contract, but never laxer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from smartcity.contracts import envelope as names
from smartcity.contracts.fields import Column, Kind, columns
from smartcity.contracts.limits import EVENT_TIME_MIN, STREAM_RECORD_BYTES_MAX
from smartcity.contracts.streams import CAMERA, EMERGENCY, GPS, STREAMS, VEHICLE, WEATHER, Stream
from smartcity.contracts.tables import frame_key

from .decode.document import parse_object
from .decode.frame import decode_frame
from .decode.nmea import decode_nmea
from .decode.obd import decode_obd
from .errors import Reject
from .message import Message, Record
from .record import JSON
from .stamp import Stamp

_ENCODER = msgspec.json.Encoder()
_NUMBER_MAX = 2.0**53
"""Whole numbers of JSON beyond it are no doubles; a number without a bound of its own gets this one."""
_OTHER_BYTES_MAX = 8 * 1024
"""More than key, headers and framing of a record of this way can have; the camera's JSON is counted apart."""

_SPEC_VERSION = names.SPEC_VERSION.encode()


def express_record(message: Message, stamp: Stamp) -> Record | None:
    """The record, or None where the thorough way must decide."""
    route, reception = message.route, message.reception
    stream, device = route.stream, route.device
    if stream is None or device is None:
        return None
    time = stamp.time.decode()
    payload_sha256 = hashlib.sha256(message.payload).hexdigest()
    try:
        sent_at = datetime.fromisoformat(stamp.sent_time.decode())
        if not EVENT_TIME_MIN <= datetime.fromisoformat(time) <= reception.event_time_max:
            return None
        read, event_type, content_type = _STREAMS[stream.name]
        row = read(message.payload, stamp.metadata, device, payload_sha256)
    except (ValueError, Reject):  # msgspec's errors are ValueErrors.
        return None
    if row is None:
        return None
    row.id, row.device_id, row.timestamp = stamp.id.decode(), device, time
    document = _ENCODER.encode(row)
    is_frame = stream is CAMERA
    value = message.payload if is_frame else document
    if len(value) + (len(document) if is_frame else 0) > STREAM_RECORD_BYTES_MAX - _OTHER_BYTES_MAX:
        return None
    headers = {
        "ce_specversion": _SPEC_VERSION,
        "ce_id": stamp.id,
        "ce_source": route.source,
        "ce_type": event_type,
        "ce_time": stamp.time,
        "ce_senttime": stamp.sent_time,
        names.HEADER_CONTENT_TYPE: content_type,
        names.HEADER_PAYLOAD_SHA256: payload_sha256.encode(),
        names.HEADER_BRIDGE_TIME: reception.header,
    }
    if is_frame:
        headers[names.HEADER_READING] = document
    return Record(
        topic=stream.kafka_topic,
        key=route.key,
        value=value,
        headers=headers,
        identity=(device, stamp.boot.decode(), int(stamp.sequence)),
        sent_at=sent_at,
    )


def _row_type(stream: Stream) -> type[Any]:
    """A struct with the contract's fields in their order. Envelope fields take anything: they are overwritten."""
    fields: list[Any] = []
    for column in columns(stream.contract):
        if column.rules.carrier == "envelope":
            fields.append((column.name, Any, None))
        elif column.nullable:
            fields.append((column.name, _field_type(column) | None, None))
        else:
            fields.append((column.name, _field_type(column)))
    return msgspec.defstruct(
        stream.contract.__name__, fields, kw_only=True, gc=False, eq=False, forbid_unknown_fields=True
    )


def _field_type(column: Column) -> Any:
    rules = column.rules
    low, high = rules.minimum, rules.maximum
    match column.kind:
        case Kind.STRING if rules.choices:
            return Literal[rules.choices]
        case Kind.STRING:
            pattern = None if rules.pattern is None else rf"\A(?:{rules.pattern})\Z"
            return Annotated[str, msgspec.Meta(max_length=rules.length_max, pattern=pattern)]
        case Kind.NUMBER:
            low, high = -_NUMBER_MAX if low is None else float(low), _NUMBER_MAX if high is None else float(high)
            return Annotated[float, msgspec.Meta(ge=low, le=high)]
        case Kind.INTEGER:
            return Annotated[
                int, msgspec.Meta(ge=None if low is None else int(low), le=None if high is None else int(high))
            ]
        case Kind.STRINGS:
            return Annotated[tuple[str, ...], msgspec.Meta(max_length=rules.length_max)]
        case _:
            raise TypeError(f"{column.name}: the express way has no type for {column.kind}")


_Reader = Callable[[bytes, bytes | None, str, str], Any]
"""Payload, metadata, device and the payload's hash give a row, or None; or raise ValueError or Reject."""


def _document_reader(stream: Stream) -> _Reader:
    """For payloads that are JSON: decoded and checked in one go."""
    decode = msgspec.json.Decoder(_row_type(stream)).decode

    def read(payload: bytes, metadata: bytes | None, device: str, _sha256: str) -> Any:
        row = decode(payload)
        return row if metadata is None and row.device_id in (None, device) else None

    return read


def _fields_reader(stream: Stream, decode: Callable[[bytes], dict[str, Any]]) -> _Reader:
    """For other payloads: what the decoder found and what the metadata adds, checked in one go."""
    row_type = _row_type(stream)
    added = tuple(column.name for column in columns(stream.contract) if column.rules.carrier == "metadata")

    def read(payload: bytes, metadata: bytes | None, device: str, sha256: str) -> Any:
        fields = decode(payload)
        if stream is CAMERA:
            fields |= {"snapshot": frame_key(sha256), "frame_bytes": len(payload), "frame_sha256": sha256}
        if metadata is not None:
            extra = parse_object(metadata)
            if extra.get("device_id") not in (None, device):
                return None
            for name in added:
                if name in extra:
                    fields[name] = extra[name]
        return msgspec.convert(fields, row_type)

    return read


_READERS: dict[str, _Reader] = {
    GPS.name: _fields_reader(GPS, decode_nmea),
    VEHICLE.name: _fields_reader(VEHICLE, decode_obd),
    CAMERA.name: _fields_reader(CAMERA, decode_frame),
    WEATHER.name: _document_reader(WEATHER),
    EMERGENCY.name: _document_reader(EMERGENCY),
}
_STREAMS = {
    stream.name: (
        _READERS[stream.name],
        stream.event_type.encode(),
        stream.content_type.encode() if stream is CAMERA else JSON,
    )
    for stream in STREAMS
}
"""Reader, and the headers `ce_type` and `content-type`."""
