"""Dead letters as the page shows them: read from a Kafka record, summed up, the latest of each reason kept. Pure.

Everything that a device had a hand in is text of limited length or hexadecimal digits; nothing of it is ever markup.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from smartcity.contracts import envelope as names
from smartcity.contracts.reasons import Reason
from smartcity.contracts.topics import stream_of_topic

from .settings import (
    LETTER_PROPERTIES_MAX,
    LETTER_SHOWN_BYTES_MAX,
    LETTER_TEXT_CHARACTERS_MAX,
    LETTERS_OF_A_REASON_MAX,
)

REASONS_MAX = 32
"""Reasons on the shelf; the contract has eleven. What a foreign producer invents beyond it goes under `other`."""
OTHER = "other"
_MEANINGS = {reason.value: reason.meaning for reason in Reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter as Kafka has it."""

    partition: int
    offset: int
    kafka_time: str | None
    """RFC 3339, when Kafka's record was made."""
    device: str | None
    """As the MQTT topic names it."""
    headers: tuple[tuple[str, bytes], ...]
    payload: bytes = field(repr=False)

    def text(self, name: str) -> str:
        """A header as text; empty where it is missing, cut where it is long."""
        found = next((value for key, value in self.headers if key == name), b"")
        return found.decode("utf-8", "replace")[:LETTER_TEXT_CHARACTERS_MAX]

    @property
    def reason(self) -> str:
        return self.text(names.HEADER_REASON) or "none"


def meaning(reason: str) -> str:
    """A reason's sentence for people; empty for one that the contract does not have."""
    return _MEANINGS.get(reason, "")


def summary(letter: Letter) -> dict[str, Any]:
    """A line of the list."""
    topic = letter.text(names.HEADER_MQTT_TOPIC)
    found = stream_of_topic(topic)
    return {
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
        "detail": letter.text(names.HEADER_DETAIL),
        "topic": topic,
        "stream": found[1].name if found else None,
        "device": letter.device,
        "time": letter.text(names.HEADER_BRIDGE_TIME) or letter.kafka_time,
        "bytes": len(letter.payload),
    }


def whole(letter: Letter) -> dict[str, Any]:
    """All of a letter that a page shows. `hex` has the first LETTER_SHOWN_BYTES_MAX bytes of the payload."""
    said = letter.text(names.HEADER_PAYLOAD_SHA256)
    properties, left_out = _properties(letter)
    return summary(letter) | {
        "meaning": meaning(letter.reason),
        "received": letter.text(names.HEADER_BRIDGE_TIME) or None,
        "sent": letter.text(f"{names.HEADER_PREFIX}senttime") or None,
        "event_time": letter.text(f"{names.HEADER_PREFIX}time") or None,
        "id": letter.text(f"{names.HEADER_PREFIX}id") or None,
        "kafka_time": letter.kafka_time,
        "properties": properties,
        "properties_left_out": left_out,
        "sha256": said,
        "is_whole": said == hashlib.sha256(letter.payload).hexdigest(),
        "hex": letter.payload[:LETTER_SHOWN_BYTES_MAX].hex(),
    }


def _properties(letter: Letter) -> tuple[list[list[str]], int]:
    """MQTT's user properties as pairs of texts, and how many more there are."""
    header = next((value for key, value in letter.headers if key == names.HEADER_PROPERTIES), b"[]")
    try:
        pairs = [pair for pair in json.loads(header) if isinstance(pair, list) and len(pair) == 2]
    except (ValueError, RecursionError, TypeError):
        return [], 0
    shown = [[str(part)[:LETTER_TEXT_CHARACTERS_MAX] for part in pair] for pair in pairs[:LETTER_PROPERTIES_MAX]]
    return shown, len(pairs) - len(shown)


class Shelf:
    """The latest letters of each reason, summed up."""

    def __init__(self) -> None:
        self._by_reason: OrderedDict[str, deque[dict[str, Any]]] = OrderedDict()

    def put(self, letters: Sequence[Letter]) -> None:
        """Letters in their order."""
        for letter in letters:
            is_known = letter.reason in self._by_reason or len(self._by_reason) < REASONS_MAX
            latest = self._by_reason.setdefault(
                letter.reason if is_known else OTHER, deque(maxlen=LETTERS_OF_A_REASON_MAX)
            )
            latest.append(summary(letter))

    def clear(self) -> None:
        self._by_reason.clear()

    def shown(self) -> list[dict[str, Any]]:
        """By reason, newest letter first; the reason with the newest letter first."""
        found = [
            {"reason": reason, "meaning": meaning(reason), "letters": list(reversed(letters))}
            for reason, letters in self._by_reason.items()
        ]
        return sorted(found, key=lambda one: str(one["letters"][0]["time"]), reverse=True)
