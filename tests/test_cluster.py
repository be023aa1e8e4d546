"""The lake's tasks on a standalone Spark master with two workers: one is killed while it works, then the master."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyspark
import pytest

from smartcity.lake.jars import require_jars
from smartcity.local import process
from smartcity.local.demo_drive import SIMULATOR
from smartcity.local.environment import BUCKET, child_environment
from smartcity.local.services import CLUSTER_SERVICES
from smartcity.local.services.lake import LAKE
from smartcity.local.stack import Stack
from smartcity.local.verify.audit import Scope, audit
from smartcity.local.verify.lake import Lake, LakeAccess

from .conftest import kill, link_jars, patient, wait_for

pytestmark = [pytest.mark.end_to_end, pytest.mark.broker, pytest.mark.spark, pytest.mark.timeout(1500)]

SIMULATED_S, SPEED = 1_200, 30
"""Forty seconds of real time."""
AFTERWARDS_S = 300
VICTIM = "spark-worker-2"
ARRIVAL_TIMEOUT_S = 300
TIMEOUT_S = 300
DRIVER = Path(__file__).parents[1] / "cloud" / "spark" / "submit" / "lake_driver.py"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with two workers, without what nobody asks here."""
    var = tmp_path_factory.mktemp("cluster") / "var"
    for folder in var.parents[:3]:
        folder.chmod(folder.stat().st_mode | 0o111)
    link_jars(var)
    stack = Stack(var, services=patient(CLUSTER_SERVICES))
    try:
        stack.up(only=("bridge", "lake"), spark_cluster=True, progress=print)
        yield stack
    finally:
        stack.down(progress=print)


@pytest.fixture(scope="module")
def lake(cluster: Stack) -> Lake:
    return Lake(LakeAccess.from_environment(cluster.environment()))


def start_devices(stack: Stack, state: Path, *, seed: int, simulated_s: int = SIMULATED_S) -> subprocess.Popen[bytes]:
    command = [str(SIMULATOR), "run", "--broker", stack.place().address("mqtt"), "--state", str(state)]
    command += ["--seed", str(seed), "--start", "2026-03-05T12:00:00Z", "--speed", str(SPEED)]
    command += ["--duration", str(simulated_s), "--drain-timeout-s", "120", "--quiet", "--json"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def ask(stack: Stack, path: str) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{stack.place().url('spark_ui')}/api/v1/applications{path}", timeout=60) as answer:
        return json.load(answer)


def executors(stack: Stack, worker: str) -> list[dict[str, Any]]:
    """Those that a worker has started for the driver, dead ones too, in that order, by Spark's REST API."""
    port = stack.place().ports[worker.replace("-", "_")]
    application = ask(stack, "")[0]["id"]
    found = ask(stack, f"/{application}/allexecutors")
    of_worker = [one for one in found if f":{port}/" in one["executorLogs"].get("stderr", "")]
    return sorted(of_worker, key=lambda one: int(one["id"]))


def tasks(stack: Stack, worker: str) -> int:
    return sum(one["completedTasks"] for one in executors(stack, worker))


def kill_at_work(stack: Stack, worker: str) -> None:
    """SIGKILL to the worker, its executor and their Python workers, while a task of the executor runs."""
    wait_for(lambda: any(one["activeTasks"] for one in executors(stack, worker) if one["isActive"]), 60, "a task", 0.02)
    assert kill(stack, worker) >= 2, "worker and executor"


def test_a_worker_killed_at_work_and_a_killed_master_cost_and_double_nothing(cluster: Stack, lake: Lake) -> None:
    sim = cluster.layout.var / "sim"
    devices = start_devices(cluster, sim / "cluster", seed=17)
    try:
        for worker in ("spark-worker-1", VICTIM):
            wait_for(partial(tasks, cluster, worker), TIMEOUT_S, f"tasks on {worker}")
        application, before = ask(cluster, "")[0]["id"], sum(lake.total_records().values())
        survivor = tasks(cluster, "spark-worker-1")
        kill_at_work(cluster, VICTIM)
        wait_for(lambda: sum(lake.total_records().values()) > before, TIMEOUT_S, "rows after the kill")
        assert tasks(cluster, "spark-worker-1") > survivor
        assert devices.wait(TIMEOUT_S) == 0, "the devices could not deliver everything"
    finally:
        if devices.poll() is None:
            devices.kill()
            devices.wait()
    wait_for(lambda: len(executors(cluster, VICTIM)) > 1, TIMEOUT_S, "another executor in place of the killed one")
    kill(cluster, "spark-master")  # The stack's supervisor starts it again, and it knows driver and workers.
    assert start_devices(cluster, sim / "afterwards", seed=18, simulated_s=AFTERWARDS_S).wait(TIMEOUT_S) == 0
    wait_for(lambda: executors(cluster, VICTIM)[-1]["completedTasks"], TIMEOUT_S, "tasks on it")
    report = audit(lake, Scope(folders=(sim / "cluster", sim / "afterwards")), wait_s=ARRIVAL_TIMEOUT_S, progress=print)
    assert report.settled, report.document()
    assert report.lake == report.generated
    assert report.frames > 0
    assert ask(cluster, "")[0]["id"] == application, "the driver was started again: a kill reached more than its target"


def test_spark_submit_runs_the_same_driver(cluster: Stack, lake: Lake) -> None:
    """As on EMR and Kubernetes: master, jars and memory are spark-submit's, the checkpoint is the one that is there."""
    process.stop(var=cluster.layout.var, service="lake", timeout_s=LAKE.stop_timeout_s)
    sim = cluster.layout.var / "sim"
    assert start_devices(cluster, sim / "submitted", seed=19, simulated_s=AFTERWARDS_S).wait(TIMEOUT_S) == 0
    place = cluster.place()
    jars = ",".join(str(path) for path in require_jars(place.layout.jars("spark")))
    done = subprocess.run(
        [
            str(Path(pyspark.__file__).parent / "bin" / "spark-submit"),
            *("--master", f"spark://{place.address('spark')}", "--jars", jars, "--driver-memory", "1g"),
            *("--executor-memory", "700m", "--executor-cores", "1", "--conf", "spark.default.parallelism=2"),
            *(str(DRIVER), "--kafka", place.address("kafka"), "--bucket", BUCKET, "--available-now"),
        ],
        env=child_environment({**cluster.environment(), **LAKE.environment(place)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = audit(lake, Scope(folders=(sim / "cluster", sim / "afterwards", sim / "submitted")), progress=print)
    assert report.settled, report.document()
    assert report.lake == report.generated
