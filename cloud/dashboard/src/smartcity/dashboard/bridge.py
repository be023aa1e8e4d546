"""What the bridge counts, read from its Prometheus metrics."""

from __future__ import annotations

import http.client
import re
import urllib.request
from dataclasses import asdict, dataclass
from typing import Any

from .settings import BRIDGE_TIMEOUT_S

METRICS_BYTES_MAX = 1024 * 1024
_SAMPLE = re.compile(r"(smartcity_bridge_[a-z_]+)(?:\{[^}]*\})? ([0-9.eE+-]+)")


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


def read_counts(text: str) -> Counts:
    """Sums of the counters in a Prometheus exposition; what it lacks is 0."""
    sums: dict[str, float] = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is not None:
            sums[match[1]] = sums.get(match[1], 0.0) + float(match[2])

    def total(name: str) -> int:
        return int(sums.get(f"smartcity_bridge_{name}", 0.0))

    return Counts(
        received=total("received_total"),
        delivered=total("delivered_total"),
        dead_lettered=total("dead_lettered_total"),
        ignored=total("ignored_total"),
        in_flight=total("in_flight"),
    )


def fetch_counts(bridge: str) -> Counts:
    """The counts of the bridge at a URL. Raises nothing: `trouble` tells. Blocks up to BRIDGE_TIMEOUT_S."""
    # The bridge is never behind a proxy, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{bridge}/metrics", timeout=BRIDGE_TIMEOUT_S) as answer:
            text = answer.read(METRICS_BYTES_MAX).decode("utf-8", "replace")
            return read_counts(text)
    except (OSError, http.client.HTTPException, ValueError, OverflowError) as error:
        return Counts(trouble=f"the bridge at {bridge} does not answer: {getattr(error, 'reason', error)}")
