"""What a running stack takes, looked at from outside: memory, files, snapshots, objects, disk, lag."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from smartcity.lake.describe import describe
from smartcity.lake.partitions import count_days
from smartcity.lake.s3 import list_objects
from smartcity.lake.settings import Storage
from smartcity.local import process
from smartcity.local.lake_progress import fetch
from smartcity.local.services import SERVICES
from smartcity.local.stack import Stack

JVM = "java"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look. Memory is in bytes, each shared page counted in parts (PSS), by service; the lake's JVM apart too."""

    at_s: float
    memory: dict[str, int]
    files: dict[str, int]
    """By table: those of the current snapshot."""
    files_per_day: dict[str, int]
    """By table: of the day of event time that has the most."""
    snapshots: dict[str, int]
    rows: dict[str, int]
    table_bytes: int
    checkpoint_objects: int
    disk: dict[str, int]
    """Bytes under `var/data`, by service."""
    batch_s: float
    left: int
    """Records that the last batch left unread."""


def take(stack: Stack, storage: Storage, *, began: float) -> Sample:
    """Now; `began` is `time.monotonic()` of the start."""
    tables = [one for one in describe(storage) if one.exists]
    told = fetch(stack.addresses().lake_http) or {"last_batch": None, "left": {}}
    return Sample(
        at_s=round(time.monotonic() - began, 1),
        memory=memory(stack.layout.var),
        files={one.table: one.files for one in tables},
        files_per_day={one.table: _most(storage, one.metadata_location) for one in tables},
        snapshots={one.table: one.snapshots for one in tables},
        rows={one.table: one.rows for one in tables},
        table_bytes=sum(one.bytes for one in tables),
        checkpoint_objects=sum(1 for _ in list_objects(storage, f"{storage.checkpoint_prefix}/")),
        disk=disk(stack.layout.var / "data"),
        batch_s=(told["last_batch"] or {"seconds": 0})["seconds"],
        left=sum(records for partitions in told["left"].values() for records in partitions.values()),
    )


def _most(storage: Storage, metadata_location: str | None) -> int:
    days: Any = count_days(storage, metadata_location) if metadata_location else {}
    return max((day.files for day in days.values()), default=0)


def memory(var: Path) -> dict[str, int]:
    """Of the service's processes together, and of the JVM of the lake's driver alone."""
    names = {process.marker(var, service.name): service.name for service in SERVICES}
    found: dict[str, int] = {service.name: 0 for service in SERVICES} | {"lake JVM": 0}
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            name = names.get(each.environ().get(process.MARKER, ""))
            if name is None:
                continue
            size = int(each.memory_full_info().pss)
            found[name] += size
            if name == "lake" and each.name() == JVM:
                found["lake JVM"] += size
    return found


def disk(data: Path) -> dict[str, int]:
    """Bytes of the files in each folder under `data`. Files that go meanwhile are not counted."""
    found = {}
    for folder in sorted(data.iterdir()):
        total = 0
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                total += path.stat().st_size if path.is_file() else 0
        found[folder.name] = total
    return found
