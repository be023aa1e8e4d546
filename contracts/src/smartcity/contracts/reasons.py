"""Why a message became a dead letter. Codes are part of the contract: they are stored, counted and queried."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Reason codes, one per kind of refusal. A member is its code; `meaning` is its sentence for people."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> Reason:
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    TOPIC_UNKNOWN = ("topic_unknown", "No stream has this MQTT topic, or the device's name breaks the pattern.")
    ENVELOPE_INVALID = ("envelope_invalid", "CloudEvents attributes are missing or malformed.")
    ENVELOPE_MISMATCH = ("envelope_mismatch", "Envelope or payload names another device or stream than the topic.")
    PAYLOAD_UNDECODABLE = ("payload_undecodable", "Not NMEA, OBD, JPEG or JSON at all.")
    CHECKSUM_INVALID = ("checksum_invalid", "An NMEA sentence whose checksum is wrong or missing.")
    CONTRACT_VIOLATION = ("contract_violation", "Decoded, but a field is missing, of another type or out of range.")
    EVENT_TIME_AHEAD = ("event_time_ahead", "Event time lies further ahead than EVENT_TIME_AHEAD_MAX_S.")
    EVENT_TIME_TOO_OLD = ("event_time_too_old", "Event time lies before EVENT_TIME_MIN.")
    TOO_LARGE = ("too_large", "The record would exceed its Kafka topic's limit.")
    RATE_LIMITED = ("rate_limited", "The device sent more than the bridge's limit per device allows.")
    RECORD_UNPARSEABLE = ("record_unparseable", "The lake cannot read a Kafka record (foreign producer).")
