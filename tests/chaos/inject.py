"""One fault: done, and timed until the system shows a reading that was made after it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .devices import DISK_FULL, Heads, Simulator, heads_of
from .disk import Disk
from .observe import KafkaWatch, LakeWatch
from .plan import LAKE_SIDE, Fault
from .proxy import Proxy
from .system import System

RECOVERY_TIMEOUT_S = 180.0
EXHAUSTION_TIMEOUT_S = 300.0
DROPPED_MIN = 100
"""So many readings must have been dropped before Kafka may come back from an `exhaust`."""
FULL_TIMEOUT_S = 90.0
POLL_S = 0.05
LAKE_POLL_S = 0.5
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a fault did.

    Recovery is measured from the kill, or the cut; of a pause, a partition, a full disk or an outage from its end.
    None: not within RECOVERY_TIMEOUT_S. Each note is a failure.
    """

    fault: Fault
    at_s: float
    """Since the beginning of the run."""
    recovery_s: Mapping[str, float | None]
    bridge_rss_before_bytes: int = 0
    bridge_rss_max_bytes: int = 0
    notes: tuple[str, ...] = ()

    @property
    def recovered(self) -> bool:
        return all(value is not None for value in self.recovery_s.values())

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = {"fault": self.fault.name, "at_s": round(self.at_s, 1)}
        found["recovery_s"] = {name: None if s is None else round(s, 2) for name, s in self.recovery_s.items()}
        if self.bridge_rss_max_bytes:
            found["bridge_rss_mb"] = {
                "before": round(self.bridge_rss_before_bytes / 1e6, 1),
                "max": round(self.bridge_rss_max_bytes / 1e6, 1),
            }
        return found


@dataclass(slots=True, kw_only=True)
class Range:
    """Everything that can be shot at, and the eyes on it."""

    system: System
    simulators: list[Simulator]
    links: dict[str, Proxy]
    kafka: KafkaWatch
    lake: LakeWatch
    disks: Mapping[str, Disk]
    """By service, and by the name of a simulator's state folder."""
    began: float = field(default_factory=time.monotonic)
    _turn: int = 0

    def settle(self, timeout_s: float) -> bool:
        """Waits until Kafka and the lake show readings made after this call, so that a recovery is of one fault."""
        return None not in self._recoveries(("kafka", "lake"), heads_of(self.simulators), timeout_s).values()

    def inject(self, fault: Fault) -> Event:
        """Does it, and waits for the recovery from it."""
        victim = self.simulators[self._turn % len(self.simulators)]
        self._turn += 1
        rss = (0, 0)
        notes: tuple[str, ...] = ()
        at = time.monotonic()
        match fault.kind:
            case "kill":
                for target in fault.targets:
                    victim.kill() if target == "device" else self.system.kill(target)
            case "cut":
                self.links[fault.targets[0]].cut()
            case "pause":
                self._pause(fault, victim)
            case "partition":
                self.links[fault.targets[0]].partition()
                self._wait(fault.lasts_s)
                self.links[fault.targets[0]].heal()
            case "fill":
                notes = self._fill(fault, victim)
            case "outage":
                end = time.monotonic() + fault.lasts_s
                rss = self._outage(fault, lambda: time.monotonic() >= end)
            case "exhaust":
                end = time.monotonic() + EXHAUSTION_TIMEOUT_S
                rss = self._outage(fault, lambda: self._dropped() >= DROPPED_MIN or time.monotonic() >= end)
                if self._dropped() < DROPPED_MIN:
                    notes = (f"without Kafka for {EXHAUSTION_TIMEOUT_S:g} s, and outboxes dropped {self._dropped()}",)
        since = at if fault.kind in ("kill", "cut") else time.monotonic()
        own = victim if "device" in fault.targets and fault.kind in ("kill", "fill") else None
        recovery = self._recoveries(
            fault.targets,
            heads_of(self.simulators),
            RECOVERY_TIMEOUT_S,
            since=since,
            own=own,
            rebooted=fault.kind == "kill",
        )
        victim.may_end = False
        return Event(
            fault=fault,
            at_s=at - self.began,
            recovery_s=recovery,
            bridge_rss_before_bytes=rss[0],
            bridge_rss_max_bytes=rss[1],
            notes=notes,
        )

    def _pause(self, fault: Fault, victim: Simulator) -> None:
        target = fault.targets[0]
        victim.send(signal.SIGSTOP) if target == "device" else self.system.pause(target)
        self._wait(fault.lasts_s)
        victim.send(signal.SIGCONT) if target == "device" else self.system.resume(target)

    def _fill(self, fault: Fault, victim: Simulator) -> tuple[str, ...]:
        """A device that cannot log a reading must end and say so: it may neither send nor forget it. What its database
        holds in free pages lasts for a while, so its disk stays full until it has met it."""
        target = fault.targets[0]
        disk = self.disks[victim.state.name if target == "device" else target]
        victim.may_end = target == "device"
        said = victim.said(DISK_FULL)
        began = time.monotonic()
        disk.fill()
        try:
            self._wait(fault.lasts_s)
            while target == "device" and victim.said(DISK_FULL) == said:
                if time.monotonic() > began + FULL_TIMEOUT_S:
                    return (f"{victim.state.name}: on a full disk for {FULL_TIMEOUT_S:g} s and did not say so",)
                self._wait(0.5)
        finally:
            disk.free()
        return ()

    def _dropped(self) -> int:
        return sum(simulator.dropped() for simulator in self.simulators)

    def _outage(self, fault: Fault, over: Callable[[], bool]) -> tuple[int, int]:
        """Returns the bridge's memory before, and its highest during the outage."""
        target = fault.targets[0]
        before = highest = self.system.resident_bytes("bridge")
        self.system.hold(target)
        self.system.kill(target)
        while not over():
            self._wait(1.0)
            highest = max(highest, self.system.resident_bytes("bridge"))
        self.system.release(target)
        return before, highest

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._watch_simulators()
            time.sleep(min(POLL_S, left))

    def _watch_simulators(self) -> None:
        for simulator in self.simulators:
            simulator.watch()

    def _recoveries(
        self,
        targets: tuple[str, ...],
        heads: Heads,
        timeout_s: float,
        *,
        since: float | None = None,
        own: Simulator | None = None,
        rebooted: bool = False,
    ) -> dict[str, float | None]:
        """Seconds from `since` until each target shows a reading made after `heads`: Spark, AWS and S3 in the lake,
        the others in Kafka; a device `own` there by a reading of its own, if `rebooted` under a new boot."""
        began = time.monotonic() if since is None else since
        wall = time.time() - (time.monotonic() - began)
        devices = {device for device, _ in own.heads()} if own else None
        found: dict[str, float | None] = dict.fromkeys(targets)
        lake_due = 0.0
        while None in found.values() and time.monotonic() < began + timeout_s:
            self._watch_simulators()
            for target in (name for name, seconds in found.items() if seconds is None):
                if target in LAKE_SIDE:
                    if time.monotonic() >= lake_due:
                        if self.lake.has_new(heads, wall):
                            found[target] = time.monotonic() - began
                        lake_due = time.monotonic() + LAKE_POLL_S
                    continue
                is_device = target == "device"
                arrived = self.kafka.first_new(
                    heads, began, devices=devices if is_device else None, rebooted=is_device and rebooted
                )
                if arrived is not None:
                    found[target] = max(0.0, arrived - began)
            time.sleep(POLL_S)
        return found
