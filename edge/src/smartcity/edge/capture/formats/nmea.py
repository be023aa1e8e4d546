"""NMEA 0183 logs, as gpsd and receivers keep them: sentences in bursts, and binary garbage between them.

A burst is what one second of a receiver (one time of day) says; each becomes a message on `devices/<device>/gps`, at
the time that its RMC or ZDA names. Only sentences with a right checksum count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smartcity.contracts.streams import GPS
from smartcity.contracts.topics import reading_topic

from ..message import Findings, Message

SENTENCE = re.compile(rb"\$([A-Z][A-Z0-9]{2,7}),([\x20-\x23\x25-\x29\x2b-\x7e]{0,120})\*([0-9A-Fa-f]{2})")
READ_BYTES = 64 * 1024
SENTENCE_BYTES_MAX = 140
BURST_SENTENCES_MAX = 64
"""As many as the bridge takes for one."""
DEVICE_DEFAULT = "nmea-log"
QOS = 1
_TIME = re.compile(rb"([0-9]{2})([0-9]{2})([0-9]{2})(?:\.([0-9]{1,6}))?")
_TIMED = frozenset({b"RMC", b"GGA", b"GNS", b"GLL", b"ZDA", b"GST", b"GBS"})
_DAY = timedelta(days=1)


def checksum(body: bytes) -> int:
    """XOR of everything between `$` and `*` (NMEA 0183, 5.2)."""
    total = 0
    for byte in body:
        total ^= byte
    return total


def clock_of(kind: bytes, fields: list[bytes]) -> bytes:
    """The sentence's time of day as it is written; empty where it has none."""
    if kind not in _TIMED:
        return b""
    place = 4 if kind == b"GLL" else 0
    return fields[place] if len(fields) > place else b""


def date_of(kind: bytes, fields: list[bytes]) -> datetime | None:
    """The day that RMC or ZDA names."""
    try:
        if kind == b"RMC" and len(fields) > 8 and len(fields[8]) == 6:
            day, month, year = int(fields[8][:2]), int(fields[8][2:4]), 2000 + int(fields[8][4:])
        elif kind == b"ZDA" and len(fields) > 3:
            day, month, year = int(fields[1]), int(fields[2]), int(fields[3])
        else:
            return None
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None


def time_of_day(clock: bytes) -> timedelta | None:
    """hhmmss or hhmmss.ss since midnight."""
    match = _TIME.fullmatch(clock)
    if match is None:
        return None
    microseconds = int((match[4] or b"0").ljust(6, b"0"))
    return timedelta(hours=int(match[1]), minutes=int(match[2]), seconds=int(match[3]), microseconds=microseconds)


def read(path: Path, findings: Findings, *, device: str = DEVICE_DEFAULT) -> Iterator[Message]:
    """The bursts as messages, in the order of the file."""
    topic = reading_topic(device, GPS)
    burst = _Burst(findings)
    for sentence, kind, fields in _sentences(path, findings):
        clock = clock_of(kind, fields)
        if burst.ends_before(clock):
            yield burst.message(topic)
        burst.add(sentence, kind, fields, clock)
    if burst.sentences:
        yield burst.message(topic)


class _Burst:
    """Sentences of one second, and what day it is."""

    def __init__(self, findings: Findings) -> None:
        self.sentences: list[bytes] = []
        self._findings = findings
        self._clock = b""
        self._day: datetime | None = None
        self._named: datetime | None = None
        """The day that a sentence of this burst names."""
        self._before: timedelta | None = None

    def ends_before(self, clock: bytes) -> bool:
        full = len(self.sentences) >= BURST_SENTENCES_MAX
        return full or bool(self.sentences and clock and self._clock and clock != self._clock)

    def add(self, sentence: bytes, kind: bytes, fields: list[bytes], clock: bytes) -> None:
        self.sentences.append(sentence)
        self._clock = self._clock or clock
        self._named = date_of(kind, fields) or self._named

    def message(self, topic: str) -> Message:
        """The burst, and an empty one begins."""
        elapsed = time_of_day(self._clock)
        if elapsed is None:
            elapsed = self._before or timedelta(0)
        if self._named is not None:
            self._day = self._named
        elif self._day is None:
            self._day = datetime(1970, 1, 1, tzinfo=UTC)
            self._findings.notes.append("it begins without a date: counted from 1970 until a sentence names one")
        elif self._before is not None and self._before - elapsed > _DAY / 2:
            self._day += _DAY  # Past midnight, and no RMC or ZDA said so yet.
        self._before = elapsed
        since = self._day + elapsed - datetime(1970, 1, 1, tzinfo=UTC)
        time_ns = (since // timedelta(microseconds=1)) * 1_000
        payload = b"\r\n".join(self.sentences) + b"\r\n"
        self.sentences, self._clock, self._named = [], b"", None
        return Message(time_ns, topic, QOS, False, b"", payload)


def _sentences(path: Path, findings: Findings) -> Iterator[tuple[bytes, bytes, list[bytes]]]:
    """Sentence, type without talker, and fields. The file is read in pieces; a sentence may lie across two."""
    with path.open("rb") as file:
        rest, at = b"", 0
        while data := file.read(READ_BYTES):
            buffer, last = rest + data, 0
            for match in SENTENCE.finditer(buffer):
                _skip(buffer[last : match.start()], findings)
                last = match.end()
                if checksum(buffer[match.start() + 1 : match.end() - 3]) != int(match[3], 16):
                    findings.damage(f"byte {at + match.start()}", f"a wrong checksum: {match[0][:90]!r}")
                    continue
                yield match[0], match[1] if match[1][:1] == b"P" else match[1][2:], match[2].split(b",")
            keep = max(last, len(buffer) - SENTENCE_BYTES_MAX)
            _skip(buffer[last:keep], findings)
            rest = buffer[keep:]
            at += keep
        if b"$" in rest:
            where = rest.rindex(b"$")
            findings.damage(f"byte {at + where}", f"a sentence that is cut: {rest[where:][:90]!r}")
            rest = rest[:where]
        _skip(rest, findings)


def _skip(between: bytes, findings: Findings) -> None:
    garbage = len(between.strip(b"\r\n"))
    if garbage:
        findings.skipped["bytes between sentences"] += garbage
