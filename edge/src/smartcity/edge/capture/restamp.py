"""A reading as if it were measured now: envelope, NMEA and JSON times moved, and under a new id.

Moved are the envelope's `time` and `senttime`, the times of NMEA sentences (with their checksums), and `timestamp` of a
JSON document. A reading keeps its distance from the moment of its reception, so one that came once a second does so
again; it moves by whole seconds, so that sentences without fractions and the envelope agree, and never into the future.
The id gets a new boot and keeps its sequence; `originalid` names the reading that it was.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from smartcity.contracts import mqtt
from smartcity.contracts.envelope import EnvelopeError, format_time, parse_id, parse_time
from smartcity.contracts.mqtt import MalformedPacketError

from .formats.nmea import SENTENCE, checksum, clock_of, date_of, time_of_day
from .message import Message

ORIGINAL_ID = "originalid"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS = 1_000_000_000
_JSON_TIME = re.compile(rb'("timestamp"\s*:\s*")([^"\\]{10,40})(")')


def new_boot() -> str:
    """64 random bits, as a device draws at its start."""
    return secrets.token_hex(8)


class Restamp:
    """One pass through a capture: the boots that it mints, and by how much each device's times move."""

    def __init__(self, *, times: bool, boots: bool, mint: Callable[[], str] = new_boot) -> None:
        """
        Args:
            times: move times to the time of sending.
            boots: give readings new ids.
        """
        self._times = times
        self._boots = boots
        self._mint = mint
        self._minted: dict[tuple[str, str], str] = {}
        self._lags: dict[str, int] = {}

    def apply(self, message: Message, due_ns: int, renamed: tuple[str, str] | None) -> Message:
        """The message as it is to be sent at `due_ns` (nanoseconds since 1970)."""
        try:
            pairs = mqtt.split_properties(message.properties)
        except MalformedPacketError:
            pairs = []  # Bytes that are no properties stay as they are.
        users = dict(mqtt.user_pair(value) for kind, value in pairs if kind == mqtt.USER_PROPERTY)
        changes: dict[str, str] = {}
        payload = message.payload
        if renamed is not None:
            payload = _rename(payload, *renamed)
            if users.get("source") == f"/devices/{renamed[0]}":
                changes["source"] = f"/devices/{renamed[1]}"
        if self._times:
            seconds = self._move_s(message, users, due_ns)
            if seconds is not None:
                changes |= _moved_times(users, seconds, due_ns)
                payload = move_json(move_nmea(payload, seconds), seconds)
        if self._boots and "id" in users:
            changes |= self._new_id(users)
        properties = _change(pairs, changes) if changes else message.properties
        return message._replace(properties=properties, payload=payload)

    def _move_s(self, message: Message, users: dict[str, str], due_ns: int) -> int | None:
        """By how many seconds the reading's time moves; None if it has none.

        The first reading of a device says how far its clock is from that of the recorder.
        """
        event_ns = _event_ns(users, message.payload)
        if event_ns is None:
            return None
        lag_ns = event_ns - message.time_ns
        first_lag_ns = self._lags.setdefault(users.get("source", message.topic), lag_ns)
        moved_ns = due_ns + min(0, lag_ns - first_lag_ns)
        return (moved_ns - event_ns) // _SECOND_NS

    def _new_id(self, users: dict[str, str]) -> dict[str, str]:
        try:
            boot, sequence = parse_id(users["id"])
        except EnvelopeError:
            return {}  # Not an id of this city; the bridge will say so.
        key = (users.get("source", ""), boot)
        minted = self._minted.get(key)
        if minted is None:
            minted = self._minted[key] = self._mint()
        return {"id": f"{minted}.{sequence}", ORIGINAL_ID: users.get(ORIGINAL_ID, users["id"])}


def move_nmea(payload: bytes, seconds: int) -> bytes:
    """NMEA sentences whose times are `seconds` later, checksums included; everything else as it is."""
    if not payload.startswith(b"$"):
        return payload
    day = None
    for match in SENTENCE.finditer(payload):
        day = date_of(match[1][2:], match[2].split(b",")) or day

    def move(match: re.Match[bytes]) -> bytes:
        kind, fields = match[1][2:], match[2].split(b",")
        clock = clock_of(kind, fields)
        elapsed = time_of_day(clock)
        if elapsed is None or checksum(match[0][1:-3]) != int(match[3], 16):
            return match[0]
        later = (day or datetime(2000, 1, 1, tzinfo=UTC)) + elapsed + timedelta(seconds=seconds)
        fields[4 if kind == b"GLL" else 0] = later.strftime("%H%M%S").encode() + clock[6:]
        if kind == b"RMC" and date_of(kind, fields) is not None:
            fields[8] = later.strftime("%d%m%y").encode()
        elif kind == b"ZDA" and date_of(kind, fields) is not None:
            fields[1:4] = later.strftime("%d,%m,%Y").encode().split(b",")
        body = match[1] + b"," + b",".join(fields)
        return b"$%s*%02X" % (body, checksum(body))

    return SENTENCE.sub(move, payload)


def move_json(payload: bytes, seconds: int) -> bytes:
    """A JSON document whose `timestamp` is `seconds` later; everything else as it is."""
    if not payload.startswith(b"{"):
        return payload

    def move(match: re.Match[bytes]) -> bytes:
        try:
            time = parse_time("timestamp", match[2].decode())
        except (EnvelopeError, UnicodeDecodeError):
            return match[0]
        return match[1] + format_time(time + timedelta(seconds=seconds)).encode() + match[3]

    return _JSON_TIME.sub(move, payload, count=1)


def _rename(payload: bytes, old: str, new: str) -> bytes:
    """A JSON document that names its device names the new one: the bridge refuses any other than its topic's."""
    if not payload.startswith(b"{"):
        return payload
    pattern = rb'("device_id"\s*:\s*")' + re.escape(old.encode()) + rb'"'
    return re.sub(pattern, lambda match: match[1] + new.encode() + b'"', payload, count=1)


def _moved_times(users: dict[str, str], seconds: int, due_ns: int) -> dict[str, str]:
    changes = {}
    if "time" in users:
        try:
            changes["time"] = format_time(parse_time("time", users["time"]) + timedelta(seconds=seconds))
        except EnvelopeError:
            return {}
    if "senttime" in users:
        changes["senttime"] = format_time(_EPOCH + timedelta(microseconds=due_ns // 1_000))
    return changes


def _event_ns(users: dict[str, str], payload: bytes) -> int | None:
    """When it was measured: by the envelope, else by the payload."""
    try:
        if "time" in users:
            return _ns(parse_time("time", users["time"]))
        found = _JSON_TIME.search(payload) if payload.startswith(b"{") else None
        if found is not None:
            return _ns(parse_time("timestamp", found[2].decode()))
    except (EnvelopeError, UnicodeDecodeError):
        return None
    if payload.startswith(b"$"):
        for match in SENTENCE.finditer(payload):
            fields = match[2].split(b",")
            day = date_of(match[1][2:], fields)
            elapsed = time_of_day(clock_of(match[1][2:], fields))
            if day is not None and elapsed is not None:
                return _ns(day + elapsed)
    return None


def _ns(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1) * 1_000


def _change(pairs: list[tuple[int, bytes]], changes: dict[str, str]) -> bytes:
    """The properties with other values for some user properties, in their places; new ones at the end."""
    left = dict(changes)
    parts = []
    for kind, value in pairs:
        name = mqtt.user_pair(value)[0] if kind == mqtt.USER_PROPERTY else None
        if name in changes:
            if name in left:
                parts.append(mqtt.user_property(name, left.pop(name)))
        else:
            parts.append(bytes((kind,)) + value)
    return b"".join(parts) + b"".join(mqtt.user_property(name, value) for name, value in left.items())
