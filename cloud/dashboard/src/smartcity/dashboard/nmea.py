"""NMEA 0183 for the eye: the position in a burst, and what each field of its sentences means.

Lenient: what is no sentence is shown as it is. The bridge is who judges readings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from .native import LINE_CHARACTERS_MAX, LINES_MAX, PIECES_MAX, Line, Piece

KNOT_KMH = 1.852

_RMC = re.compile(rb"\$(G[A-Z]RMC,[^*\r\n]{0,90})\*([0-9A-Fa-f]{2})")
_SENTENCE = re.compile(r"\$([A-Z]{2})([A-Z]{3}),([^*]*)\*([0-9A-Fa-f]{2})")
_SYSTEMS = {"GP": "GPS", "GL": "GLONASS", "GA": "Galileo", "GB": "BeiDou", "GN": "several systems"}
_QUALITIES = ("no fix", "GPS", "differential GPS", "PPS", "RTK", "float RTK", "estimated", "manual", "simulated")
_MODES = {"A": "autonomous", "D": "differential", "E": "estimated", "M": "manual", "N": "no fix", "S": "simulated"}
_TITLES = {
    "RMC": "Recommended minimum: time, position, speed, course",
    "GGA": "Fix: position, quality, height",
    "GSA": "Satellites that the fix uses, and its precision",
    "GSV": "Satellites in view",
    "VTG": "Course and speed over ground",
    "GLL": "Position and time",
}

Reader = Callable[[str], str]
"""A field's characters in words; ValueError or IndexError where they are of another form."""


def read_rmc(payload: bytes) -> dict[str, Any] | None:
    """Latitude, longitude (°), speed (km/h) and direction (°) of the RMC sentence.

    None where there is none with a right checksum. Without a fix the values are None.
    """
    match = _RMC.search(payload)
    if match is None or checksum(match[1]) != int(match[2], 16):
        return None
    fields = match[1].decode("ascii", "replace").split(",")
    if len(fields) < 9:
        return None
    if fields[2] != "A":
        return {"latitude": None, "longitude": None, "speed": None, "direction": None}
    try:
        return {
            "latitude": _degrees(fields[3], "NS".index(fields[4])),
            "longitude": _degrees(fields[5], "EW".index(fields[6])),
            "speed": round(_finite(fields[7]) * KNOT_KMH, 1) if fields[7] else None,
            "direction": _finite(fields[8]) if fields[8] else None,
        }
    except ValueError:
        return None


def checksum(body: bytes) -> int:
    """Exclusive or of the bytes between `$` and `*`."""
    value = 0
    for byte in body:
        value ^= byte
    return value


def explain_nmea(payload: bytes) -> list[Line]:
    """The burst's lines in their order, each field with its meaning."""
    lines = [line for line in re.split(r"[\r\n]+", payload.decode("ascii", "replace")) if line]
    return [_explained(line[:LINE_CHARACTERS_MAX]) for line in lines[:LINES_MAX]]


def _explained(line: str) -> Line:
    match = _SENTENCE.fullmatch(line)
    if match is None:
        return Line(text=line, title="No NMEA sentence", trouble="it is not of the form $…*checksum")
    talker, kind, body, told = match.groups()
    title = _TITLES.get(kind, "A sentence that this page does not read")
    right = checksum(f"{talker}{kind},{body}".encode("ascii", "replace"))
    if right != int(told, 16):
        return Line(text=line, title=title, trouble=f"its checksum is {told}, but its characters give {right:02X}")
    fields = body.split(",")
    if kind == "GSV":
        pieces = _satellites(fields)
    elif kind == "GSA":
        pieces = _used(fields)
    else:
        pieces = _read(fields, _FORMS.get(kind, ()))
    head = Piece(raw=talker + kind, name="sentence", value=f"{kind} of {_SYSTEMS.get(talker, talker)}")
    return Line(text=line, title=title, pieces=(head, *pieces, Piece(raw=told, name="checksum", value="right")))


def _read(fields: Sequence[str], form: Sequence[tuple[int, str, Reader]]) -> list[Piece]:
    """`form`: how many fields belong together, what they are, and how to read them, joined by commas."""
    pieces, at = [], 0
    for width, name, reader in form:
        raw = ",".join(fields[at : at + width])
        at += width
        if not raw.strip(","):
            continue
        try:
            value = reader(raw)
        except (ValueError, IndexError):
            value = "not readable"
        pieces.append(Piece(raw=raw, name=name, value=value))
    return pieces


def _satellites(fields: Sequence[str]) -> list[Piece]:
    pieces = _read(fields, ((1, "sentences in all", str), (1, "this one", str), (1, "satellites in view", str)))
    groups = range(3, len(fields) - len(fields) % 4 + 3, 4)
    for at in groups:
        group = fields[at : at + 4]
        if len(group) == 4 and group[0]:
            number, elevation, azimuth, signal = (field.lstrip("0") or "0" for field in group)
            value = f"{elevation}° high, towards {azimuth}°, {signal} dB-Hz"
            pieces.append(Piece(raw=",".join(group), name=f"satellite {number}", value=value))
    return pieces[:PIECES_MAX]


def _used(fields: Sequence[str]) -> list[Piece]:
    used = [field for field in fields[2:14] if field]
    pieces = _read(fields, ((1, "selection", _choice({"A": "automatic", "M": "manual"})), (1, "fix", _fix)))
    if used:
        pieces.append(Piece(raw=",".join(used), name="satellites used", value=f"{len(used)} of them"))
    precisions = ((1, "PDOP", str), (1, "HDOP, across", str), (1, "VDOP, in height", str))
    return pieces + _read(fields[14:], precisions)


def _choice(words: dict[str, str]) -> Reader:
    return lambda text: words.get(text, f"{text}, not known")


def _fix(text: str) -> str:
    return ("none", "no fix", "two dimensions", "three dimensions")[int(text)]


def _clock(text: str) -> str:
    return f"{text[:2]}:{text[2:4]}:{text[4:]} UTC"


def _date(text: str) -> str:
    return f"20{text[4:6]}-{text[2:4]}-{text[:2]}"


def _latitude(text: str) -> str:
    degrees, side = text.split(",")
    return f"{_degrees(degrees, 'NS'.index(side)):.6f}°"


def _longitude(text: str) -> str:
    degrees, side = text.split(",")
    return f"{_degrees(degrees, 'EW'.index(side)):.6f}°"


def _knots(text: str) -> str:
    return f"{_finite(text) * KNOT_KMH:.1f} km/h"


def _unit(unit: str) -> Reader:
    return lambda text: f"{_finite(text.split(',')[0]):g} {unit}"


_POSITION = ((2, "latitude", _latitude), (2, "longitude", _longitude))
_MODE = _choice(_MODES)
_FORMS: dict[str, tuple[tuple[int, str, Reader], ...]] = {
    "RMC": (
        (1, "time", _clock),
        (1, "status", _choice({"A": "valid", "V": "warning: no fix"})),
        *_POSITION,
        (1, "speed, knots", _knots),
        (1, "course", _unit("° from north")),
        (1, "date", _date),
        (2, "magnetic variation", str),
        (1, "mode", _MODE),
    ),
    "GGA": (
        (1, "time", _clock),
        *_POSITION,
        (1, "quality", lambda text: _QUALITIES[int(text)]),
        (1, "satellites used", lambda text: str(int(text))),
        (1, "HDOP", str),
        (2, "height above the sea", _unit("m")),
        (2, "geoid above the ellipsoid", _unit("m")),
        (1, "age of corrections", str),
        (1, "reference station", str),
    ),
    "VTG": (
        (2, "course, true", _unit("° from north")),
        (2, "course, magnetic", _unit("° from north")),
        (2, "speed, knots", lambda text: _knots(text.split(",")[0])),
        (2, "speed, km/h", _unit("km/h")),
        (1, "mode", _MODE),
    ),
    "GLL": (
        *_POSITION,
        (1, "time", _clock),
        (1, "status", _choice({"A": "valid", "V": "warning: no fix"})),
        (1, "mode", _MODE),
    ),
}


def _degrees(text: str, negative: int) -> float:
    """`dddmm.mmmm` as degrees, six places, which is a decimetre."""
    value = _finite(text)
    degrees = value // 100 + value % 100 / 60
    return round(-degrees if negative else degrees, 6)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
