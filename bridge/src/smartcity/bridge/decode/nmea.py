"""NMEA 0183 bursts: one second of a GNSS receiver.

Every sentence must have a right checksum; RMC and GGA are read, others only checked. pynmea2 splits and checks a
sentence, but returns a raw string where a field does not convert and 0.0 for a broken hemisphere, so the fields are
converted here, strictly. A burst in the usual form is split and checked here too, at a fifth of the cost; pynmea2 has
the last word on every other.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pynmea2

from smartcity.contracts.reasons import Reason

from ..errors import Reject

SENTENCES_MAX = 64
"""A burst of one second of a receiver with four constellations has about 25."""
KNOT_KMH = 1.852

_USUAL = re.compile(rb"\$(G[A-Z](RMC|GGA|GSA|GSV|GLL|VTG),([0-9A-Za-z.,-]{0,121}))\*([0-9A-F]{2})\r\n")
"""`$`, what the checksum covers (128 bytes at most), `*`, checksum; 6 bytes stand around what it covers."""
_FOLDS = (512, 256, 128, 64, 32, 16, 8)
"""Halving a number of 128 bytes by XOR again and again leaves the XOR of its bytes."""

_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_LATITUDE = re.compile(r"([0-9]{2})([0-5][0-9](?:\.[0-9]{1,12})?)")
_LONGITUDE = re.compile(r"([01][0-9]{2})([0-5][0-9](?:\.[0-9]{1,12})?)")
_TIME = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})(?:\.([0-9]{1,6}))?")
_DATE = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})")


def decode_nmea(payload: bytes) -> dict[str, Any]:
    """Position, speed (km/h), course and quality of a burst. Without a fix, position, speed and course are None.

    Raises:
        Reject: not NMEA, a wrong or missing checksum, no RMC or GGA or several, or a field of another form.
    """
    sentences = _sentences(payload)
    rmc, gga = _only(sentences, "RMC", 9), _only(sentences, "GGA", 10)
    quality = _integer("GGA fix quality", gga[5])
    fields: dict[str, Any] = {
        "fix_quality": quality,
        "satellites": _integer("GGA satellites", gga[6]),
        "hdop": _number("GGA HDOP", gga[7]),
        "timestamp": _time(rmc[0], rmc[8]),
    }
    if rmc[1] == "A" and quality:
        speed = _number("RMC speed", rmc[6])
        fields |= {
            "latitude": _degrees("GGA latitude", _LATITUDE, gga[1], gga[2], "NS"),
            "longitude": _degrees("GGA longitude", _LONGITUDE, gga[3], gga[4], "EW"),
            "altitude": _number("GGA altitude", gga[8]),
            "speed": None if speed is None else speed * KNOT_KMH,
            "direction": _number("RMC course", rmc[7]),
        }
    return fields


def _sentences(payload: bytes) -> list[tuple[str, list[str]]]:
    """Type (`RMC`, …) and fields of each sentence, checksums checked. Types that pynmea2 does not know are left out."""
    usual = usual_sentences(payload)
    return parsed_sentences(payload) if usual is None else usual


def usual_sentences(payload: bytes) -> list[tuple[str, list[str]]] | None:
    """The sentences of a burst whose every byte is as receivers write it and whose checksums are right; None for any
    other, be it right or wrong. Where it gives sentences, `parsed_sentences` gives the same."""
    found = _USUAL.findall(payload)
    if not 1 <= len(found) <= SENTENCES_MAX or sum([len(one[0]) for one in found]) + 6 * len(found) != len(payload):
        return None
    sentences = []
    for body, kind, data, checksum in found:
        folded = int.from_bytes(body)
        for bits in _FOLDS:
            folded ^= folded >> bits
        if folded & 0xFF != int(checksum, 16):
            return None
        sentences.append((kind.decode(), data.decode().split(",")))
    return sentences


def parsed_sentences(payload: bytes) -> list[tuple[str, list[str]]]:
    """As pynmea2 reads them."""
    try:
        lines = [line for line in payload.decode("ascii").replace("\r", "\n").split("\n") if line]
    except UnicodeDecodeError as error:
        raise Reject(Reason.PAYLOAD_UNDECODABLE, f"not NMEA: byte {error.start} is not ASCII") from error
    if not 1 <= len(lines) <= SENTENCES_MAX:
        raise Reject(Reason.PAYLOAD_UNDECODABLE, f"{len(lines)} lines, not 1 to {SENTENCES_MAX} NMEA sentences")
    sentences = []
    for line in lines:
        if not line.startswith("$"):
            raise Reject(Reason.PAYLOAD_UNDECODABLE, f"not an NMEA sentence: {line[:90]!r}")
        try:
            sentence = pynmea2.parse(line, check=True)
        except pynmea2.ChecksumError as error:
            raise Reject(Reason.CHECKSUM_INVALID, f"{error.args[0][0]}: {line[:90]!r}") from error
        except pynmea2.SentenceTypeError:  # Raised after the checksum was found right.
            continue
        except pynmea2.ParseError as error:
            raise Reject(Reason.PAYLOAD_UNDECODABLE, f"not an NMEA sentence: {line[:90]!r}") from error
        if isinstance(sentence, pynmea2.TalkerSentence):
            sentences.append((sentence.sentence_type, sentence.data))
    return sentences


def _only(sentences: list[tuple[str, list[str]]], kind: str, fields_min: int) -> list[str]:
    found = [fields for name, fields in sentences if name == kind]
    if len(found) != 1:
        raise Reject(Reason.CONTRACT_VIOLATION, f"{len(found)} {kind} sentences in the burst, not one")
    if len(found[0]) < fields_min:
        raise Reject(Reason.CONTRACT_VIOLATION, f"{kind} has {len(found[0])} fields, fewer than {fields_min}")
    return found[0]


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise _malformed(name, text, "a number")
    return float(text)


def _integer(name: str, text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise _malformed(name, text, "a whole number")
    return int(text)


def _degrees(name: str, form: re.Pattern[str], text: str, hemisphere: str, hemispheres: str) -> float:
    """Signed degrees of `ddmm.mmmm` or `dddmm.mmmm`; the second letter of `hemispheres` is the negative one."""
    match = form.fullmatch(text)
    if match is None:
        raise _malformed(name, text, "degrees and minutes")
    if len(hemisphere) != 1 or hemisphere not in hemispheres:
        raise _malformed(f"{name}'s hemisphere", hemisphere, " or ".join(hemispheres))
    degrees = int(match[1]) + float(match[2]) / 60
    return -degrees if hemisphere == hemispheres[1] else degrees


def _time(time: str, date: str) -> datetime | None:
    """UTC of RMC's `hhmmss.ss` and `ddmmyy` (years 2000 to 2099), or None where the receiver does not know it yet."""
    if not time or not date:
        return None
    clock, day = _TIME.fullmatch(time), _DATE.fullmatch(date)
    if clock is None or day is None:
        raise _malformed("RMC time and date", f"{time} {date}", "hhmmss and ddmmyy")
    try:
        return datetime(
            2000 + int(day[3]), int(day[2]), int(day[1]),
            int(clock[1]), int(clock[2]), int(clock[3]), int((clock[4] or "0").ljust(6, "0")), UTC,
        )  # fmt: skip
    except ValueError as error:
        raise _malformed("RMC time and date", f"{time} {date}", f"a time ({error})") from error


def _malformed(name: str, text: str, wanted: str) -> Reject:
    return Reject(Reason.CONTRACT_VIOLATION, f"{name} is {text[:40]!r}, not {wanted}")
