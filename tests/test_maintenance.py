"""A drive through the whole stack while the tables are maintained, and the lake's driver is killed in between.

What kills do to commits, `tests/lake_kills` shows. Here the readings come all the way from devices, and the auditor of
`smartcity verify`, which compares every column with the devices' logs, finds the same before and after maintenance.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from smartcity.local import process
from smartcity.local.demo import SIMULATOR
from smartcity.local.environment import child_environment
from smartcity.local.programs import find_java
from smartcity.local.stack import Stack
from smartcity.local.verify.audit import Scope, audit
from smartcity.local.verify.lake import Lake, LakeAccess

pytestmark = [pytest.mark.end_to_end, pytest.mark.broker, pytest.mark.spark, pytest.mark.timeout(900)]

SIMULATED_S = 3_000
SPEED = 40
"""A minute and a quarter of real time: enough batches for files to compact."""
COMMITS_BEFORE_KILL = 2
ARRIVAL_TIMEOUT_S = 180
MAINTAIN = """
import sys
from datetime import timedelta
from smartcity.lake import maintain, maintain_command
maintain.FILES_MIN = 2
maintain_command.SNAPSHOTS_KEEP_MIN = timedelta(seconds=1)
from smartcity.lake.main import main
sys.exit(main())
"""
"""The command, but for its limits: the drive is short, and makes few files while its driver is killed."""


def maintain(stack: Stack) -> list[dict[str, Any]]:
    """One run; its report per table."""
    place = stack.place()
    command = [sys.executable, "-c", MAINTAIN, "maintain", "--snapshots-keep", "20s", "--json"]
    command += ["--jars", str(place.layout.jars("spark"))]
    environment = child_environment({**stack.environment(), "JAVA_HOME": str(find_java().home)})
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    tables: list[dict[str, Any]] = json.loads(done.stdout)["tables"]
    print(f"maintained in {time.monotonic() - began:.0f} s")
    for table in tables:
        before, after = table["before"], table["after"]
        print(f"{table['table']}: files {before['files']} → {after['files']}, ", end="")
        print(f"snapshots {before['snapshots']} → {after['snapshots']}, {table['compacted_files']} files compacted")
    return tables


class Killer(threading.Thread):
    """Kills the driver of the lake once, as it commits, when it has committed a few times."""

    def __init__(self, stack: Stack, lake: Lake) -> None:
        super().__init__(name="killer")
        self.killed = False
        self.ended = threading.Event()
        self._var, self._lake = stack.layout.var, lake

    def run(self) -> None:
        seen = sum(self._lake.total_records().values())
        grown = 0
        while not self.ended.wait(1):
            now = sum(self._lake.total_records().values())
            grown += now > seen
            seen = now
            if grown >= COMMITS_BEFORE_KILL:
                victims = list(process.members(self._var, "lake"))
                for victim in victims:
                    victim.kill()
                psutil.wait_procs(victims, timeout=10)
                self.killed = bool(victims)
                return


def test_maintained_and_killed_while_it_fills_the_lake_has_each_reading_once(stack: Stack) -> None:
    state: Path = stack.layout.var / "sim" / "maintained"
    command = [str(SIMULATOR), "run", "--broker", stack.addresses().mqtt, "--state", str(state)]
    command += ["--seed", "11", "--start", "2026-03-05T12:00:00Z", "--speed", str(SPEED)]
    command += ["--duration", str(SIMULATED_S), "--drain-timeout-s", "120", "--quiet", "--json"]
    simulator = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    runs: list[dict[str, Any]] = []
    lake = Lake(LakeAccess.from_environment(stack.environment()))
    killer = Killer(stack, lake)
    killer.start()
    try:
        while simulator.poll() is None:
            runs += maintain(stack)
    finally:
        killer.ended.set()
        killer.join(60)
        if simulator.poll() is None:
            simulator.kill()
        simulator.wait()
    assert killer.killed
    assert simulator.returncode == 0, "the devices could not deliver everything"
    report = audit(lake, Scope(folders=(state,)), wait_s=ARRIVAL_TIMEOUT_S, progress=print)
    runs += maintain(stack)
    assert audit(lake, Scope(folders=(state,)), progress=print).document() == report.document()
    assert report.settled, report.document()
    assert report.lake == report.generated
    assert sum(run["compacted_files"] for run in runs) >= 4
    assert sum(run["expired_snapshots"] for run in runs) >= 5
