"""The run: the stack up, devices driving, one fault after another, the drain, the audit."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smartcity.contracts.routes import ROUTE_NAMES
from smartcity.local.stack import Stack
from smartcity.local.verify.audit import Scope, audit
from smartcity.local.verify.lake import Lake, LakeAccess

from .devices import Simulator
from .disk import Disk, unmount_all_under
from .inject import Event, Range, Say
from .observe import KafkaWatch, LakeWatch
from .plan import LAKE_SIDE, Fault
from .proxy import Proxy
from .report import fat_events, fault_rows, kills_of, process_rows, slow_rows
from .system import System, make_reachable, real_services
from .tamper import EXPECTED, audit_of_tampered

SETTLE_TIMEOUT_S = 120.0
ARRIVAL_TIMEOUT_S = 180.0
MUST_BE_NONE = ("lost", "duplicated", "altered", "unknown", "pending", "refused", "dropped", "unproven")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a run is told."""

    var: Path
    seed: int
    speed: float
    trigger_s: float
    """Time between the lake's batches."""
    minutes_max: float
    """Faults that are not begun by then are left out."""
    pending_max: int | None = None
    """Readings that a device's outbox holds, where it is meant to overflow."""


def run(settings: RunSettings, plan: Sequence[Fault], say: Say) -> dict[str, Any]:
    """The document of the run under fire.

    Raises:
        LocalError: the stack does not start, or the lake cannot be read at the end.
    """
    unmount_all_under(settings.var)
    shutil.rmtree(settings.var, ignore_errors=True)
    make_reachable(settings.var)
    disks: dict[str, Disk] = {}
    if any(fault.kind == "fill" for fault in plan):
        disks = {route: Disk(settings.var / "sim" / route) for route in ROUTE_NAMES}
        disks |= {name: Disk(settings.var / "data" / name) for name in ("mosquitto", "kafka")}
    links: dict[str, Proxy] = {}
    system = System(Stack(settings.var, services=real_services(links, trigger_s=settings.trigger_s)))
    began = time.monotonic()
    try:
        system.stack.up(progress=say, supervise=False)
        system.watch()
        place = system.stack.place()
        links["device-gateway"] = Proxy(place.ports["mqtt"])
        environment = system.stack.environment()
        with _driving(settings, links["device-gateway"]) as simulators, KafkaWatch(place.address("kafka")) as kafka:
            lake_watch = LakeWatch(environment)
            target = Range(system=system, simulators=simulators, links=links, kafka=kafka, lake=lake_watch, disks=disks)
            end = time.monotonic() + settings.minutes_max * 60
            if not target.settle(SETTLE_TIMEOUT_S):
                return {"failures": ["no reading came to the lake before the first fault"]}
            events, notes = _fire(target, plan, end, say)
            fired = time.monotonic()
            say("devices stop and drain")
            _stop(simulators)
        report = audit(
            Lake(LakeAccess.from_environment(environment)),
            Scope(folders=(settings.var / "sim",)),
            wait_s=ARRIVAL_TIMEOUT_S,
            progress=say,
        ).document()
        say("spoiling four records, which the auditor must report")
        auditor = _auditor(environment, lake_watch, settings.var / "sim")
    finally:
        system.down()
        for proxy in links.values():
            proxy.close()
        for disk in disks.values():
            disk.close()
    documents = [event.document() for event in events]
    must_be_none = [name for name in MUST_BE_NONE if name != "dropped" or settings.pending_max is None]
    failures = notes + _failures(report, must_be_none, auditor, events, simulators)
    document = {
        "seed": settings.seed,
        "speed": settings.speed,
        "trigger_s": settings.trigger_s,
        "faults_planned": len(plan),
        "seconds": {"total": round(time.monotonic() - began, 1), "faults": round(fired - target.began, 1)},
        "kills": kills_of(documents),
        "faults": fault_rows(documents, report),
        "processes": process_rows(documents),
        "audit": report,
        "auditor": auditor,
        "events": documents,
        "ended_early": _ended_early(events, plan, settings.minutes_max),
    }
    return {**document, "failures": failures + slow_rows(document) + fat_events(documents)}


def _fire(target: Range, plan: Sequence[Fault], end: float, say: Say) -> tuple[list[Event], list[str]]:
    events: list[Event] = []
    notes: list[str] = []
    whole = True
    began = time.monotonic()
    for number, fault in enumerate(plan, 1):
        if time.monotonic() > end:
            say(f"time is over after {len(events)} of {len(plan)} faults")
            break
        # A recovery seen in the lake passes through all that comes before it: let that be whole. It is, where the
        # lake has just shown a reading made after the fault before.
        lake_side = bool(set(fault.targets) & set(LAKE_SIDE))
        if lake_side and not whole and not target.settle(SETTLE_TIMEOUT_S):
            notes.append(f"not settled {SETTLE_TIMEOUT_S:.0f} s before fault {number}, {fault.name}")
        time.sleep(fault.quiet_s)
        event = target.inject(fault)
        events.append(event)
        whole = lake_side and event.recovered
        took = ", ".join(f"{name} {'-' if s is None else f'{s:.1f} s'}" for name, s in event.recovery_s.items())
        elapsed_s = time.monotonic() - began
        left_s = min(end - time.monotonic(), elapsed_s / number * (len(plan) - number))
        say(f"{number}/{len(plan)} {fault.name}: {took} ({elapsed_s / 60:.1f} min, about {left_s / 60:.0f} to go)")
    return events, notes


@contextlib.contextmanager
def _driving(settings: RunSettings, proxy: Proxy) -> Iterator[list[Simulator]]:
    simulators = [
        Simulator(
            route,
            broker=proxy.address,
            state=settings.var / "sim" / route,
            seed=settings.seed,
            speed=settings.speed,
            log=settings.var / "log" / f"sim-{route}.log",
            pending_max=settings.pending_max,
        )
        for route in ROUTE_NAMES
    ]
    try:
        for simulator in simulators:
            simulator.start()
        yield simulators
    finally:
        for simulator in simulators:
            simulator.abandon()


def _stop(simulators: Sequence[Simulator]) -> None:
    threads = [threading.Thread(target=simulator.stop) for simulator in simulators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _auditor(environment: Mapping[str, str], lake: LakeWatch, logs: Path) -> dict[str, Any]:
    try:
        return audit_of_tampered(environment, lake.catalog, logs)
    except Exception as error:  # Whatever it is, it must not cost the report of the run before: it stands in there.
        return {"expected": EXPECTED, "found": repr(error)}


def _failures(
    report: dict[str, Any],
    must_be_none: Sequence[str],
    auditor: dict[str, Any],
    events: Sequence[Event],
    simulators: Sequence[Simulator],
) -> list[str]:
    found = [f"{name} is {report[name]}, not 0" for name in must_be_none if report[name]]
    found += [f"no recovery from {event.fault.name} at {event.at_s:.0f} s" for event in events if not event.recovered]
    found += [f"{s.state.name}: ended by itself {s.deaths_unwanted} times" for s in simulators if s.deaths_unwanted]
    if auditor["found"] != auditor["expected"]:
        found.append(f"of spoiled records the auditor found {auditor['found']}, not {auditor['expected']}")
    found += [note for event in events for note in event.notes]
    return found


def _ended_early(events: Sequence[Event], plan: Sequence[Fault], minutes_max: float) -> str | None:
    """Time that is over says nothing of the system: what was done is judged, and the rest is named."""
    if len(events) == len(plan):
        return None
    return f"{len(events)} of {len(plan)} faults were done in {minutes_max:g} minutes; more --minutes do more"
