"""What a payload fault makes of a payload. Pure; the result is what the device really sends."""

from __future__ import annotations

import json
import re
from datetime import datetime

from smartcity.contracts.envelope import format_time
from smartcity.contracts.streams import EMERGENCY, GPS, VEHICLE, WEATHER, Stream

from ..sensors.gps import burst_without_fix, sentence
from .kinds import PIDS

_BODY = re.compile(rb"\$([^*]*)\*")
_SEGMENT_BYTES_MAX = 65_537
"""A JPEG comment: marker (2), length (2), and what the length can count beside itself (65,533)."""


def without_fix(burst: bytes) -> bytes:
    """The burst of a receiver that knows the time of the burst given, and no position."""
    rmc = _fields(burst, "RMC")
    return burst_without_fix(rmc[1], rmc[9])


def reading_of(payload: bytes, stream: Stream, value: str) -> str:
    """A value as the payload writes it: of OBD the bytes of its PID, of a report the JSON.

    Raises:
        LookupError: it is not in there.
    """
    if stream is VEHICLE:
        found = _pid(value).search(payload)
        if found is None:
            raise LookupError(value)
        return found[2].decode("ascii")
    return json.dumps(json.loads(payload)[value])


def with_reading(payload: bytes, stream: Stream, value: str, text: str) -> bytes:
    """The payload with this value instead of its own; `text` as `reading_of` gave it."""
    if stream is VEHICLE:
        return _pid(value).sub(rb"\g<1>" + text.encode("ascii"), payload)
    return _report({**json.loads(payload), value: json.loads(text)})


def at_time(payload: bytes, stream: Stream, time: datetime) -> bytes:
    """The payload of a device whose clock shows this time. OBD answers and a camera's picture carry none to change."""
    if stream is GPS:
        return "".join(_timed(line, time) for line in payload.decode("ascii").split("\r\n") if line).encode("ascii")
    if stream in (WEATHER, EMERGENCY):
        return _report({**json.loads(payload), "timestamp": format_time(time)})
    return payload


def padded(frame: bytes, payload_bytes: int) -> bytes:
    """The JPEG with comments (COM, ITU-T T.81 B.2.4.5) after its SOI, up to this size; as it is if it has no room."""
    missing = payload_bytes - len(frame)
    if missing < 4:
        return frame
    comments = bytearray()
    while missing:
        size = min(missing, _SEGMENT_BYTES_MAX)
        if 0 < missing - size < 4:
            size -= 4
        comments += b"\xff\xfe" + (size - 2).to_bytes(2) + bytes(size - 4)
        missing -= size
    return frame[:2] + bytes(comments) + frame[2:]


def corrupted(burst: bytes, where: float, by: float) -> tuple[bytes, str]:
    """One digit of one sentence's body changed, so that its checksum is wrong; and what was done.

    `where` and `by` are from 0 up to 1: which digit, and which other digit it becomes.
    """
    at = [i for body in _BODY.finditer(burst) for i in range(*body.span(1)) if 0x30 <= burst[i] <= 0x39]
    position = at[int(where * len(at))]
    old = burst[position] - 0x30
    new = (old + 1 + int(by * 9)) % 10
    return burst[:position] + b"%d" % new + burst[position + 1 :], f"byte {position}: {old} became {new}"


def _pid(value: str) -> re.Pattern[bytes]:
    return re.compile(rb"( 41 %s )([0-9A-F]{2}(?: [0-9A-F]{2})*)" % PIDS[value].encode("ascii"))


def _fields(burst: bytes, kind: str) -> list[str]:
    """Fields of the burst's sentence of this type; the first one is its name.

    Raises:
        LookupError: there is none.
    """
    for body in _BODY.findall(burst):
        fields = body.decode("ascii").split(",")
        if fields[0][2:] == kind:
            return list(fields)
    raise LookupError(kind)


def _timed(line: str, time: datetime) -> str:
    fields = line[1:].partition("*")[0].split(",")
    kind = fields[0][2:]
    if kind in ("RMC", "GGA"):
        fields[1] = f"{time:%H%M%S}.{time.microsecond // 10_000:02d}"
    if kind == "RMC":
        fields[9] = f"{time:%d%m%y}"
    return sentence(",".join(fields))


def _report(document: dict[str, object]) -> bytes:
    """As the weather station and the responder write it."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
