"""One soak: a stack, vehicles, maintenance at the soak's pace, samples, verify; and what is judged of it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from smartcity.contracts.envelope import format_time
from smartcity.lake.settings import Storage, read_storage
from smartcity.local.demo_drive import SIMULATOR
from smartcity.local.environment import BUCKET
from smartcity.local.errors import LocalError
from smartcity.local.jars import link_jars
from smartcity.local.layout import Layout, default_var
from smartcity.local.reach import at_lake
from smartcity.local.services import SERVICES, Place
from smartcity.local.services.maintenance import MAINTENANCE
from smartcity.local.stack import Stack
from smartcity.local.verify.audit import Scope, audit
from smartcity.local.verify.lake import Lake, LakeAccess

from .sample import Sample, take
from .steady import Verdict, judge

UPKEEP = Path(__file__).with_name("upkeep.py")
MIB = 1024 * 1024
MEMORY_SLACK = 20 * MIB
RUNS_SLACK = 256 * MIB
"""For maintenance: each run is a JVM of its own, and which of its jobs has its peak in which third is chance."""
COUNT_SLACK = 10
"""Files, snapshots or objects more than before that are no growth: a batch more or less between two maintenances."""
FILES_PER_DAY_MAX = 60
"""Of one table and day, at any sample: what two pauses of maintenance's and its run can add, and what it leaves."""
ARRIVAL_TIMEOUT_S = 600.0
DRAIN_TIMEOUT_S = 300.0
FRAME_INTERVAL_S = 300
"""Simulated seconds between a camera's frames. With the usual 60, a soak at sixty times real time would put 34 frames a
second on S3, which is another test."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakSettings:
    """`upkeep_every_s`: pause between two maintenances; snapshots are kept as long."""

    simulated_hours: float
    speed: float
    start: datetime
    seed: int
    sample_every_s: float
    upkeep_every_s: float

    @property
    def wall_s(self) -> float:
        return self.simulated_hours * 3600 / self.speed


def run(settings: SoakSettings, var: Path, say: Say) -> dict[str, Any]:
    """The report. `var` must be empty.

    Raises:
        LocalError: the stack did not start, or the devices could not deliver everything.
    """
    stack = Stack(var, services=[_at_pace(one, settings) if one is MAINTENANCE else one for one in SERVICES])
    link_jars(Layout(var=default_var()), stack.layout)
    try:
        # Without a supervisor: what dies during a soak is a finding.
        stack.up(progress=say, supervise=False)
        with at_lake(stack):
            storage = read_storage(BUCKET)
            samples = soak(stack, storage, settings, say)
            dead = stack.dead()
            say("verify")
            scope = Scope(folders=(_state(stack),))
            lake = Lake(LakeAccess.from_environment(stack.environment()))
            report = audit(lake, scope, wait_s=ARRIVAL_TIMEOUT_S, progress=say)
            last = take(stack, storage, began=time.monotonic())
    finally:
        stack.down()
    verdicts = judge_all(samples)
    failures = [verdict.text() for verdict in verdicts if not verdict.steady]
    failures += [f"{name} died" for name in dead]
    if not report.settled:
        failures.append("verify found something; see `verify` in the report")
    peak = max(count for sample in samples for count in sample.files_per_day.values())
    if peak > FILES_PER_DAY_MAX:
        failures.append(f"{peak} files of one table and day at once; at most {FILES_PER_DAY_MAX} are expected")
    return {
        "failures": failures,
        "settings": {name: str(value) for name, value in dataclasses.asdict(settings).items()},
        "wall_s": settings.wall_s,
        "verdicts": {verdict.name: verdict.document() for verdict in verdicts},
        "files_per_table_and_day_peak": peak,
        "at_the_end": dataclasses.asdict(last),
        "verify": report.document(),
        "samples": [dataclasses.asdict(sample) for sample in samples],
    }


def soak(stack: Stack, storage: Storage, settings: SoakSettings, say: Say) -> list[Sample]:
    """Samples, from the first vehicle's departure to the end of the drive.

    Raises:
        LocalError: the devices could not deliver everything.
    """
    command = [str(SIMULATOR), "run", "--broker", stack.addresses().mqtt, "--state", str(_state(stack)), "--quiet"]
    command += ["--until", "never", "--start", format_time(settings.start), "--speed", str(settings.speed)]
    command += ["--frame-interval", str(FRAME_INTERVAL_S)]
    command += ["--seed", str(settings.seed), "--duration", str(settings.simulated_hours * 3600)]
    command += ["--drain-timeout-s", str(DRAIN_TIMEOUT_S)]
    simulator = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    began = time.monotonic()
    samples: list[Sample] = []
    try:
        while simulator.poll() is None and time.monotonic() < began + settings.wall_s:
            samples.append(sample := take(stack, storage, began=began))
            memory = sum(size for name, size in sample.memory.items() if name != "lake JVM")
            say(
                f"{sample.at_s:.0f} of {settings.wall_s:.0f} s: {sum(sample.rows.values())} rows, "
                f"{sum(sample.files.values())} files, {sum(sample.snapshots.values())} snapshots, "
                f"{memory / MIB:.0f} MiB, last batch {sample.batch_s:.1f} s, {sample.left} left"
            )
            due = began + len(samples) * settings.sample_every_s
            time.sleep(max(0.0, due - time.monotonic()))
        code = simulator.wait(DRAIN_TIMEOUT_S + 60)
    finally:
        if simulator.poll() is None:
            simulator.kill()
            simulator.wait()
    if code != 0:
        raise LocalError(f"the simulator ended with {code}: the devices could not deliver everything")
    return samples


def judge_all(samples: list[Sample]) -> list[Verdict]:
    """Memory of each service, files and snapshots of each table, and the checkpoint.

    Maintenance has a JVM only while it runs, so its median says little: its peaks are judged.
    """
    verdicts = []
    for name in samples[0].memory:
        sizes = [sample.memory[name] for sample in samples]
        if name == MAINTENANCE.name:
            verdicts.append(judge(f"memory of {name}", sizes, by="peak", slack=RUNS_SLACK))
        else:
            verdicts.append(judge(f"memory of {name}", sizes, by="median", slack=MEMORY_SLACK))
    for table in samples[-1].files:
        for what, counts in (("files", "files"), ("snapshots", "snapshots")):
            values = [getattr(sample, counts).get(table, 0) for sample in samples]
            verdicts.append(judge(f"{what} of {table}", values, by="peak", slack=COUNT_SLACK))
    objects = [sample.checkpoint_objects for sample in samples]
    return [*verdicts, judge("objects of the checkpoint", objects, by="peak", slack=COUNT_SLACK)]


def _state(stack: Stack) -> Path:
    return stack.layout.var / "sim" / "soak"


def _at_pace(service: Any, settings: SoakSettings) -> Any:
    def command(place: Place) -> list[str]:
        every, keep = settings.upkeep_every_s, round(settings.upkeep_every_s)
        pace = ["--every-s", str(every), "--marts-every-s", str(every), "--snapshots-keep-s", str(keep)]
        return [sys.executable, str(UPKEEP), *pace, "--bucket", BUCKET, "--jars", str(place.layout.jars("spark"))]

    # Its schedule is another one, which answers nowhere.
    return dataclasses.replace(service, command=command, probe=lambda place: None)
