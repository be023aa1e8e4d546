"""The demo: both routes driven through the whole system, counted at every stage, and proven at the end."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smartcity.contracts.envelope import format_time
from smartcity.contracts.routes import ROUTE_NAMES
from smartcity.contracts.streams import STREAMS
from smartcity.sim.main import make_world
from smartcity.sim.settings import WorldSettings

from .answers import Answer, ask
from .counts import Counts, KafkaCounter, LogCounter, Stages, lake_counts, since
from .errors import LocalError
from .reach import at_lake
from .secure import device_bundles
from .stack import Addresses, Stack
from .verify.audit import Scope, audit
from .verify.lake import Lake, LakeAccess
from .verify.report import Report

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""Morning in Toronto, noon in London; long ago, so that no event time lies in the future."""
SPEED = 120.0
SEED = 1
READINGS_MIN = 20_000
LOOK_INTERVAL_S = 1.0
CATCH_UP_TIMEOUT_S = 180.0
SIM_TIMEOUT_S = 900.0
SIM_STOP_TIMEOUT_S = 20.0
SIMULATOR = Path(sys.executable).with_name("smartcity-sim")
_COUNT_LAKE_EVERY = 3

Say = Callable[[str], None]
Look = Callable[[Stages], None]


class DemoError(LocalError):
    """The demo could not be run to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """What to drive. The same seed and start drive the same drive."""

    speed: float = SPEED
    seed: int = SEED
    start: datetime = START
    readings_min: int = READINGS_MIN
    secure: bool = False
    """Start the stack with identities; a running one stays as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the demo showed. `failures` is empty where all of it was as promised."""

    report: Report
    kafka: Counts
    arrivals: tuple[dict[str, str], ...]
    answers: tuple[Answer, ...]
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
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
            "seed": self.settings.seed,
            "start": format_time(self.settings.start),
            "speed": self.settings.speed,
            "state": str(self.state),
            "failures": list(self.failures),
        }


def run_demo(stack: Stack, settings: DemoSettings, *, say: Say, look: Look) -> Outcome:
    """Brings the stack up, drives, waits for the lake, verifies and asks. The stack stays up.

    Args:
        say: told what happens, line by line.
        look: shown the counts, about once a second.

    Raises:
        LocalError: a part of the stack does not start or answer, or the devices fail.
    """
    clock = _Laps()
    addresses = stack.up(progress=say, secure=settings.secure)
    if addresses is None:
        raise DemoError("the stack is not complete: see smartcity status")
    clock.lap("up")
    lake = Lake(LakeAccess.from_environment(stack.environment()))
    state = stack.layout.var / "sim" / f"demo-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    with KafkaCounter(addresses.kafka) as kafka:
        watch = _Watch(log=LogCounter(state / "outbox.db"), kafka=kafka, lake=lake)
        log = stack.layout.log("demo-sim")
        bundles = device_bundles(stack.layout, device_names(settings)) if stack.place().secure else None
        with Drive(addresses, settings, state, log, say, identity=bundles) as drive:
            while drive.running:
                look(watch.stages())
                drive.wait(LOOK_INTERVAL_S)
            summary = drive.summary()
        clock.lap("drive")
        look(_catch_up(watch, look, say))
        clock.lap("catch_up")
        kafka_counts = watch.stages().kafka
    report = audit(lake, Scope(folders=(state,)), wait_s=30.0, progress=say)
    clock.lap("verify")
    with at_lake(stack):
        answers = ask()
    clock.lap("answers")
    arrivals = tuple(summary["arrivals"])
    return Outcome(
        report=report,
        kafka=kafka_counts,
        arrivals=arrivals,
        answers=answers,
        seconds=clock.laps(),
        settings=settings,
        state=state,
        failures=failures(report, arrivals, settings),
    )


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
    """Looks at all stages, from the counts at its making on."""

    log: LogCounter
    kafka: KafkaCounter
    lake: Lake
    _kafka_base: Counts = field(init=False)
    _lake_base: Counts = field(init=False)
    _lake_latest: Counts = field(init=False)
    _looks: int = 0

    def __post_init__(self) -> None:
        self._kafka_base = self.kafka.look()
        self._lake_base = self._lake_latest = lake_counts(self.lake)

    def stages(self, *, lake_now: bool = False) -> Stages:
        generated, pending = self.log.look()
        if lake_now or self._looks % _COUNT_LAKE_EVERY == 0:
            self._lake_latest = lake_counts(self.lake)
        self._looks += 1
        return Stages(
            generated=generated,
            pending=pending,
            kafka=since(self.kafka.look(), self._kafka_base),
            lake=since(self._lake_latest, self._lake_base),
        )


class Drive:
    """`smartcity-sim run` as a process of its own, as it would be beside any broker."""

    def __init__(
        self,
        addresses: Addresses,
        settings: DemoSettings,
        state: Path,
        log: Path,
        say: Say,
        *,
        identity: Path | None = None,
    ) -> None:
        self._command = [
            *(str(SIMULATOR), "run", "--broker", addresses.mqtt, "--vehicles", "1"),
            *(part for name in ROUTE_NAMES for part in ("--route", name)),
            *("--seed", str(settings.seed), "--start", format_time(settings.start), "--speed", f"{settings.speed:g}"),
            *("--state", str(state), "--until", "arrived", "--json"),
            *(("--identity", str(identity)) if identity else ()),
        ]
        self._log = log
        self._say = say
        # The simulated clock never passes now, so a later start would only wait.
        if settings.start > datetime.now(UTC) - timedelta(days=1):
            raise DemoError(f"the start {settings.start:%Y-%m-%d} must lie at least a day in the past")

    def __enter__(self) -> Drive:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._output: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_output, name="sim-output", daemon=True),
            threading.Thread(target=self._read_progress, name="sim-progress", daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self._deadline = time.monotonic() + SIM_TIMEOUT_S
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(SIM_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def running(self) -> bool:
        if time.monotonic() > self._deadline:
            raise DemoError(f"the devices have not arrived after {SIM_TIMEOUT_S:.0f} s; see {self._log}")
        return self._process.poll() is None

    def wait(self, seconds: float) -> None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def summary(self) -> dict[str, Any]:
        """What the simulator says at its end.

        Raises:
            DemoError: it failed.
        """
        for reader in self._readers:
            reader.join()
        if self._process.returncode:
            raise DemoError(f"smartcity-sim ended with exit code {self._process.returncode}; see {self._log}")
        summary: dict[str, Any] = json.loads("".join(self._output))
        return summary

    def _read_output(self) -> None:
        assert self._process.stdout is not None
        self._output.extend(self._process.stdout)

    def _read_progress(self) -> None:
        assert self._process.stderr is not None
        with self._log.open("a", encoding="utf-8") as log:
            for line in self._process.stderr:
                log.write(line)
                log.flush()
                if "has arrived" in line:
                    self._say(line.strip())


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
