"""How far the lake is: what its driver tells at `/progress`, against what Kafka holds now."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .services.service import PROBE_TIMEOUT_S

STILL_AFTER_S = 60.0
"""With records unread, a lake whose last batch ended longer ago than this is behind. Six triggers of ten seconds."""

Offsets = Mapping[str, Mapping[int, int]]
"""Offset by topic and partition: the next one to read, or Kafka's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The last batch of the running driver. `age_s` counts from its end."""

    id: int
    age_s: float
    records: int
    seconds: float
    rows: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Records in Kafka that no batch has read: in all, and of the partition that has the most."""

    records: int
    worst: str
    """`topic/partition`."""
    worst_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeProgress:
    """`batch` and `lag` are None until the driver's first batch: only then does it tell where it stands."""

    running: bool
    batch: Batch | None
    records_per_s: float
    """Mean of the last minute."""
    lag: Lag | None
    left: int
    """Records that the last batch left unread, because of its limit."""

    @property
    def behind(self) -> str | None:
        """Why the lake is behind, or None: it is not, or it is not known."""
        if self.batch is None or self.lag is None or not self.lag.records:
            return None
        unread = f"records in Kafka that are unread: {self.lag.records}"
        if self.batch.age_s > STILL_AFTER_S:
            return f"{unread}, and the last batch ended {self.batch.age_s:.0f} s ago; see the lake's log"
        if self.left and self.records_per_s:
            wait_s = self.lag.records / self.records_per_s
            return f"{unread}; at this rate the lake needs {wait_s:.0f} s for them, and more for what comes meanwhile"
        return None

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "behind": self.behind}


def fetch(url: str) -> dict[str, Any] | None:
    """What the driver at `url` tells, or None where none answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/progress", timeout=PROBE_TIMEOUT_S) as answer:
            return dict(json.load(answer))
    except (OSError, ValueError):
        return None


def progress_of(told: Mapping[str, Any], ends: Offsets, *, now: float) -> LakeProgress:
    """`told` by the driver, `ends` by Kafka afterwards; `now` in seconds since 1970."""
    batch = told["last_batch"]
    return LakeProgress(
        running=bool(told["running"]),
        batch=None
        if batch is None
        else Batch(
            id=batch["id"],
            age_s=max(0.0, now - batch["ended_at"]),
            records=batch["records"],
            seconds=batch["seconds"],
            rows=dict(batch["rows"]),
        ),
        records_per_s=float(told["records_per_s"]),
        lag=_lag(told["offsets"], ends),
        left=sum(records for partitions in told["left"].values() for records in partitions.values()),
    )


def _lag(read: Mapping[str, Mapping[str, int]], ends: Offsets) -> Lag | None:
    """None where either side is not known."""
    behind = {
        f"{topic}/{partition}": max(0, end - read[topic][str(partition)])
        for topic, partitions in ends.items()
        for partition, end in partitions.items()
        if str(partition) in read.get(topic, {})
    }
    if not behind:
        return None
    worst = max(behind, key=behind.__getitem__)
    return Lag(records=sum(behind.values()), worst=worst, worst_records=behind[worst])


def describe_progress(progress: LakeProgress | None, rows: Mapping[str, int]) -> list[str]:
    """Lines for people. `rows` by table, empty where they are not known."""
    if progress is None:
        return []
    if progress.batch is None:
        lines = [f"lake: {'no batch yet' if progress.running else 'its query starts'}"]
    else:
        batch = progress.batch
        lines = [
            f"lake: batch {batch.id}, {batch.age_s:.0f} s ago, {batch.records} records in {batch.seconds:.1f} s; "
            f"{progress.records_per_s:.0f} records/s in the last minute; {_lag_text(progress.lag)}"
        ]
    if progress.behind:
        lines.append(f"lake is behind: {progress.behind}")
    if rows:
        lines.append("rows in the lake: " + ", ".join(f"{table} {count}" for table, count in rows.items()))
    return lines


def _lag_text(lag: Lag | None) -> str:
    if lag is None:
        return "how much is unread is not known"
    if not lag.records:
        return "nothing unread"
    return f"{lag.records} unread, most in {lag.worst} ({lag.worst_records})"
