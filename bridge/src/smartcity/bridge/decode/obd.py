"""OBD-II answers as an ELM327 prints them: mode 01 values and mode 03 trouble codes.

Formulas: SAE J1979 (ISO 15031-5). Framing: ISO 15765-4, and the ELM327 data sheet for headers on (`7E8 04 41 0C 1A F8`,
with the frame type byte) and off (`41 0C 1A F8`; long answers numbered `0: …`, `1: …` after a line with their length).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

from smartcity.contracts.reasons import Reason

from ..errors import Reject

LINES_MAX = 256
_NO_ANSWER = frozenset({"NO DATA", "SEARCHING...", "OK"})
_HEX = re.compile(r"[0-9A-F]+")
_NUMBERED = re.compile(r"([0-9A-F]):([0-9A-F]+)")
_NO_ECU = ""
_REMEMBERED_CHARACTERS_MAX = 80
_REMEMBERED_BYTES_MAX = 16
_REMEMBERED_MAX = 16_384
"""Answers to single requests, and values in them, that are remembered: some 10 MB."""

_PIDS: dict[int, tuple[str, int, Callable[[bytes], float]]] = {
    0x04: ("engine_load", 1, lambda data: 100.0 * data[0] / 255.0),
    0x05: ("coolant_temperature", 1, lambda data: data[0] - 40.0),
    0x0C: ("rpm", 2, lambda data: (256 * data[0] + data[1]) / 4.0),
    0x0D: ("speed", 1, lambda data: float(data[0])),
    0x0F: ("intake_temperature", 1, lambda data: data[0] - 40.0),
    0x10: ("maf", 2, lambda data: (256 * data[0] + data[1]) / 100.0),
    0x11: ("throttle_position", 1, lambda data: 100.0 * data[0] / 255.0),
    0x1F: ("run_time", 2, lambda data: float(256 * data[0] + data[1])),
    0x2F: ("fuel_level", 1, lambda data: 100.0 * data[0] / 255.0),
}

Answer = tuple[str, bytes]
"""Header of the control unit that answered (empty where headers are off), and the answer's bytes."""


def decode_obd(payload: bytes) -> dict[str, Any]:
    """The values of one poll. Where several control units answer a PID, the lowest header (7E8, the engine) counts.

    PIDs that the contract does not have and negative answers (7F) are passed over.

    Raises:
        Reject: not an ELM327's print, a broken frame, or no answer at all.
    """
    answers = sorted(_answers(_text(payload)), key=lambda answer: answer[0])
    fields: dict[str, Any] = {}
    for _, data in answers:
        if data[0] == 0x41:
            values = _values_remembered(data) if len(data) <= _REMEMBERED_BYTES_MAX else _values(data)
            for name, value in values:
                fields.setdefault(name, value)
        elif data[0] == 0x43:
            codes = fields.get("trouble_codes", ())
            fields["trouble_codes"] = codes + tuple(code for code in _codes(data[1:]) if code not in codes)
        elif data[0] != 0x7F:
            raise _undecodable(f"an answer of service {data[0]:02X}, not 41 or 43")
    if not answers:
        raise _undecodable("no answer in it")
    return fields


def _text(payload: bytes) -> str:
    try:
        return payload.decode("ascii")
    except UnicodeDecodeError as error:
        raise _undecodable(f"byte {error.start} is not ASCII") from error


def _answers(text: str) -> Iterator[Answer]:
    """Answers in their order. A prompt (`>`) ends the answers to one request."""
    lines_seen = 0
    for request in text.split(">"):
        lines, answers = _remembered(request) if len(request) <= _REMEMBERED_CHARACTERS_MAX else _answered(request)
        lines_seen += lines
        if lines_seen > LINES_MAX:
            raise _undecodable(f"more than {LINES_MAX} lines")
        yield from answers


def _answered(request: str) -> tuple[int, tuple[Answer, ...]]:
    """How many lines answer one request, and the answers in them."""
    lines = [line.strip() for line in request.replace("\n", "\r").split("\r")]
    lines = [line for line in lines if line and line not in _NO_ANSWER]
    return len(lines), tuple(_request(lines))


_remembered = functools.lru_cache(_REMEMBERED_MAX)(_answered)
"""A car gives the same few thousand answers over and over: a byte for each of most values."""


def _request(lines: list[str]) -> Iterator[Answer]:
    open_frames: dict[str, tuple[int, bytes, int]] = {}
    """By control unit: length announced, bytes so far, number of the next frame."""
    for line in lines:
        digits = line.replace(" ", "").upper()
        numbered = _NUMBERED.fullmatch(digits)
        if numbered is not None:
            number, data = int(numbered[1], 16), _bytes(numbered[2], line)
            yield from _continued(open_frames, _NO_ECU, number, data, line)
        elif not _HEX.fullmatch(digits):
            raise _undecodable(f"the line {line[:60]!r}")
        elif len(digits) == 3:  # Headers off: the length of the numbered lines that follow.
            open_frames[_NO_ECU] = (int(digits, 16), b"", 0)
        elif len(digits) % 2:
            yield from _frame(open_frames, digits[:3], _bytes(digits[3:], line), line)
        elif digits.startswith("18DA"):
            yield from _frame(open_frames, digits[:8], _bytes(digits[8:], line), line)
        else:
            yield _NO_ECU, _bytes(digits, line)
    if open_frames:
        raise _undecodable("a long answer breaks off")


def _frame(open_frames: dict[str, tuple[int, bytes, int]], ecu: str, frame: bytes, line: str) -> Iterator[Answer]:
    """ISO 15765-2: the first nibble says single (0), first (1) or consecutive frame (2)."""
    kind, low = frame[0] >> 4, frame[0] & 0x0F
    if kind == 0 and 1 <= low < len(frame):
        yield ecu, frame[1 : 1 + low]
    elif kind == 1 and len(frame) > 2:
        open_frames[ecu] = (low << 8 | frame[1], frame[2:], 1)
    elif kind == 2:
        yield from _continued(open_frames, ecu, low, frame[1:], line)
    else:
        raise _undecodable(f"the frame {line[:60]!r}")


def _continued(
    open_frames: dict[str, tuple[int, bytes, int]], ecu: str, number: int, data: bytes, line: str
) -> Iterator[Answer]:
    length, so_far, expected = open_frames.pop(ecu, (0, b"", -1))
    if number != expected & 0x0F:
        raise _undecodable(f"the frame {line[:60]!r} is out of order")
    so_far += data
    if len(so_far) >= length > 0:
        yield ecu, so_far[:length]
    else:
        open_frames[ecu] = (length, so_far, expected + 1)


def _bytes(digits: str, line: str) -> bytes:
    if len(digits) % 2 or not digits:
        raise _undecodable(f"the line {line[:60]!r}")
    return bytes.fromhex(digits)


def _values(data: bytes) -> tuple[tuple[str, float], ...]:
    """Mode 01: PID, its bytes, and on CAN perhaps further PIDs with theirs."""
    values = []
    at = 1
    while at < len(data):
        known = _PIDS.get(data[at])
        if known is None:  # Its length is unknown, so nothing after it can be told apart.
            break
        name, length, formula = known
        value = data[at + 1 : at + 1 + length]
        if len(value) < length:
            raise _undecodable(f"PID {data[at]:02X} has {len(value)} bytes, not {length}")
        values.append((name, formula(value)))
        at += 1 + length
    return tuple(values)


_values_remembered = functools.lru_cache(_REMEMBERED_MAX)(_values)


def _codes(data: bytes) -> Iterator[str]:
    """Mode 03: two bytes a code. On CAN their count stands before them; older buses pad with zeros to three codes."""
    pairs = data
    if len(data) % 2:
        count, pairs = data[0], data[1:]
        if len(pairs) < 2 * count:
            raise _undecodable(f"{count} trouble codes announced, {len(pairs) // 2} there")
        pairs = pairs[: 2 * count]
    for high, low in zip(pairs[::2], pairs[1::2], strict=True):
        if high or low:
            yield f"{'PCBU'[high >> 6]}{high >> 4 & 3}{high & 0x0F:X}{low:02X}"


def _undecodable(detail: str) -> Reject:
    return Reject(Reason.PAYLOAD_UNDECODABLE, f"not OBD answers of an ELM327: {detail}")
