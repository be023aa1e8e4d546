"""What maintenance leaves of a drive is, to the auditor, what it was before.

That it can run, and be killed, while the stream commits and its driver is killed, `test_lake_kills.py` shows. Here the
readings come all the way from devices, and the auditor of `smartcity verify` compares every column with their logs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smartcity.local.demo_drive import SIMULATOR
from smartcity.local.environment import child_environment
from smartcity.local.programs import find_java
from smartcity.local.stack import Stack
from smartcity.local.verify.audit import Scope, audit
from smartcity.local.verify.lake import Lake, LakeAccess

pytestmark = [pytest.mark.end_to_end, pytest.mark.broker, pytest.mark.spark, pytest.mark.timeout(600)]

SIMULATED_S = 1_500
SPEED = 60
"""Twenty-five seconds of real time: a few batches, thus files to compact and snapshots to expire."""
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
"""The command, but for its limits: the drive is short, and makes few files."""


def maintain(stack: Stack) -> list[dict[str, Any]]:
    """One run; its report per table."""
    place = stack.place()
    command = [sys.executable, "-c", MAINTAIN, "maintain", "--snapshots-keep", "1s", "--json"]
    command += ["--jars", str(place.layout.jars("spark"))]
    environment = child_environment({**stack.environment(), "JAVA_HOME": str(find_java().home)})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    tables: list[dict[str, Any]] = json.loads(done.stdout)["tables"]
    return tables


def test_the_auditor_finds_the_same_before_and_after_maintenance(stack: Stack) -> None:
    state: Path = stack.layout.var / "sim" / "maintained"
    command = [str(SIMULATOR), "run", "--broker", stack.addresses().mqtt, "--state", str(state)]
    command += ["--seed", "11", "--start", "2026-03-05T12:00:00Z", "--speed", str(SPEED)]
    command += ["--duration", str(SIMULATED_S), "--drain-timeout-s", "120", "--quiet"]
    subprocess.run(command, check=True, timeout=300, stdout=subprocess.DEVNULL)
    lake = Lake(LakeAccess.from_environment(stack.environment()))
    before = audit(lake, Scope(folders=(state,)), wait_s=ARRIVAL_TIMEOUT_S, progress=print)
    assert before.settled, before.document()
    assert before.lake == before.generated
    tables = maintain(stack)
    assert audit(lake, Scope(folders=(state,)), progress=print).document() == before.document()
    assert sum(table["compacted_files"] for table in tables) >= 4
    assert sum(table["expired_snapshots"] for table in tables) >= 5
