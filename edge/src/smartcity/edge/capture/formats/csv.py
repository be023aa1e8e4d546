"""The CSV of mqtt-recorder, in the two dialects that are in use.

    topic,payload,qos,retain,time,delta            without a header; time in seconds since 1970, payload perhaps base64
    timestamp,topic,payload,qos,retain             this header; payload as text, or base64 behind `b64:`

We write the second. Neither has a place for MQTT 5 properties.
"""

from __future__ import annotations

import base64
import binascii
import csv
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from ..message import Findings, Message
from .jsonl import parse_time_ns

HEADER = ("timestamp", "topic", "payload", "qos", "retain")
BINARY_PREFIX = "b64:"
FIELD_BYTES_MAX = 8 * 1024 * 1024
"""A packet of 1 MiB in base64, with room to spare."""
SAMPLE_ROWS = 64
"""By so many rows it is decided whether a file without header holds base64."""

Row = tuple[int, int, list[str]]
"""Line, byte and fields."""


class CsvWriter:
    """Writes the dialect with a header. `properties_lost` counts messages whose MQTT 5 properties had no place."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file, lineterminator="\r\n")  # So that both are quoted in a field.
        self._writer.writerow(HEADER)
        self.properties_lost = 0

    def write(self, message: Message) -> None:
        seconds, nanoseconds = divmod(message.time_ns, 1_000_000_000)
        stamp = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
        self.properties_lost += bool(message.properties)
        self._writer.writerow(
            (stamp, message.topic, _payload_text(message.payload), message.qos, str(message.retain).lower())
        )


def read(path: Path, findings: Findings, *, base64_payload: bool | None = None) -> Iterator[Message]:
    """The messages in the order of the file. A row that cannot be read is damage; those after it are read.

    Args:
        base64_payload: of a file without header; None decides by the first rows.
    """
    csv.field_size_limit(FIELD_BYTES_MAX)
    with path.open("rb") as file:
        rows = _rows(_Lines(file, findings), findings)
        first = next(rows, None)
        if first is None:
            return
        if tuple(name.strip().lower() for name in first[2]) == HEADER:
            yield from _messages(rows, findings, 5, _headed)
            return
        sample = [first, *islice(rows, SAMPLE_ROWS - 1)]
        if base64_payload is None:
            base64_payload = all_base64([fields[1] for _, _, fields in sample if len(fields) == 6])
        yield from _messages(chain(sample, rows), findings, 6, _headerless(base64_payload))


class _Lines:
    """Decoded lines for the csv module; where the row in progress began is kept for messages."""

    def __init__(self, file: Iterator[bytes], findings: Findings) -> None:
        self._file = file
        self._findings = findings
        self.line = self.byte = 0
        self.row_line = self.row_byte = 0

    def __iter__(self) -> Iterator[str]:
        for data in self._file:
            self.line += 1
            start = self.byte
            self.byte += len(data)
            try:
                text = data.decode("utf-8-sig" if self.line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                self._findings.damage(
                    f"line {self.line}, byte {start + error.start}", "not UTF-8; the line is left out"
                )
                continue
            if not self.row_line:
                self.row_line, self.row_byte = self.line, start
            yield text


def _rows(lines: _Lines, findings: Findings) -> Iterator[Row]:
    reader = csv.reader(iter(lines), strict=True)
    while True:
        lines.row_line = 0
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            findings.damage(f"line {lines.row_line}, byte {lines.row_byte}", f"not a row of CSV: {error}")
            continue
        if fields:
            yield lines.row_line, lines.row_byte, fields


def _messages(
    rows: Iterator[Row], findings: Findings, columns: int, parse: Callable[[list[str]], Message]
) -> Iterator[Message]:
    for line, byte, fields in rows:
        if len(fields) != columns:
            findings.damage(f"line {line}, byte {byte}", f"{len(fields)} columns, not {columns}")
            continue
        try:
            yield parse(fields)
        except (ValueError, InvalidOperation) as error:
            findings.damage(f"line {line}, byte {byte}", str(error))


def _headed(fields: list[str]) -> Message:
    stamp, topic, payload, qos, retain = fields
    binary = payload.startswith(BINARY_PREFIX)
    data = _from_base64(payload[len(BINARY_PREFIX) :]) if binary else payload.encode()
    return Message(_time_ns(stamp), _topic(topic), _qos(qos), _flag(retain), b"", data)


def _headerless(base64_payload: bool) -> Callable[[list[str]], Message]:
    def parse(fields: list[str]) -> Message:
        topic, payload, qos, retain, time, _ = fields
        data = _from_base64(payload) if base64_payload else payload.encode()
        return Message(_time_ns(time), _topic(topic), _qos(qos), _flag(retain), b"", data)

    return parse


def all_base64(payloads: list[str]) -> bool:
    """Whether all of them are base64, and at least one could hardly be anything else."""
    for payload in payloads:
        try:
            if base64.b64encode(_from_base64(payload)).decode() != payload:
                return False
        except ValueError:
            return False
    return any(len(payload) >= 16 for payload in payloads)


def _payload_text(payload: bytes) -> str:
    """As text, where reading it gives the same bytes again; else as base64."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return BINARY_PREFIX + base64.b64encode(payload).decode()
    if text.startswith(BINARY_PREFIX) or any(character < " " and character not in "\t\n\r" for character in text):
        return BINARY_PREFIX + base64.b64encode(payload).decode()
    return text


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the payload is no base64: {error}") from error


def _time_ns(text: str) -> int:
    """Seconds since 1970 with a fraction, or an ISO 8601 time."""
    try:
        return int(Decimal(text) * 1_000_000_000)
    except (InvalidOperation, OverflowError, ValueError):
        return parse_time_ns(text)


def _topic(text: str) -> str:
    if not text or "+" in text or "#" in text or "\0" in text:
        raise ValueError(f"{text[:60]!r} is no topic")
    return text


def _qos(text: str) -> int:
    if text not in ("0", "1", "2"):
        raise ValueError(f"QoS {text[:20]!r} is not 0, 1 or 2")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"retain {text[:20]!r} is neither true nor false")
    return text.lower() in ("true", "1")
