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
BRIDGE_GROWTH_MAX_MB = 100
"""While Kafka is away: its producer's queue is bounded to 64 MiB, and Python's own part to as many messages."""
SLOW = ("kafka", *LAKE_SIDE)
"""Kafka and Spark start slowly; AWS and S3 are seen through Spark's batches, whose interval is in what is measured."""


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None


def fault_rows(events: Sequence[EventDocument], audit: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """One row per fault, all kills of several at once in one. Losses can be told of the whole run only, so every row
    carries the run's."""
    groups: dict[str, list[EventDocument]] = defaultdict(list)
    for event in events:
        groups["kill of several" if len(_targets(event)) > 1 else event["fault"]].append(event)
    return {name: _row(groups[name], audit) for name in sorted(groups)}


def process_rows(events: Sequence[EventDocument]) -> dict[str, dict[str, Any]]:
    """Per process how it recovered from its kills, alone or with others that have no longer a limit: what is killed
    together with a slower process waits for that one, and counts in the row `kill of several` alone."""
    rows: dict[str, dict[str, Any]] = {}
    for process in PROCESSES:
        hits = [event for event in events if event["fault"].startswith("kill ") and process in _targets(event)]
        own = [event["recovery_s"][process] for event in hits if _limit(_targets(event)) <= _limit([process])]
        rows[process] = {"n": len(hits), "n_timed": len(own), **_times([value for value in own if value is not None])}
        rows[process]["recovery_limit_s"] = _limit([process])
    return rows


def fat_events(events: Sequence[EventDocument]) -> list[str]:
    """A failure for every outage of Kafka in which the bridge grew over what its bounds allow."""
    return [
        f"{event['fault']} at {event['at_s']} s: the bridge grew from {rss['before']} to {rss['max']} MB, "
        f"its limit is {BRIDGE_GROWTH_MAX_MB} MB more"
        for event in events
        if (rss := event.get("bridge_rss_mb")) and rss["max"] - rss["before"] > BRIDGE_GROWTH_MAX_MB
    ]


def slow_rows(document: Mapping[str, Any]) -> list[str]:
    """A failure for every process, or other fault, whose p95 is over its limit."""
    rows = {f"recovery of {name}": row for name, row in document["processes"].items()}
    rows |= {f"recovery from {name}": row for name, row in document["faults"].items()}
    return [
        f"{name}: p95 is {row['recovery_p95_s']:.1f} s, the limit is {row['recovery_limit_s']:.0f} s"
        for name, row in rows.items()
        if (row["recovery_p95_s"] or 0.0) > row["recovery_limit_s"]
    ]


def kills_of(events: Sequence[EventDocument]) -> dict[str, int]:
    """How often each process was killed, alone or with others."""
    killed = [target for event in events if event["fault"].startswith("kill ") for target in _targets(event)]
    return {process: killed.count(process) for process in PROCESSES}


def _targets(event: EventDocument) -> list[str]:
    """`kill kafka + s3` has two."""
    return str(event["fault"]).partition(" ")[2].split(" + ")


def _row(events: Sequence[EventDocument], audit: Mapping[str, Any]) -> dict[str, Any]:
    times = [list(event["recovery_s"].values()) for event in events]
    seconds = [max(each) for each in times if None not in each]
    targets = [target for event in events for target in _targets(event)]
    row: dict[str, Any] = {"n": len(events)}
    row.update({key: audit.get(key) for key in LOSSES})
    row["not_recovered"] = len(events) - len(seconds)
    return {**row, **_times(seconds), "recovery_limit_s": _limit(targets)}


def _times(seconds: Sequence[float]) -> dict[str, float | None]:
    shares = {"recovery_p50_s": 0.5, "recovery_p95_s": 0.95, "recovery_max_s": 1.0}
    return {key: percentile(seconds, share) for key, share in shares.items()}


def _limit(targets: Sequence[str]) -> float:
    """Of whatever is hit together, the slowest one's."""
    return LIMIT_SLOW_S if set(targets) & set(SLOW) else LIMIT_S


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
        found.append(f"{name:<28}{row['n']:>4}{_columns(times)}")
    for name, row in document.get("processes", {}).items():
        times = [row[key] for key in ("recovery_p50_s", "recovery_p95_s", "recovery_max_s", "recovery_limit_s")]
        found.append(f"all kills of {name:<15}{row['n']:>4}{_columns(times)}")
    if audit := document.get("audit"):
        keys = ("lost", "duplicated", "altered", "unknown", "pending", "refused", "dropped", "unproven")
        found.append(f"{sum(audit['generated'].values())} readings: " + ", ".join(f"{k} {audit[k]}" for k in keys))
    if exhausted := document.get("exhausted", {}).get("audit"):
        told = ", ".join(f"{name} {exhausted[name]}" for name in ("dropped", *LOSSES))
        found.append(f"Kafka away until outboxes overflow: {sum(exhausted['generated'].values())} readings: {told}")
    if control := document.get("control"):
        found.append(f"control arm: {control['published']} published, lost {control['lost']}")
        found += [f"  {name}: n {row['n']}, lost {row['lost']}" for name, row in control["faults"].items()]
    if early := document.get("ended_early"):
        found.append(f"ended early, which is no failure: {early}")
    return found + [f"FAILED: {failure}" for failure in document["failures"]]


def _columns(times: Sequence[float | None]) -> str:
    return "".join(f"{'-' if value is None else format(value, '.1f'):>7}" for value in times)
