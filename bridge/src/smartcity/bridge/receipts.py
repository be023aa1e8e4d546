"""Receipts: what Kafka has confirmed, gathered over an interval and told to each device."""

from __future__ import annotations

from collections.abc import Iterator

from smartcity.contracts.receipts import coalesce, encode_receipts
from smartcity.contracts.topics import receipt_topic

from .message import Identity


class Receipts:
    """Confirmed identities since the last `drain`. Nothing else is kept: a lost receipt only makes a device resend."""

    def __init__(self) -> None:
        self._confirmed: dict[str, dict[str, set[int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._confirmed)

    def confirm(self, identity: Identity) -> None:
        """Kafka has this reading, as a record of its stream or as a dead letter."""
        device, boot, sequence = identity
        self._confirmed.setdefault(device, {}).setdefault(boot, set()).add(sequence)

    def drain(self) -> Iterator[tuple[str, bytes]]:
        """MQTT topic and payload of each receipt; the box is empty afterwards."""
        confirmed, self._confirmed = self._confirmed, {}
        for device, boots in confirmed.items():
            ranges = {boot: coalesce(sequences) for boot, sequences in boots.items()}
            for payload in encode_receipts(ranges):
                yield receipt_topic(device), payload
