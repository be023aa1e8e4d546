"""Kafka, S3, AWS, the lake with its trapped driver, and maintenance; and what is seen and done to their processes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from smartcity.local import process
from smartcity.local.launch import Progress
from smartcity.local.services import AWS, KAFKA, LAKE, MAINTENANCE, S3, Place, Service
from smartcity.local.stack import Stack
from smartcity.local.verify.lake import Lake, LakeAccess

from .driver import FOLDER

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.1
JAVA = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1"}
"""A JVM that lives for half a minute does not earn what the second compiler costs."""
Event = dict[str, Any]
_UPKEEP = re.compile(r"\w+: (files compacted|snapshots expired) (\d+) in ")


class System:
    """The stack, and the trap in its lake."""

    def __init__(self, var: Path, *, trigger_s: float, maintain: Sequence[str], lowered: bool) -> None:
        self.trap = var / "trap"
        self.trap.mkdir(parents=True, exist_ok=True)
        self._events: list[Event] = []
        self._read = 0
        services = [S3, AWS, KAFKA, self._lake(trigger_s), _maintenance(maintain, lowered=lowered)]
        self.stack = Stack(var, services=services)

    def up(self, progress: Progress) -> None:
        self.stack.up(progress=progress, supervise=False)

    def down(self) -> None:
        self.stack.down()

    def lake(self) -> Lake:
        return Lake(LakeAccess.from_environment(self.stack.environment()))

    # The trap.

    def arm(self, point: str, *, batches: int, send: signal.Signals = signal.SIGKILL) -> None:
        """The driver springs it the next time it gets to the point, after so many whole batches."""
        whole = self.trap / "arming"
        whole.write_text(json.dumps({"point": point, "batches": batches, "signal": send.name}))
        whole.replace(self.trap / "armed")

    def events(self) -> list[Event]:
        """All that drivers told so far, in order."""
        path = self.trap / "events.jsonl"
        if path.exists():
            with path.open() as file:
                file.seek(self._read)
                text = file.read()
            whole = text[: text.rfind("\n") + 1]
            self._read += len(whole.encode())
            self._events += [json.loads(line) for line in whole.splitlines()]
        return self._events

    def wait(self, found: Callable[[], Any], timeout_s: float) -> Any:
        """The first true result, or None when the time is over."""
        deadline = time.monotonic() + timeout_s
        while not (result := found()):
            if time.monotonic() > deadline:
                return None
            time.sleep(POLL_S)
        return result

    # Processes.

    def supervisor(self) -> psutil.Process | None:
        return process.find(process.read_record(self.stack.layout.run, "lake"))

    def driver(self) -> int | None:
        """Pid of the driver that runs now, once it told that it started."""
        started = [event["pid"] for event in self.events() if event["event"] == "started"]
        return started[-1] if started and _runs(started[-1]) else None

    def revive(self) -> None:
        """Start again what was killed whole."""
        for name in self.stack.dead():
            self.stack.revive(name)

    def kill_maintenance(self, timeout_s: float) -> bool:
        """Kill a run of it and its schedule, which stay dead; False if no run was under way for so long."""
        found = self.wait(lambda: len(list(process.members(self.stack.layout.var, "maintenance"))) > 1, timeout_s)
        victims = list(process.members(self.stack.layout.var, "maintenance"))
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(victims, timeout=10)
        return bool(found)

    def upkeep(self) -> dict[str, int]:
        """What maintenance did, by its log: files compacted and snapshots expired, killed runs included."""
        done = {"files compacted": 0, "snapshots expired": 0}
        for line in self.stack.layout.log("maintenance").read_text(errors="replace").splitlines():
            if match := _UPKEEP.search(line):
                done[match[1]] += int(match[2])
        return done

    def _lake(self, trigger_s: float) -> Service:
        def command(place: Place) -> list[str]:
            flags = LAKE.command(place)[2:]
            return [sys.executable, "-m", "tests.lake_kills.supervisor", *flags, "--trigger-s", f"{trigger_s:g}"]

        def environment(place: Place) -> dict[str, str]:
            return {**LAKE.environment(place), **JAVA, "PYTHONPATH": str(ROOT), FOLDER: str(self.trap)}

        return dataclasses.replace(LAKE, command=command, environment=environment, start_timeout_s=240)


def group(pid: int) -> Iterator[psutil.Process]:
    """The living processes of a driver's process group."""
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(one.pid) == pid and one.status() != psutil.STATUS_ZOMBIE:
                yield one


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _maintenance(flags: Sequence[str], *, lowered: bool) -> Service:
    def command(place: Place) -> list[str]:
        program = [sys.executable, "-m", "tests.lake_kills.maintenance", "maintain"]
        whole = MAINTENANCE.command(place)
        start = program if lowered else whole[:2]
        return [*start, *whole[whole.index("--bucket") :], *flags]

    def environment(place: Place) -> dict[str, str]:
        return {**MAINTENANCE.environment(place), **JAVA, "PYTHONPATH": str(ROOT)}

    # It may run but once, and then answers nowhere.
    return dataclasses.replace(MAINTENANCE, command=command, environment=environment, probe=lambda place: None)
