"""Receipts: what the bridge tells a device once Kafka has its readings.

A receipt is a JSON object from boot to a list of `[first, last]` ranges (inclusive). *Every* sequence in a range was
confirmed by Kafka, as a record of its stream or as a dead letter; a range never spans one that was not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from .limits import RECEIPT_RANGES_MAX

Ranges = dict[str, list[tuple[int, int]]]


class ReceiptError(ValueError):
    """The payload is not a receipt."""


def coalesce(sequences: Iterable[int]) -> list[tuple[int, int]]:
    """The sequences as ascending, disjoint, maximal `(first, last)` ranges."""
    ranges: list[tuple[int, int]] = []
    for sequence in sorted(set(sequences)):
        if ranges and ranges[-1][1] + 1 == sequence:
            ranges[-1] = (ranges[-1][0], sequence)
        else:
            ranges.append((sequence, sequence))
    return ranges


def encode_receipts(confirmed: Ranges) -> Iterator[bytes]:
    """Payloads for one device, at most RECEIPT_RANGES_MAX ranges each."""
    flat = [(boot, span) for boot, spans in confirmed.items() for span in spans]
    for start in range(0, len(flat), RECEIPT_RANGES_MAX):
        part: dict[str, list[tuple[int, int]]] = {}
        for boot, span in flat[start : start + RECEIPT_RANGES_MAX]:
            part.setdefault(boot, []).append(span)
        yield json.dumps(part, separators=(",", ":")).encode()


def decode_receipt(payload: bytes) -> Ranges:
    """The ranges of a receipt.

    Raises:
        ReceiptError: not JSON, not of the shape above, or a range that ends before it begins.
    """
    try:
        document = json.loads(payload)
    except ValueError as error:
        raise ReceiptError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ReceiptError("not a JSON object")
    return {boot: [_span(boot, span) for span in _list(boot, spans)] for boot, spans in document.items()}


def _list(boot: str, spans: object) -> list[object]:
    if not isinstance(spans, list):
        raise ReceiptError(f"boot {boot}: not a list of ranges")
    return spans


def _span(boot: str, span: object) -> tuple[int, int]:
    match span:
        case [int(first), int(last)] if 1 <= first <= last:
            return first, last
    raise ReceiptError(f"boot {boot}: {span!r} is not a range")
