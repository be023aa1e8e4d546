"""What the bridge counts, read from its Prometheus metrics."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from .flow_history import Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Sums over all streams since the bridge started. `trouble` says why there are none."""

    received: int = 0
    delivered: int = 0
    dead_lettered: int = 0
    ignored: int = 0
    in_flight: int = 0
    trouble: str | None = None

    def shown(self) -> dict[str, Any]:
        return asdict(self)


def counts_of(samples: Values) -> Counts:
    """Sums of the counters in a scrape of the bridge; what it lacks is 0.

    Raises:
        ValueError, OverflowError: a sum is not finite.
    """
    sums: defaultdict[str, float] = defaultdict(float)
    for (name, *_), value in samples.items():
        sums[name] += value

    def total(name: str) -> int:
        return int(sums[f"smartcity_bridge_{name}"])

    return Counts(
        received=total("received_total"),
        delivered=total("delivered_total"),
        dead_lettered=total("dead_lettered_total"),
        ignored=total("ignored_total"),
        in_flight=total("in_flight"),
    )
