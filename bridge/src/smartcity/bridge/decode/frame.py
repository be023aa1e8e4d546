"""JPEG frames: whole from SOI to EOI, and their size in pixels, without decoding the picture (ITU-T T.81, annex B)."""

from __future__ import annotations

from typing import Any

from smartcity.contracts.reasons import Reason

from ..errors import Reject

_START_OF_IMAGE = b"\xff\xd8"
_END_OF_IMAGE = b"\xff\xd9"
_START_OF_SCAN = 0xDA
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def decode_frame(payload: bytes) -> dict[str, Any]:
    """Width and height of a JPEG, in pixels.

    Raises:
        Reject: it does not begin with SOI, end with EOI, or has no frame header before its scan.
    """
    if not payload.startswith(_START_OF_IMAGE):
        raise _undecodable(f"begins with {payload[:2].hex() or 'nothing'}, not with JPEG's SOI ffd8")
    if not payload.endswith(_END_OF_IMAGE):
        raise _undecodable("does not end with JPEG's EOI ffd9: cut off")
    size: tuple[int, int] | None = None
    at = 2
    while at + 4 <= len(payload):
        if payload[at] != 0xFF:
            raise _undecodable(f"byte {at} is {payload[at]:02x} where a JPEG marker must begin")
        marker = payload[at + 1]
        if marker == 0xFF:  # A fill byte before the marker.
            at += 1
            continue
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        length = int.from_bytes(payload[at + 2 : at + 4])
        if length < 2 or at + 2 + length > len(payload):
            raise _undecodable(f"the JPEG segment at byte {at} is longer than the payload")
        if marker in _START_OF_FRAME:
            size = _frame_size(payload[at + 4 : at + 2 + length])
        elif marker == _START_OF_SCAN:
            if size is None:
                break
            return {"frame_width": size[0], "frame_height": size[1]}
        at += 2 + length
    raise _undecodable("no JPEG frame header with a scan after it")


def _frame_size(header: bytes) -> tuple[int, int]:
    """Width and height from SOF: sample precision (1 byte), lines (2), samples per line (2), components."""
    if len(header) < 6:
        raise _undecodable("the JPEG frame header is too short")
    return int.from_bytes(header[3:5]), int.from_bytes(header[1:3])


def _undecodable(detail: str) -> Reject:
    return Reject(Reason.PAYLOAD_UNDECODABLE, detail)
