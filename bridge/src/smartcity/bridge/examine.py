"""What becomes of a message: the pure passage from MQTT to the Kafka record, through decode and check."""

from __future__ import annotations

import logging
from collections.abc import Callable

from smartcity.contracts.envelope import METADATA_PROPERTY, EnvelopeError, read_envelope
from smartcity.contracts.limits import STREAM_RECORD_BYTES_MAX
from smartcity.contracts.reasons import Reason

from .check import check
from .dead_letters import dead_letter
from .decode import decode_reading
from .errors import Reject
from .express import express_record
from .message import Message, Record
from .record import reading_record

log = logging.getLogger(__name__)


def examine(message: Message, new_foreign_id: Callable[[], str]) -> Record:
    """The record to produce, of the stream or of the dead letters, of a message that is not `ignored`.

    A message of the usual form takes the short way (`express.py`); all others, and all that it does not pass, take the
    thorough one, which alone refuses.

    Guarantees: never raises. A defect in this passage makes a dead letter too, so that it stops no other message.
    """
    try:
        if message.stamp is not None:
            record = express_record(message, message.stamp)
            if record is not None:
                return record
        return thorough_record(message, new_foreign_id)
    except Reject as refused:
        return dead_letter(message, refused)
    except Exception as defect:  # A defect must not stop the stream; it is logged and the message is kept.
        log.exception("defect while examining a message on %s", message.topic)
        return dead_letter(message, Reject(Reason.PAYLOAD_UNDECODABLE, f"a defect of the bridge: {defect!r}"))


def thorough_record(message: Message, new_foreign_id: Callable[[], str]) -> Record:
    """The record of any message that obeys the contract, whatever form its envelope has.

    Raises:
        Reject: it does not.
    """
    device, stream = message.route.device, message.route.stream
    if device is None or stream is None:
        raise Reject(Reason.TOPIC_UNKNOWN, f"no stream has the topic {message.topic!r}")
    try:
        envelope = read_envelope(message.properties)
    except EnvelopeError as error:
        raise Reject(Reason.ENVELOPE_INVALID, str(error)) from error
    if envelope is not None and envelope.device_id != device:
        raise Reject(Reason.ENVELOPE_MISMATCH, f"source is /devices/{envelope.device_id}, the topic's is {device}")
    if envelope is not None and envelope.event_type != stream.event_type:
        raise Reject(
            Reason.ENVELOPE_MISMATCH, f"type is {envelope.event_type!r}, the topic's stream has {stream.event_type!r}"
        )
    reading = decode_reading(
        stream,
        envelope,
        device,
        message.payload,
        dict(message.properties).get(METADATA_PROPERTY),
        message.received_at,
        foreign_id=None if envelope is not None else new_foreign_id(),
    )
    check(reading, message.received_at)
    record = reading_record(stream, reading, envelope, message)
    if record.bytes_estimated > STREAM_RECORD_BYTES_MAX:
        raise Reject(
            Reason.TOO_LARGE, f"the record has {record.bytes_estimated} bytes, more than {STREAM_RECORD_BYTES_MAX}"
        )
    return record
