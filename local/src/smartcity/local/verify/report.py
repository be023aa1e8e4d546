"""What an audit found, as values and as the JSON document that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

EXAMPLES_MAX = 10
"""How many of each problem a report shows."""

Examples = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every reading of the boots asked for stands in exactly one of lake, dead letters, pending, refused, dropped,
    lost; duplicated and altered ones are among those in the lake or the dead letters.

    Counts are readings (ids), not rows.
    """

    boots: int
    generated: dict[str, int]
    lake: dict[str, int]
    dead_letters: dict[str, int]
    dead_letters_by_reason: dict[str, int]
    pending: int
    refused: int
    refused_by_reason: dict[str, int]
    dropped: int
    dropped_by_reason: dict[str, int]
    lost: int
    duplicated: int
    altered: int
    unknown: int
    """Rows in the lake that name one of these boots and a sequence that its device never made."""
    unproven: int
    """Readings whose log was evicted or is missing, so that nothing can be said of them. Not among `generated`."""
    frames: int
    """Frames fetched from the bucket and hashed."""
    examples: Examples = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Nothing lost, duplicated, altered or invented."""
        return not (self.lost or self.duplicated or self.altered or self.unknown)

    @property
    def settled(self) -> bool:
        """Clean, and nothing on the way any more."""
        return self.clean and not self.pending

    @property
    def outstanding(self) -> int:
        """Readings that may still arrive: in an outbox, or nowhere to be seen."""
        return self.pending + self.lost

    def balance(self) -> tuple[int, int]:
        """Readings generated, and readings accounted for. They are equal, or the auditor itself is wrong."""
        accounted = sum(self.lake.values()) + sum(self.dead_letters.values())
        return sum(self.generated.values()), accounted + self.pending + self.refused + self.dropped + self.lost

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "generated": self.generated,
            "lake": self.lake,
            "dead_letters": self.dead_letters,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "altered": self.altered,
            "pending": self.pending,
            "refused": self.refused,
            "dropped": self.dropped,
            "unknown": self.unknown,
            "unproven": self.unproven,
            "dead_letters_by_reason": self.dead_letters_by_reason,
            "refused_by_reason": self.refused_by_reason,
            "dropped_by_reason": self.dropped_by_reason,
            "frames": self.frames,
            "boots": self.boots,
            "proof": "device logs",
            "examples": self.examples,
        }
