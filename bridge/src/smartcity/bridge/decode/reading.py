"""One reading from its envelope, its payload and its metadata property, whatever the stream."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from smartcity.contracts.envelope import Envelope, EnvelopeError, parse_time
from smartcity.contracts.fields import Column, Kind, columns
from smartcity.contracts.reasons import Reason
from smartcity.contracts.streams import CAMERA, EMERGENCY, GPS, VEHICLE, WEATHER, Reading, Stream
from smartcity.contracts.tables import frame_key

from ..errors import Reject
from .document import decode_document, parse_object
from .frame import decode_frame
from .nmea import decode_nmea
from .obd import decode_obd

Fields = dict[str, Any]

_DECODERS: dict[str, Callable[[bytes], Fields]] = {
    GPS.name: decode_nmea,
    VEHICLE.name: decode_obd,
    CAMERA.name: decode_frame,
    WEATHER.name: decode_document,
    EMERGENCY.name: decode_document,
}
PAYLOAD_TIME = "timestamp"
"""Key under which a decoder hands over the payload's own event time (`datetime`, or a string of a JSON document)."""


def decode_reading(  # noqa: PLR0917 - in the order in which a message is read
    stream: Stream,
    envelope: Envelope | None,
    device_id: str,
    payload: bytes,
    metadata: str | None,
    received_at: datetime,
    *,
    foreign_id: str | None = None,
) -> Reading:
    """The reading in a message. Types follow the contract as far as the payload allows; ranges are not yet checked.

    Guarantees: the same arguments give an equal reading, so `smartcity verify` can repeat what the bridge did. The
    envelope's time is the event time; the payload's own (RMC date and time, JSON `timestamp`) counts only for a
    foreign message, and `received_at` where there is neither. A required field that the payload lacks is None here,
    and `check` refuses it. Members that the contract does not name, or names with another carrier, are ignored.

    Args:
        envelope: None for a foreign message; `foreign_id` is then its id.
        device_id: the device as the MQTT topic says.
        metadata: text of the user property `metadata`, or None.

    Raises:
        Reject: the payload or the metadata cannot be decoded, or names another device.
    """
    fields = _DECODERS[stream.name](payload)
    extra = {} if metadata is None else _metadata(metadata)
    _same_device(device_id, "payload", fields)
    _same_device(device_id, "metadata", extra)
    if envelope is not None:
        identity, event_time = envelope.id, envelope.time
    elif foreign_id is not None:
        identity, event_time = foreign_id, _payload_time(fields, received_at)
    else:
        raise ValueError("a message without an envelope needs a foreign_id")
    sources: dict[str, Fields] = {"payload": fields, "metadata": extra, "gateway": _gateway(stream, payload)}
    values = {
        column.name: _coerced(column.kind, sources[column.rules.carrier].get(column.name))
        for column in _carried(stream)
    }
    return stream.contract(id=identity, device_id=device_id, timestamp=event_time, **values)


@functools.cache
def _carried(stream: Stream) -> tuple[Column, ...]:
    """The columns beside identity and time, which the envelope carries."""
    return tuple(column for column in columns(stream.contract) if column.rules.carrier != "envelope")


def _coerced(kind: Kind, value: Any) -> Any:
    """JSON writes 5.0 as 5 and knows no tuples; any other type stays as it is, for `check` to refuse."""
    if kind is Kind.NUMBER and type(value) is int and abs(value) < 2**53:
        return float(value)
    if kind is Kind.STRINGS and type(value) is list:
        return tuple(value)
    return value


def _metadata(text: str) -> Fields:
    try:
        return parse_object(text.encode())
    except ValueError as error:
        raise Reject(Reason.ENVELOPE_INVALID, f"user property metadata: {error}") from error


def _same_device(device_id: str, where: str, fields: Fields) -> None:
    claimed = fields.get("device_id")
    if claimed is not None and claimed != device_id:
        raise Reject(Reason.ENVELOPE_MISMATCH, f"the {where} says device_id {claimed!r}, the topic says {device_id!r}")


def _payload_time(fields: Fields, received_at: datetime) -> datetime:
    claimed = fields.get(PAYLOAD_TIME)
    if claimed is None:
        return received_at
    if isinstance(claimed, datetime):
        return claimed
    if not isinstance(claimed, str):
        raise Reject(Reason.CONTRACT_VIOLATION, f"timestamp is {str(claimed)[:40]!r}, not an RFC 3339 time")
    try:
        return parse_time(PAYLOAD_TIME, claimed)
    except EnvelopeError as error:
        raise Reject(Reason.CONTRACT_VIOLATION, str(error)) from error


def _gateway(stream: Stream, payload: bytes) -> Fields:
    if stream is not CAMERA:
        return {}
    sha256 = hashlib.sha256(payload).hexdigest()
    return {"snapshot": frame_key(sha256), "frame_bytes": len(payload), "frame_sha256": sha256}
