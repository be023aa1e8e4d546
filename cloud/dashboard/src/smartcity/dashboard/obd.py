"""OBD-II answers for the eye: the engine's values in a poll, and what each byte of an answer means.

Formulas: SAE J1979; frames: ISO 15765-2 as an ELM327 prints them with headers on. Lenient: what has another form is
shown as it is. The bridge is who judges readings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .native import LINE_CHARACTERS_MAX, LINES_MAX, Line, Piece

_ENGINE = re.compile(rb"41 ?(05|0C|0D|2F) ?([0-9A-F]{2})(?: ?([0-9A-F]{2}))?")
_HEADER = re.compile(r"(7E[8-F]|18 ?DA ?F1 ?[0-9A-F]{2}) ")
_UNITS = {"7E8": "engine", "7E9": "transmission"}
_SYSTEMS = "PCBU"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pid:
    """A parameter of mode 01: how many bytes, and what they are worth. `formula` says it with the bytes' numbers."""

    name: str
    length: int
    unit: str
    value: Callable[[Sequence[int]], float]
    formula: str


def _percent(data: Sequence[int]) -> float:
    return data[0] * 100 / 255


def _celsius(data: Sequence[int]) -> float:
    return data[0] - 40


PIDS = {
    0x04: Pid(name="engine load", length=1, unit="%", value=_percent, formula="{0} · 100 / 255"),
    0x05: Pid(name="coolant temperature", length=1, unit="°C", value=_celsius, formula="{0} − 40"),
    0x0C: Pid(
        name="engine speed",
        length=2,
        unit="1/min",
        value=lambda data: (256 * data[0] + data[1]) / 4,
        formula="(256 · {0} + {1}) / 4",
    ),
    0x0D: Pid(name="speed", length=1, unit="km/h", value=lambda data: data[0], formula="{0}"),
    0x0F: Pid(name="intake temperature", length=1, unit="°C", value=_celsius, formula="{0} − 40"),
    0x10: Pid(
        name="mass air flow",
        length=2,
        unit="g/s",
        value=lambda data: (256 * data[0] + data[1]) / 100,
        formula="(256 · {0} + {1}) / 100",
    ),
    0x11: Pid(name="throttle", length=1, unit="%", value=_percent, formula="{0} · 100 / 255"),
    0x1F: Pid(
        name="time since start",
        length=2,
        unit="s",
        value=lambda data: 256 * data[0] + data[1],
        formula="256 · {0} + {1}",
    ),
    0x2F: Pid(name="fuel level", length=1, unit="%", value=_percent, formula="{0} · 100 / 255"),
}
_NAMES = {b"05": "coolant_temperature", b"0C": "rpm", b"0D": "speed", b"2F": "fuel_level"}


def engine_values(payload: bytes) -> dict[str, float]:
    """Speed (km/h), rpm (1/min), fuel level (%) and coolant temperature (°C), as far as the poll has them."""
    found: dict[str, float] = {}
    for code, first, second in _ENGINE.findall(payload):
        pid, name = PIDS[int(code, 16)], _NAMES[code]
        data = [int(byte, 16) for byte in (first, second)[: pid.length] if byte]
        if len(data) == pid.length:
            found.setdefault(name, pid.value(data))
    return found


def explain_obd(payload: bytes) -> list[Line]:
    """The poll's answers in their order, each byte with its meaning."""
    lines = [line.strip() for line in re.split(r"[\r\n>]+", payload.decode("ascii", "replace"))]
    return [_explained(line[:LINE_CHARACTERS_MAX]) for line in [line for line in lines if line][:LINES_MAX]]


def _explained(line: str) -> Line:
    header = _HEADER.match(line)
    rest = line[header.end() :] if header else line
    try:
        data = [int(byte, 16) for byte in rest.split()]
    except ValueError:
        return Line(text=line, title="No answer in bytes", trouble="it is not written in hexadecimal")
    pieces = []
    if header:
        unit = _UNITS.get(header[1], "another control unit")
        pieces.append(Piece(raw=header[1], name="who answers", value=unit))
        if not data or data[0] > 7 or data[0] >= len(data):
            return Line(text=line, title="Part of a long answer", pieces=tuple(pieces))
        pieces.append(Piece(raw=f"{data[0]:02X}", name="bytes that follow", value=str(data[0])))
        data = data[1 : 1 + data[0]]
    if len(data) >= 2 and data[0] == 0x41:
        return _value_line(line, pieces, data)
    if len(data) >= 2 and data[0] == 0x43:
        return _codes_line(line, pieces, data)
    if data and data[0] == 0x7F:
        return Line(text=line, title="The control unit refuses", pieces=tuple(pieces))
    return Line(text=line, title="An answer that this page does not read", pieces=tuple(pieces))


def _value_line(line: str, pieces: list[Piece], data: list[int]) -> Line:
    pid = PIDS.get(data[1])
    pieces.append(Piece(raw="41", name="answer to mode 01", value="current data"))
    if pid is None:
        pieces.append(Piece(raw=f"{data[1]:02X}", name="PID", value="not known here"))
        return Line(text=line, title="A value that this page does not read", pieces=tuple(pieces))
    pieces.append(Piece(raw=f"{data[1]:02X}", name="PID", value=pid.name))
    value = data[2 : 2 + pid.length]
    if len(value) < pid.length:
        trouble = f"{len(value)} bytes where {pid.length} are due"
        return Line(text=line, title=pid.name.capitalize(), pieces=tuple(pieces), trouble=trouble)
    worth = f"{round(pid.value(value), 2):g} {pid.unit}"
    pieces.append(
        Piece(raw=" ".join(f"{byte:02X}" for byte in value), name=f"{pid.formula.format(*value)} =", value=worth)
    )
    return Line(text=line, title=f"{pid.name.capitalize()}: {worth}", pieces=tuple(pieces))


def _codes_line(line: str, pieces: list[Piece], data: list[int]) -> Line:
    count, pairs = data[1], data[2:]
    pieces.append(Piece(raw="43", name="answer to mode 03", value="stored trouble codes"))
    pieces.append(Piece(raw=f"{count:02X}", name="how many", value=str(count)))
    codes = []
    for high, low in zip(pairs[::2], pairs[1::2], strict=False):
        code = f"{_SYSTEMS[high >> 6]}{high >> 4 & 3}{high & 0x0F:X}{low:02X}"
        codes.append(code)
        pieces.append(Piece(raw=f"{high:02X} {low:02X}", name="code", value=code))
    title = f"Trouble codes: {', '.join(codes)}" if codes else "Trouble codes: none"
    return Line(text=line, title=title, pieces=tuple(pieces))
