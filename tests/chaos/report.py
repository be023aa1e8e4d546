"""From events and audits to the JSON document. Pure but for what is said of the machine."""

from __future__ import annotations

import math
import os
import platform
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from .plan import LAKE_SIDE, PROCESSES

EventDocument = Mapping[str, Any]
"""`fault`, as `kill kafka + s3`; `at_s`; `recovery_s` by target, null where it did not recover."""

LOSSES = ("lost", "duplicated", "altered")
LIMIT_S = 15.0
LIMIT_SLOW_S = 60.0
SLOW = ("kafka", *LAKE_SIDE)
"""Kafka and Spark start slowly; AWS and S3 are seen through Spark's batches, whose interval is 10 s."""


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None


def fault_rows(events: Sequence[EventDocument], audit: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """One row per fault, all pairs of kills in one. Losses can be told of the whole run only, so every row carries
    the run's."""
    groups: dict[str, list[EventDocument]] = defaultdict(list)
    for event in events:
        pair = len(_targets(event)) == 2
        groups["kill of a pair" if pair else event["fault"]].append(event)
    return {name: _row(groups[name], audit) for name in sorted(groups)}


def kills_of(events: Sequence[EventDocument]) -> dict[str, int]:
    """How often each process was killed, singly or in a pair."""
    killed = [target for event in events if event["fault"].startswith("kill ") for target in _targets(event)]
    return {process: killed.count(process) for process in PROCESSES}


def _targets(event: EventDocument) -> list[str]:
    """`kill kafka + s3` has two."""
    return str(event["fault"]).partition(" ")[2].split(" + ")


def _row(events: Sequence[EventDocument], audit: Mapping[str, Any]) -> dict[str, Any]:
    times = [list(event["recovery_s"].values()) for event in events]
    seconds = [max(each) for each in times if None not in each]
    targets = {target for event in events for target in _targets(event)}
    row: dict[str, Any] = {"n": len(events)}
    row.update({key: audit.get(key) for key in LOSSES})
    row["not_recovered"] = len(events) - len(seconds)
    for share, key in ((0.5, "recovery_p50_s"), (0.95, "recovery_p95_s"), (1.0, "recovery_max_s")):
        row[key] = percentile(seconds, share)
    row["recovery_limit_s"] = LIMIT_SLOW_S if targets & set(SLOW) else LIMIT_S
    return row


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def lines(document: dict[str, Any]) -> list[str]:
    """The report as a table to read."""
    found = ["fault                          n  p50 s  p95 s  max s  limit"]
    for name, row in document.get("faults", {}).items():
        times = [row[key] for key in ("recovery_p50_s", "recovery_p95_s", "recovery_max_s", "recovery_limit_s")]
        found.append(f"{name:<28}{row['n']:>4}" + "".join(f"{value or 0:>7.1f}" for value in times))
    if audit := document.get("audit"):
        keys = ("lost", "duplicated", "altered", "unknown", "pending", "refused", "dropped", "unproven")
        found.append(f"{sum(audit['generated'].values())} readings: " + ", ".join(f"{k} {audit[k]}" for k in keys))
    if control := document.get("control"):
        found.append(f"control arm: {control['published']} published, lost {control['lost']}")
        found += [f"  {name}: n {row['n']}, lost {row['lost']}" for name, row in control["faults"].items()]
    return found + [f"FAILED: {failure}" for failure in document["failures"]]
