"""The run: the stack up, devices driving, one fault after another, the drain, the audit."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smartcity.contracts.routes import ROUTE_NAMES
from smartcity.local.stack import Stack
from smartcity.local.verify.audit import Scope, audit
from smartcity.local.verify.lake import Lake, LakeAccess

from .devices import Simulator
from .inject import Event, Range, Say
from .observe import KafkaWatch, LakeWatch
from .plan import LAKE_SIDE, Fault
from .proxy import Proxy
from .report import fault_rows, kills_of
from .system import System, make_reachable, real_services

SETTLE_TIMEOUT_S = 120.0
ARRIVAL_TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a run is told."""

    var: Path
    seed: int
    speed: float
    minutes_max: float
    """Faults that are not begun by then are left out."""


def run(settings: RunSettings, plan: Sequence[Fault], say: Say) -> dict[str, Any]:
    """The document of the run under fire.

    Raises:
        LocalError: the stack does not start, or the lake cannot be read at the end.
    """
    shutil.rmtree(settings.var, ignore_errors=True)
    make_reachable(settings.var)
    links: dict[str, Proxy] = {}
    system = System(Stack(settings.var, services=real_services(links)))
    began = time.monotonic()
    try:
        system.stack.up(progress=say, supervise=False)
        system.watch()
        place = system.stack.place()
        links["device-gateway"] = Proxy(place.ports["mqtt"])
        environment = system.stack.environment()
        with _driving(settings, links["device-gateway"]) as simulators, KafkaWatch(place.address("kafka")) as kafka:
            lake_watch = LakeWatch(environment)
            target = Range(system=system, simulators=simulators, links=links, kafka=kafka, lake=lake_watch)
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
    finally:
        system.down()
        for proxy in links.values():
            proxy.close()
    documents = [event.document() for event in events]
    failures = notes + _failures(report, events, plan, simulators)
    return {
        "seed": settings.seed,
        "speed": settings.speed,
        "faults_planned": len(plan),
        "seconds": {"total": round(time.monotonic() - began, 1), "faults": round(fired - target.began, 1)},
        "kills": kills_of(documents),
        "faults": fault_rows(documents, report),
        "audit": report,
        "events": documents,
        "failures": failures,
    }


def _fire(target: Range, plan: Sequence[Fault], end: float, say: Say) -> tuple[list[Event], list[str]]:
    events: list[Event] = []
    notes: list[str] = []
    for number, fault in enumerate(plan, 1):
        if time.monotonic() > end:
            say(f"time is over after {len(events)} of {len(plan)} faults")
            break
        # A recovery seen in the lake passes through all that comes before it: let that be whole.
        if set(fault.targets) & set(LAKE_SIDE) and not target.settle(SETTLE_TIMEOUT_S):
            notes.append(f"not settled {SETTLE_TIMEOUT_S:.0f} s before fault {number}, {fault.name}")
        time.sleep(fault.quiet_s)
        event = target.inject(fault)
        events.append(event)
        took = ", ".join(f"{name} {'-' if s is None else f'{s:.1f} s'}" for name, s in event.recovery_s.items())
        say(f"{number}/{len(plan)} {fault.name}: {took}")
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


def _failures(
    report: dict[str, Any], events: Sequence[Event], plan: Sequence[Fault], simulators: Sequence[Simulator]
) -> list[str]:
    found = [
        f"{name} is {report[name]}, not 0"
        for name in ("lost", "duplicated", "altered", "unknown", "pending", "refused", "dropped", "unproven")
        if report[name]
    ]
    found += [f"no recovery from {event.fault.name} at {event.at_s:.0f} s" for event in events if not event.recovered]
    found += [f"{s.state.name}: ended by itself {s.deaths_unwanted} times" for s in simulators if s.deaths_unwanted]
    if len(events) < len(plan):
        found.append(f"{len(events)} of {len(plan)} faults were done: more --minutes are needed")
    return found
