"""Which format a file has, by what stands in it, and its messages. Names and endings say nothing."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import CaptureError
from .formats import csv as csv_format
from .formats import frames, jsonl, mcap, nmea, pcap
from .message import Findings, Message

HEAD_BYTES = 64 * 1024
KNOWN = "MCAP, JSON lines of mosquitto_sub, CSV of mqtt-recorder, pcap, pcapng, NMEA 0183"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a file does not say about itself."""

    base64_payload: bool | None = None
    """CSV without header: whether payloads are base64; None decides by the first rows."""
    way: pcap.Way = pcap.TO_BROKER
    device: str = nmea.DEVICE_DEFAULT
    from_ns: int | None = None
    """Messages before it are not needed; a reader that can skip them may."""


def format_of(path: Path) -> str:
    """`mcap`, `jsonl`, `csv`, `pcap` or `nmea`.

    Raises:
        CaptureError: it cannot be read, is empty, or is none of them.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise CaptureError(f"cannot read {path}: {error.strerror}") from error
    if not head.strip():
        raise CaptureError(f"{path} is empty: nothing at byte 0 (it has {path.stat().st_size} bytes)")
    if head[:8] == mcap.MAGIC:
        return "mcap"
    if mcap.MAGIC.startswith(head):
        raise CaptureError(f"{path} is cut at byte {len(head)}, within the first bytes of an MCAP file")
    if head[:4] in (*frames.PCAP_MAGICS, frames.PCAPNG_MAGIC):
        return "pcap"
    if any(_is_sentence(match) for match in nmea.SENTENCE.finditer(head)) and not _has_rows(head):
        return "nmea"
    lines = [line for line in head.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    if any(line.lstrip().startswith(b'{"') for line in lines[:3]):
        return "jsonl"
    if _has_rows(head):
        return "csv"
    raise CaptureError(f"{path} is no capture that is known here ({KNOWN}); it begins with {head[:32]!r} at byte 0")


def read(path: Path, findings: Findings, options: ReadOptions) -> Iterator[Message]:
    """The messages of a capture, one by one, in the order of the file.

    Raises:
        CaptureError: as `format_of`, and what the format's reader raises.
    """
    match format_of(path):
        case "mcap":
            return mcap.read(path, findings, from_ns=options.from_ns)
        case "jsonl":
            return jsonl.read(path, findings)
        case "pcap":
            return pcap.read(path, findings, way=options.way)
        case "nmea":
            return nmea.read(path, findings, device=options.device)
        case _:
            return csv_format.read(path, findings, base64_payload=options.base64_payload)


def _is_sentence(match: re.Match[bytes]) -> bool:
    return nmea.checksum(match[0][1:-3]) == int(match[3], 16)


def _has_rows(head: bytes) -> bool:
    """Whether one of the first rows is one of mqtt-recorder's."""
    text = head.decode("utf-8-sig", "replace")
    rows = csv.reader(text.splitlines(keepends=True)[:20])
    try:
        for fields in rows:
            if tuple(name.strip().lower() for name in fields) == csv_format.HEADER:
                return True
            if len(fields) == 6 and fields[2] in ("0", "1", "2") and fields[3].lower() in ("true", "false"):
                return True
    except csv.Error:
        return False
    return False
