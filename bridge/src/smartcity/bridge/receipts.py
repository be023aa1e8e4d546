"""Receipts: what Kafka has confirmed, gathered over an interval and told to each device."""

from __future__ import annotations

from collections.abc import Iterator

from smartcity.contracts.receipts import encode_receipts
from smartcity.contracts.topics import receipt_topic

from .message import Identity


class Receipts:
    """Confirmed identities since the last `drain`. Nothing else is kept: a lost receipt only makes a device resend."""

    def __init__(self) -> None:
        self._confirmed: dict[tuple[str, str], list[list[int]]] = {}
        """First and last of each range, by device and boot. Readings come nearly in order: most lengthen the last."""

    def __bool__(self) -> bool:
        return bool(self._confirmed)

    def confirm(self, identity: Identity) -> None:
        """Kafka has this reading, as a record of its stream or as a dead letter."""
        device, boot, sequence = identity
        spans = self._confirmed.get((device, boot))
        if spans is None:
            self._confirmed[device, boot] = [[sequence, sequence]]
        elif spans[-1][1] + 1 == sequence:
            spans[-1][1] = sequence
        else:
            spans.append([sequence, sequence])

    def drain(self) -> Iterator[tuple[str, bytes]]:
        """MQTT topic and payload of each receipt; the box is empty afterwards."""
        confirmed, self._confirmed = self._confirmed, {}
        devices: dict[str, dict[str, list[tuple[int, int]]]] = {}
        for (device, boot), spans in confirmed.items():
            devices.setdefault(device, {})[boot] = merge(spans)
        for device, ranges in devices.items():
            for payload in encode_receipts(ranges):
                yield receipt_topic(device), payload


def merge(spans: list[list[int]]) -> list[tuple[int, int]]:
    """The same numbers as ascending, disjoint, maximal ranges."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
