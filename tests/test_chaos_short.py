"""The chaos suite in its short form: each process killed at least twice, and the books balance. And its plan."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = {"device", "mosquitto", "bridge", "kafka", "lake", "aws", "s3"}
SEED = 72
"""Its plan has nine faults, five single and four pairs; only four wait for Spark, which takes most of the time."""
KILLS = 2
TIMEOUT_S = 600


def load_plan() -> ModuleType:
    """`tests/chaos/plan.py`, which needs nothing beside it."""
    spec = importlib.util.spec_from_file_location("chaos_plan", ROOT / "tests" / "chaos" / "plan.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["chaos_plan"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_plan = load_plan().make_plan


def chaos(*arguments: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """The suite as `make chaos` runs it."""
    command = [sys.executable, "-m", "tests.chaos", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=timeout_s, check=False)


def test_a_seed_makes_the_same_plan_again_and_another_seed_another() -> None:
    assert make_plan(7, kills=9) == make_plan(7, kills=9)
    assert make_plan(7, kills=9) != make_plan(8, kills=9)


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_kills_each_process_as_often_as_asked_also_in_pairs(seed: int) -> None:
    faults = [fault for fault in make_plan(seed, kills=20) if fault.kind == "kill"]
    hits = [target for fault in faults for target in fault.targets]
    assert {process: hits.count(process) for process in PROCESSES} == dict.fromkeys(PROCESSES, 20)
    assert {len(fault.targets) for fault in faults} == {1, 2}
    assert all(len(set(fault.targets)) == len(fault.targets) for fault in faults)


def test_only_what_is_asked_for_is_hit() -> None:
    faults = make_plan(3, kills=4, only=("kill", "pause", "bridge", "kafka"))
    assert {fault.kind for fault in faults} == {"kill", "pause"}
    assert {target for fault in faults for target in fault.targets} == {"bridge", "kafka"}


@pytest.mark.end_to_end
@pytest.mark.broker
@pytest.mark.spark
@pytest.mark.timeout(TIMEOUT_S + 60)
def test_two_kills_of_each_process_lose_double_and_alter_nothing(tmp_path: Path) -> None:
    for folder in tmp_path.parents[:3]:  # Mosquitto's user must be able to pass through.
        folder.chmod(folder.stat().st_mode | 0o111)
    report = tmp_path / "report.json"
    done = chaos(
        *("--seed", str(SEED), "--kills", str(KILLS), "--only", "kill", "--control-kills", "0"),
        *("--var", str(tmp_path / "var"), "--report", str(report)),
        timeout_s=TIMEOUT_S,
    )
    print(done.stdout)
    document = json.loads(report.read_text())
    assert document["failures"] == []
    assert done.returncode == 0
    assert all(document["kills"][process] >= KILLS for process in PROCESSES)
    audit = document["audit"]
    assert (audit["lost"], audit["duplicated"], audit["altered"], audit["pending"]) == (0, 0, 0, 0)
    assert audit["lake"] == audit["generated"]
    assert sum(audit["generated"].values()) > 1_000
