"""Without the devices' logs: which sequences of each boot are nowhere. Weaker than the audit, and says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from smartcity.contracts.envelope import EnvelopeError, parse_id
from smartcity.contracts.receipts import coalesce
from smartcity.contracts.status import Status

from .generated import Boot
from .report import EXAMPLES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Sequences of a boot that neither the lake nor the dead letters hold. Both ends inclusive."""

    device_id: str
    boot: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GapReport:
    """`seen` counts ids by table. A gap is lost only as far as its device does not account for it."""

    boots: int
    seen: dict[str, int]
    gaps: tuple[Gap, ...]
    unaccounted: int
    """Missing readings beyond those that the devices' status reports as pending, refused or dropped."""
    without_status: int
    """Boots of which no retained status tells the last sequence: their end is unproven."""

    @property
    def missing(self) -> int:
        return sum(gap.last - gap.first + 1 for gap in self.gaps)

    @property
    def clean(self) -> bool:
        return self.unaccounted == 0

    def document(self) -> dict[str, Any]:
        return {
            "lake": {name: count for name, count in self.seen.items() if name != "dead_letters"},
            "dead_letters": self.seen.get("dead_letters", 0),
            "missing": self.missing,
            "lost": self.unaccounted,
            "boots": self.boots,
            "boots_without_status": self.without_status,
            "proof": "gaps in the sequence",
            "examples": {
                "gaps": [
                    {"device_id": gap.device_id, "boot": gap.boot, "first": gap.first, "last": gap.last}
                    for gap in self.gaps[:EXAMPLES_MAX]
                ]
            },
        }


def find_gaps(
    ids: Mapping[str, Iterable[tuple[str, str]]], statuses: Mapping[str, Status], boots: Iterable[str] = ()
) -> GapReport:
    """Gaps per boot.

    Args:
        ids: (device_id, id) of every row, by table; ids without a sequence (foreign messages) take no part.
        statuses: the retained status of each device; it speaks of the device's latest boot only.
        boots: only these; all where empty.
    """
    only = set(boots)
    seen: dict[Boot, set[int]] = {}
    counts: dict[str, int] = {}
    for table, rows in ids.items():
        counts[table] = 0
        for device_id, reading_id in rows:
            try:
                boot, sequence = parse_id(reading_id)
            except EnvelopeError:
                continue
            if not only or boot in only:
                counts[table] += 1
                seen.setdefault((device_id, boot), set()).add(sequence)
    reported = {(device_id, status.boot): status for device_id, status in statuses.items()}
    for key, status in reported.items():
        if status.sequence > 0 and (not only or status.boot in only):
            seen.setdefault(key, set())
    gaps: list[Gap] = []
    unaccounted = 0
    for (device_id, boot), sequences in sorted(seen.items()):
        known = reported.get((device_id, boot))
        last = max(max(sequences, default=0), known.sequence if known else 0)
        missing = set(range(1, last + 1)) - sequences
        gaps += [Gap(device_id=device_id, boot=boot, first=a, last=b) for a, b in coalesce(missing)]
        excused = known.pending + known.refused + known.dropped if known else 0
        unaccounted += max(0, len(missing) - excused)
    return GapReport(
        boots=len(seen),
        seen=counts,
        gaps=tuple(gaps),
        unaccounted=unaccounted,
        without_status=sum(1 for key in seen if key not in reported),
    )
