"""Wires a run: state directory, world, clock, outbox, transport, loop. The boring shell."""

from __future__ import annotations

import gc
import logging
import secrets
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from types import FrameType
from typing import Any

from smartcity.contracts.identity import Identity

from .clock import Clock
from .courier import Courier
from .faults.inject import FaultyWorld, Injector
from .faults.transport import FaultyTransport
from .identities import KnownWorld, contexts, expiring, read_identities
from .loop import Loop
from .metrics import Metrics
from .open_files import make_room
from .outbox import Outbox
from .progress import Progress, summary
from .settings import RunSettings, WorldSettings
from .source import Source, World
from .state import StateDirectory, resume
from .transport import FleetTransport, PahoTransport, Transport

log = logging.getLogger(__name__)

PAHO_DEVICES_MAX = 64
"""With more devices than this, `--transport auto` is the transport for fleets."""

_GC_OBJECTS = 50_000
"""New objects between two collections. A fleet's readings wait by the thousand for their receipts, and go without help
from the collector; at Python's default of 700 it took 4 % of the CPU to look at them again and again."""

MakeWorld = Callable[[WorldSettings, datetime], World]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended. `undelivered`: devices with readings that wait in the outbox, after a drain that failed."""

    summary: dict[str, Any]
    undelivered: dict[str, int]
    stopped: bool


class _Signals:
    """Counts SIGTERM and SIGINT: the first ends generating, the second ends draining."""

    def __init__(self) -> None:
        self.count = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


def wall_clock() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


def run(settings: RunSettings, make_world: MakeWorld) -> Outcome:
    """Runs until the settings' end or a signal, drains, and says goodbye.

    Raises:
        StateError: the state directory cannot be used.
        OutboxError: the outbox can no longer be written.
    """
    signals = _Signals()
    random = Random(secrets.randbits(64))  # For jitter alone: nothing of the world depends on it.
    with ExitStack() as stack:
        state = StateDirectory(settings.state)
        stack.callback(state.close)
        resumption = resume(
            state.load(), settings=settings.world, start=settings.start, speed=settings.speed, wall=wall_clock()
        )
        saved = resumption.world
        outbox = Outbox(state.outbox_path, limits=settings.limits)
        stack.callback(outbox.close)
        world = make_world(settings.world, saved.start)
        identities = {} if settings.identity is None else read_identities(settings.identity)
        if identities:
            world = KnownWorld(world, identities)
            warning = expiring(identities, wall_clock())
            if warning:
                log.warning("%s", warning)
        injector = _injector(settings, world, saved.start)
        if injector is not None:
            world = FaultyWorld(world, injector)
        state.save(saved)
        clock = Clock(saved.anchor, wall_clock)
        begin = saved.start
        if resumption.resumed:
            begin = saved.start + timedelta(seconds=(clock.now() - saved.start) // timedelta(seconds=1))
            world.skip(begin)
            if settings.until == "arrived" and world.finished:
                log.info("all vehicles arrived while no one was watching: run again for a new drive")
        if not settings.quiet:
            log.info("%s: seed %d, at %s, speed %g", resumption.explanation, settings.world.seed, begin, settings.speed)
            if outbox.pending():
                log.info("%d readings of earlier starts are still to be delivered", outbox.pending())
        transport = _transport(settings, identities, {*world.device_ids, *outbox.boots_pending()}, random)
        faulty = None if injector is None else _faulty(transport, injector, clock)
        courier = Courier(
            outbox=outbox,
            transport=faulty or transport,
            window=settings.window,
            confirm=settings.confirm,
            monotonic=time.monotonic,
            wall_clock=wall_clock,
            random=random,
            on_faults=faulty.expect if faulty else None,
        )
        courier.start(world.device_ids)
        end = None if settings.duration_s is None else begin + timedelta(seconds=settings.duration_s)
        source = Source(world, begin=begin, until=settings.until, end=end, now=clock.now)
        progress = Progress(source=source, courier=courier, monotonic=time.monotonic, quiet=settings.quiet)
        loop = Loop(
            source=source,
            courier=courier,
            transport=faulty or transport,
            monotonic=time.monotonic,
            stop=lambda: signals.count > 0,
            reports=[progress, *_metrics(settings, source, courier, stack)],
        )
        gc.freeze()  # World and devices live as long as the process: no collection need look at them again.
        gc.set_threshold(_GC_OBJECTS)
        stopped = loop.generate() == "stopped"
        if source.done and settings.until == "arrived" and world.finished:
            state.save(replace(saved, finished=True))
        drained = _drain(loop, settings, signals, stopped=stopped)
        loop.goodbye()
        if not settings.quiet:
            log.info("%s", progress.line())
        return Outcome(
            summary=summary(
                counts=courier.counts(),
                source=source,
                boots=courier.boots,
                state=settings.state,
                start=begin,
                ending="stopped" if signals.count else "end",
            ),
            undelivered={} if drained else outbox.pending_by_device(),
            stopped=signals.count > 0,
        )


def _metrics(settings: RunSettings, source: Source, courier: Courier, stack: ExitStack) -> Iterator[Metrics]:
    """What answers Prometheus until the stack ends, if it shall."""
    if settings.metrics is not None:
        metrics = Metrics(source=source, courier=courier, monotonic=time.monotonic)
        stack.callback(metrics.serve(*settings.metrics))
        yield metrics


def _transport(
    settings: RunSettings, identities: Mapping[str, Identity], device_ids: Collection[str], random: Random
) -> Transport:
    """
    Raises:
        SettingsError: this process may not open so many connections, or a device has no identity where one has.
    """
    make_room(len(device_ids))
    tls = contexts(identities, device_ids) if identities else None
    if settings.transport == "fleet" or (settings.transport == "auto" and len(device_ids) > PAHO_DEVICES_MAX):
        return FleetTransport(host=settings.host, port=settings.port, random=random, settings=settings.fleet, tls=tls)
    return PahoTransport(host=settings.host, port=settings.port, random=random, settings=settings.paho, tls=tls)


def _injector(settings: RunSettings, world: World, start: datetime) -> Injector | None:
    """
    Raises:
        SettingsError: the plan names devices that are not there.
    """
    if settings.faults is None:
        return None
    settings.faults.check_devices(world.device_ids)
    return Injector(settings.faults, seed=settings.world.seed, start=start)


def _faulty(transport: Transport, injector: Injector, clock: Clock) -> FaultyTransport:
    return FaultyTransport(
        transport,
        offline=injector.offline,
        goes_offline=injector.goes_offline,
        now=clock.now,
        monotonic=time.monotonic,
    )


def _drain(loop: Loop, settings: RunSettings, signals: _Signals, *, stopped: bool) -> bool:
    if stopped:
        return loop.drain(settings.stop_drain_timeout_s, lambda: signals.count > 1)
    return loop.drain(settings.drain_timeout_s, lambda: signals.count > 0)
