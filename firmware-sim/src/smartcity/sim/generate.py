"""`smartcity-sim generate`: the readings of a seed and start, without a gateway or a state.

It shows that a run can be repeated: the same payloads, event times and order. Ids are not part of it, since a boot is
never seeded.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from smartcity.contracts.envelope import format_time
from smartcity.contracts.streams import STREAMS

from .observation import Observation
from .settings import Until
from .source import STEP, World, step_ends


def generate(world: World, *, begin: datetime, until: Until, end: datetime | None) -> Iterator[Observation]:
    """Observations in the steps in which a run makes them, so that it ends where a run ends."""
    if isinstance(until, datetime):
        end = until if end is None else min(until, end)
    reached = step = begin
    while not (end is not None and reached >= end) and not (until == "arrived" and world.finished):
        reached = step_ends(step, end)
        yield from world.observe(reached)
        step += STEP


def describe(observation: Observation) -> dict[str, Any]:
    """A line of the listing; `faults` are named where a plan struck."""
    line = {
        "device": observation.device_id,
        "stream": observation.stream.name,
        "time": format_time(observation.time),
        "bytes": len(observation.payload),
        "sha256": hashlib.sha256(observation.payload).hexdigest(),
        "metadata": observation.metadata,
    }
    if observation.faults:
        line["faults"] = [{"fault": one.fault, "kind": one.kind, "detail": one.detail} for one in observation.faults]
    return line


def digest(observations: Iterator[Observation], listing: Callable[[str], object] | None) -> dict[str, Any]:
    """Counts per stream and one SHA-256 over the listing's lines; `listing` receives each line as it comes."""
    counts: Counter[str] = Counter()
    total = hashlib.sha256()
    for observation in observations:
        line = json.dumps(describe(observation), separators=(",", ":")) + "\n"
        total.update(line.encode())
        counts[observation.stream.name] += 1
        if listing is not None:
            listing(line)
    return {"generated": {stream.name: counts[stream.name] for stream in STREAMS}, "sha256": total.hexdigest()}
