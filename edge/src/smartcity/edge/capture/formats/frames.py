"""TCP segments out of the files of tcpdump and Wireshark (pcap, pcapng). scapy reads them, an extra of this package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ..errors import CaptureError
from ..message import Findings

PCAP_MAGICS = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"

Key = tuple[str, int, str, int]
"""Source, its port, target, its port: one direction of a connection."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What a frame holds of a connection. `wire_length` is more than `len(data)` where the frame was cut."""

    sequence: int
    data: bytes
    wire_length: int
    begins: bool
    ends: bool
    number: int
    """Of the frame in the file, from 1."""


def segments(path: Path, findings: Findings) -> Iterator[tuple[Key, int, Segment]]:
    """Direction, time in ns since 1970 and segment of each TCP frame, in the order of the file.

    Raises:
        CaptureError: scapy is not installed, or the file's header is broken.
    """
    try:
        from scapy.error import Scapy_Exception  # noqa: PLC0415 - an extra: a third of a second to import, for this format alone
        from scapy.layers import inet, inet6, l2  # noqa: F401, PLC0415
        from scapy.packet import NoPayload, Padding  # noqa: PLC0415
        from scapy.utils import PcapReader  # noqa: PLC0415
    except ImportError as error:
        raise CaptureError("network captures need scapy; install it: pip install 'smartcity-edge[pcap]'") from error
    try:
        reader = PcapReader(str(path))
    except (Scapy_Exception, EOFError) as error:
        raise CaptureError(f"{path} cannot be read as a network capture: {error}") from error
    with reader:
        number = 0
        while True:
            number += 1
            try:
                frame: Any = reader.read_packet()
            except EOFError:
                return
            except Exception as error:  # Damaged bytes raise whatever a layer's dissection raises.
                findings.damage(f"frame {number}", f"it cannot be read, and those after it: {error}")
                return
            if inet.TCP not in frame:
                findings.skipped["frames that are no TCP"] += 1
                continue
            tcp = frame[inet.TCP]
            ip = tcp.underlayer
            payload = tcp.payload
            data = b"" if isinstance(payload, NoPayload | Padding) else bytes(payload.original)
            header = 4 * (tcp.dataofs or 5)
            if isinstance(ip, inet.IP):
                length = (ip.len or 0) - 4 * (ip.ihl or 5) - header
            else:
                length = len(ip.payload.original) - header if not isinstance(ip, inet6.IPv6) else ip.plen - header
            key = (str(ip.src), int(tcp.sport), str(ip.dst), int(tcp.dport))
            flags = int(tcp.flags)
            segment = Segment(
                int(tcp.seq), data, max(length, len(data)), bool(flags & 0x02), bool(flags & 0x05), number
            )
            yield key, int(frame.time * 1_000_000_000), segment


def note_cut(path: Path, findings: Findings) -> None:
    """Whether the file ends within a record. Only record headers are read, so it costs little."""
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(4)
        at = _end_of_pcapng(file, size) if magic == PCAPNG_MAGIC else _end_of_pcap(file, size, magic)
    if at < size:
        findings.damage(f"byte {at}", f"the file is cut: the last {size - at} bytes are no whole record")


def _end_of_pcap(file: BinaryIO, size: int, magic: bytes) -> int:
    order: Literal["little", "big"] = "little" if magic[0] in (0xD4, 0x4D) else "big"
    at = min(24, size)
    while at + 16 <= size:
        file.seek(at + 8)
        end = at + 16 + int.from_bytes(file.read(4), order)
        if end > size:
            break
        at = end
    return at


def _end_of_pcapng(file: BinaryIO, size: int) -> int:
    at = 0
    order: Literal["little", "big"] = "little"
    while at + 12 <= size:
        file.seek(at, os.SEEK_SET)
        head = file.read(12)
        if head[:4] == PCAPNG_MAGIC:
            order = "little" if head[8:] == b"\x4d\x3c\x2b\x1a" else "big"
        length = int.from_bytes(head[4:8], order)
        if length < 12 or at + length > size:
            break
        at += length
    return at
