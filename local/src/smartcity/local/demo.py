"""The demo: both routes driven through the whole system, counted at every stage, and proven at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smartcity.aws.crawl import crawl, marts_crawler
from smartcity.aws.errors import AwsError
from smartcity.aws.load import load
from smartcity.aws.migrations import migrate
from smartcity.aws.settings import Settings, from_environment
from smartcity.aws.warehouse import open_warehouse
from smartcity.contracts.envelope import format_time
from smartcity.contracts.routes import ROUTE_NAMES
from smartcity.contracts.streams import STREAMS
from smartcity.lake.settings import read_storage
from smartcity.sim.main import make_world
from smartcity.sim.settings import WorldSettings

from .answers import Answer, ask
from .counts import Counts, KafkaCounter, LogCounter, Stages, lake_counts, since
from .demo_drive import DemoError, DemoSettings, Drive
from .marts import await_marts, hurry_marts
from .questions import Asked, ask_both
from .reach import at_lake
from .secure import device_bundles
from .stack import Stack
from .verify.audit import Scope, audit
from .verify.lake import Lake, LakeAccess
from .verify.report import Report

LOOK_INTERVAL_S = 1.0
CATCH_UP_TIMEOUT_S = 180.0
_COUNT_LAKE_EVERY = 3
FIRST = ("bridge",)
"""With what it needs, this lets devices drive. Kafka keeps their readings until the lake is up."""

Say = Callable[[str], None]
Look = Callable[[Stages], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the demo showed. `failures` is empty where all of it was as promised."""

    report: Report
    kafka: Counts
    arrivals: tuple[dict[str, str], ...]
    answers: tuple[Answer, ...]
    questions: tuple[Asked, ...]
    seconds: dict[str, float]
    settings: DemoSettings
    state: Path
    failures: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The JSON document: that of verify, and what the demo knows beyond it."""
        return {
            **self.report.document(),
            "kafka": self.kafka,
            "arrivals": list(self.arrivals),
            "answers": [answer.document() for answer in self.answers],
            "questions": [asked.document() for asked in self.questions],
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
            "seed": self.settings.seed,
            "start": format_time(self.settings.start),
            "speed": self.settings.speed,
            "state": str(self.state),
            "failures": list(self.failures),
        }


def run_demo(stack: Stack, settings: DemoSettings, *, say: Say, look: Look) -> Outcome:
    """Brings the stack up, drives meanwhile, waits for the lake, verifies, brings marts and warehouse up to date, and
    asks. The stack stays up.

    Args:
        say: told what happens, line by line.
        look: shown the counts, about once a second.

    Raises:
        LocalError: a part of the stack does not start or answer, or the devices fail.
    """
    clock = _Laps()
    stack.up(only=FIRST, progress=say, secure=settings.secure)
    clock.lap("up")
    place = stack.place()
    state = stack.layout.var / "sim" / f"demo-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    with KafkaCounter(place.address("kafka")) as kafka, ThreadPoolExecutor(1) as pool:
        kafka_base = kafka.look()
        log = stack.layout.log("demo-sim")
        bundles = device_bundles(stack.layout, device_names(settings)) if place.secure else None
        with Drive(place.address("mqtt"), settings, state, log, say, identity=bundles) as drive:
            stack.up(only=("aws",), progress=say, secure=settings.secure)
            lake = Lake(LakeAccess.from_environment(stack.environment()))
            watch = _Watch(log=LogCounter(state / "outbox.db"), kafka=kafka, kafka_base=kafka_base, lake=lake)
            rest = pool.submit(stack.up, progress=say, secure=settings.secure)
            while drive.running:
                look(watch.stages())
                drive.wait(LOOK_INTERVAL_S)
                if rest.done():
                    rest.result()  # What did not start is told at once.
            summary = drive.summary()
        rest.result()
        clock.lap("drive")
        look(_catch_up(watch, look, say))
        clock.lap("catch_up")
        kafka_counts = watch.stages().kafka
    hurry_marts(stack)  # Maintenance builds them while the readings are verified.
    report = audit(lake, Scope(folders=(state,)), wait_s=30.0, progress=say)
    clock.lap("verify")
    with at_lake(stack), ThreadPoolExecutor(1) as pool:
        aws = from_environment()
        answered = pool.submit(ask)  # Of the tables, so the marts need not be there.
        await_marts(stack, read_storage(aws.bucket), settings.start.date(), say)
        clock.lap("marts")
        fill_warehouse(aws, say)
        clock.lap("warehouse")
        answers, asked = answered.result(), ask_both(aws, settings.start, say)
    clock.lap("answers")
    arrivals = tuple(summary["arrivals"])
    return Outcome(
        report=report,
        kafka=kafka_counts,
        arrivals=arrivals,
        answers=answers,
        questions=asked,
        seconds=clock.laps(),
        settings=settings,
        state=state,
        failures=(*failures(report, arrivals, settings), *(one.difference for one in asked if one.difference)),
    )


def fill_warehouse(settings: Settings, say: Say) -> None:
    """Crawl the marts, bring Redshift's schema up to date, and load what is new.

    Raises:
        DemoError: with AWS's reason.
    """
    try:
        say(crawl(settings, marts_crawler(settings), say))
        warehouse = open_warehouse(settings)
        say(f"Redshift's schema: {migrate(warehouse, settings, say)}")
        say(f"marts in Redshift: {load(warehouse, settings, say)}")
    except AwsError as error:
        raise DemoError(str(error)) from error


def device_names(settings: DemoSettings) -> Sequence[str]:
    """The devices that the drive will have."""
    world = WorldSettings(seed=settings.seed, routes=ROUTE_NAMES, vehicles=1)
    return make_world(world, settings.start).device_ids


def failures(report: Report, arrivals: tuple[dict[str, str], ...], settings: DemoSettings) -> tuple[str, ...]:
    """What is not as the demo promises."""
    found = [
        f"{name} is {getattr(report, name)}, not 0"
        for name in ("lost", "duplicated", "altered", "unknown", "pending")
        if getattr(report, name)
    ]
    total = sum(report.generated.values())
    if total < settings.readings_min:
        found.append(f"{total} readings, fewer than {settings.readings_min}")
    found += [f"no reading of the stream {stream.name}" for stream in STREAMS if not report.generated[stream.name]]
    reached = {arrival["route"] for arrival in arrivals}
    found += [f"no vehicle arrived on the route {name}" for name in ROUTE_NAMES if name not in reached]
    generated, accounted = report.balance()
    if generated != accounted:
        found.append(f"{generated} readings generated, but {accounted} accounted for")
    return tuple(found)


def _catch_up(watch: _Watch, look: Look, say: Say) -> Stages:
    """Waits until the lake has as much as was generated; what is still missing then, verify will name."""
    say("all vehicles have arrived; waiting for the lake")
    deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
    while True:
        stages = watch.stages(lake_now=True)
        if sum(stages.lake.values()) >= sum(stages.generated.values()) or time.monotonic() > deadline:
            return stages
        look(stages)
        time.sleep(LOOK_INTERVAL_S)


@dataclass(slots=True, kw_only=True)
class _Watch:
    """Looks at all stages, less what they had before: Kafka `kafka_base`, the lake what it has at the making."""

    log: LogCounter
    kafka: KafkaCounter
    kafka_base: Counts
    lake: Lake
    _lake_base: Counts = field(init=False)
    _lake_latest: Counts = field(init=False)
    _looks: int = 0

    def __post_init__(self) -> None:
        self._lake_base = self._lake_latest = lake_counts(self.lake)

    def stages(self, *, lake_now: bool = False) -> Stages:
        generated, pending = self.log.look()
        if lake_now or self._looks % _COUNT_LAKE_EVERY == 0:
            self._lake_latest = lake_counts(self.lake)
        self._looks += 1
        return Stages(
            generated=generated,
            pending=pending,
            kafka=since(self.kafka.look(), self.kafka_base),
            lake=since(self._lake_latest, self._lake_base),
        )


class _Laps:
    """Seconds of each part of the demo."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self._laps[name] = now - self._last
        self._last = now

    def laps(self) -> dict[str, float]:
        return {**self._laps, "total": self._last - self._began}
