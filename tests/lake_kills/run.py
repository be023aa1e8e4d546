"""The run: the stack up, records without a pause, one kill after another, then the count."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .count import MUST_BE_NONE, count
from .feed import Feed
from .plan import Kill
from .readings import Source
from .report import batched, failures_of, kills_of, pace, phase_of
from .system import Event, System, group

Say = Callable[[str], None]

DRIVER_TIMEOUT_S = 300
"""For a driver to start, or to get to an armed point."""
MAINTENANCE_TIMEOUT_S = 45
DEATH_TIMEOUT_S = 20
ARRIVAL_TIMEOUT_S = 300
UPKEEP_TIMEOUT_S = 900
"""How long the feed goes on after the last kill, where maintenance has found nothing old enough yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a run is told."""

    var: Path
    seed: int
    rate: int
    """Records per second."""
    trigger_s: float
    maintain: tuple[str, ...]
    """Flags of maintenance."""
    lowered: bool
    """Whether its limits are lowered (`maintenance.py`)."""


class StalledError(Exception):
    """The lake does not come back. The text says from what."""


def run(settings: RunSettings, plan: Sequence[Kill], say: Say) -> dict[str, Any]:
    """The document of the run.

    Raises:
        LocalError: the stack does not start, or the lake cannot be read.
    """
    shutil.rmtree(settings.var, ignore_errors=True)
    settings.var.mkdir(parents=True)
    system = System(settings.var, trigger_s=settings.trigger_s, maintain=settings.maintain, lowered=settings.lowered)
    began = time.monotonic()
    done: list[dict[str, Any]] = []
    notes: list[str] = []
    try:
        system.up(say)
        feed = Feed(system.stack.place().address("kafka"), Source(settings.seed), rate=settings.rate)
        feed.start()
        try:
            _kill_all(system, plan, done, say)
            if not system.wait(lambda: all(system.upkeep().values()), UPKEEP_TIMEOUT_S):
                notes.append(f"maintenance had too little to do: {system.upkeep()}")
        except StalledError as stalled:
            notes.append(str(stalled))
        except KeyboardInterrupt:
            notes.append(f"ended by hand after {len(done)} of {len(plan)} kills")
        killed_s = time.monotonic() - began
        feed.stop()
        notes += [f"feed: {feed.failure}"] if feed.failure else []
        say(f"{feed.truth.records} records are in Kafka; waiting for the lake")
        if not system.wait(lambda: batched(system.events()) >= feed.truth.records, ARRIVAL_TIMEOUT_S):
            notes.append(f"the lake has not read all records {ARRIVAL_TIMEOUT_S} s after the last one")
        upkeep = system.upkeep()
        # Nothing may delete a file between the reader's look at a snapshot and its reading.
        system.kill_maintenance(0)
        found = count(system.lake(), feed.truth)
        events = list(system.events())
    finally:
        system.down()
    kills = kills_of(done, events)
    return {
        "seed": settings.seed,
        "maintain": {"flags": " ".join(settings.maintain), "limits lowered": settings.lowered},
        "seconds": {"total": round(time.monotonic() - began, 1), "until the last kill": round(killed_s, 1)},
        "kills": kills,
        "records": {"in Kafka": feed.truth.records, "sent again": feed.truth.repeated, "kinds": feed.source.kinds},
        "dead letters by reason": feed.truth.reasons,
        "lake": found,
        "batches": pace(events),
        "upkeep": upkeep,
        "each": done,
        "failures": notes + failures_of(plan, done, events, {name: found[name] for name in MUST_BE_NONE}),
    }


def _kill_all(system: System, plan: Sequence[Kill], done: list[dict[str, Any]], say: Say) -> None:
    began = time.monotonic()
    for number, kill in enumerate(plan, 1):
        if not system.wait(lambda: [e for e in system.events() if e["event"] == "done"], DRIVER_TIMEOUT_S):
            raise StalledError("no first batch was done")
        entry = {**kill.document(), "at_s": round(time.monotonic() - began, 1)}
        if kill.maintenance:
            entry["maintenance"] = system.kill_maintenance(MAINTENANCE_TIMEOUT_S)
            system.revive()
        {"injected": _inject, "random": _strike, "stopped": _stop}[kill.kind](system, kill, entry)
        done.append(entry)
        elapsed_s = time.monotonic() - began
        left_min = elapsed_s / number * (len(plan) - number) / 60
        phase = f" ({entry['phase']})" if "phase" in entry else ""
        say(f"{number}/{len(plan)} {kill.name}{phase}, {elapsed_s / 60:.1f} min, about {left_min:.0f} to go")


def _inject(system: System, kill: Kill, entry: dict[str, Any]) -> None:
    hit = _spring(system, kill, signal.SIGKILL)
    if not system.wait(lambda: not list(group(hit["pid"])), DEATH_TIMEOUT_S):
        raise StalledError(f"driver {hit['pid']} outlived the trap at {kill.point}")
    entry |= {"batch": hit["batch"], "held": hit["held"]}


def _strike(system: System, kill: Kill, entry: dict[str, Any]) -> None:
    pid = _driver(system)
    if not kill.starting:
        _await_begun(system, pid, after=kill.batches)
    time.sleep(kill.delay_s)
    pid = _driver(system)
    victims = {
        "driver": lambda: [one.pid for one in group(pid)],
        "jvm": lambda: [one.pid for one in group(pid) if one.name() == "java"],
        "python": lambda: [pid],
        "supervisor": lambda: [supervisor.pid for supervisor in [system.supervisor()] if supervisor],
    }[kill.victim]()
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    entry["phase"] = phase_of(pid, system.events())
    if not victims:
        entry["missed"] = True
    # A JVM alone takes its Python along after some attempts; for all others the kernel or the supervisor sees to it.
    if not system.wait(lambda: not list(group(pid)), DRIVER_TIMEOUT_S if kill.victim == "jvm" else DEATH_TIMEOUT_S):
        raise StalledError(f"of driver {pid} something lives after {kill.victim} was killed")
    system.revive()


def _stop(system: System, kill: Kill, entry: dict[str, Any]) -> None:
    """The stopped driver and its JVM must be dead before another driver starts, so that nothing is left to be woken."""
    hit = _spring(system, kill, signal.SIGSTOP)
    stopped = list(group(hit["pid"]))
    if not system.wait(lambda: {one.status() for one in stopped} == {psutil.STATUS_STOPPED}, DEATH_TIMEOUT_S):
        raise StalledError(f"driver {hit['pid']} did not stop at {kill.point}")
    supervisor = system.supervisor()
    assert supervisor is not None
    supervisor.kill() if kill.victim == "supervisor" else supervisor.terminate()
    began = time.monotonic()
    if not system.wait(lambda: not list(group(hit["pid"])), DEATH_TIMEOUT_S):
        entry["outlived"] = True
    entry |= {"batch": hit["batch"], "held": hit["held"], "dead_after_s": round(time.monotonic() - began, 2)}
    system.wait(lambda: system.supervisor() is None, DEATH_TIMEOUT_S)
    system.stack.revive("lake")
    redone = system.wait(lambda: _done_again(system, hit), DRIVER_TIMEOUT_S)
    if not redone:
        raise StalledError(f"batch {hit['batch']} was not done after its driver was stopped")
    for one in stopped:
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.status() != psutil.STATUS_ZOMBIE:
                one.resume()
                entry["outlived"] = True


def _done_again(system: System, hit: Event) -> bool:
    return any(
        event["event"] == "done" and event["batch"] == hit["batch"] and event["pid"] != hit["pid"]
        for event in system.events()
    )


def _spring(system: System, kill: Kill, send: signal.Signals) -> Event:
    assert kill.point is not None
    seen = len(system.events())
    system.arm(kill.point, batches=kill.batches, send=send)

    def hit() -> Event | None:
        return next((event for event in system.events()[seen:] if event["event"] == "hit"), None)

    found: Event | None = system.wait(hit, DRIVER_TIMEOUT_S)
    if found is None:
        raise StalledError(f"no driver came to {kill.point} within {DRIVER_TIMEOUT_S} s")
    return found


def _driver(system: System) -> int:
    pid: int | None = system.wait(system.driver, DRIVER_TIMEOUT_S)
    if pid is None:
        raise StalledError(f"no driver started within {DRIVER_TIMEOUT_S} s")
    return pid


def _await_begun(system: System, pid: int, *, after: int) -> None:
    """Returns at the beginning of a batch of this driver, when it has done `after` others."""

    def begun() -> bool:
        mine = [event["event"] for event in system.events() if event["pid"] == pid]
        return mine.count("done") >= after and mine.count("begun") > after

    if not system.wait(begun, DRIVER_TIMEOUT_S):
        raise StalledError(f"driver {pid} began no batch within {DRIVER_TIMEOUT_S} s")
