"""Only our own processes are found and stopped."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from smartcity.local import process

SLEEPER = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)",
]
# A leader with a child, as Spark's driver has its JVM.
FAMILY = [
    sys.executable,
    "-c",
    "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print('ready', c.pid, flush=True); c.wait()",
]


def wait_for(condition: Callable[[], object], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[list[str]], process.Record]]:
    """Starts a command as service `it`, waits for its first line, and kills what is left of it in the end."""

    def run(command: list[str]) -> process.Record:
        record = process.start(
            var=tmp_path,
            service="it",
            command=command,
            environment=dict(os.environ),
            log=tmp_path / "log" / "it.log",
            signature="s",
            ports={"p": 1},
        )
        wait_for(lambda: "ready" in (tmp_path / "log" / "it.log").read_text())
        return record

    yield run
    process.kill_strays(var=tmp_path, service="it")


def test_a_started_process_is_recorded_found_and_stopped(tmp_path: Path, start: Callable[..., process.Record]) -> None:
    record = start(SLEEPER)
    assert process.read_record(tmp_path / "run", "it") == record
    found = process.find(record)
    assert found is not None
    assert os.getsid(found.pid) == found.pid, "it must not die with our terminal"
    assert process.stop(var=tmp_path, service="it", timeout_s=5)
    assert process.find(record) is None
    assert process.read_record(tmp_path / "run", "it") is None
    assert not process.stop(var=tmp_path, service="it", timeout_s=5)


def test_another_process_with_a_recycled_pid_is_not_ours(tmp_path: Path, start: Callable[..., process.Record]) -> None:
    recycled = dataclasses.replace(start(SLEEPER), started_at=time.time() - 3600)
    assert process.find(recycled) is None


def test_a_foreign_process_in_a_record_is_not_stopped(tmp_path: Path) -> None:
    record = process.Record(service="it", pid=os.getpid(), started_at=1.0, signature="")
    process.write_record(tmp_path / "run", record)
    assert not process.stop(var=tmp_path, service="it", timeout_s=1)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path, start: Callable[..., process.Record]) -> None:
    record = start(STUBBORN)
    began = time.monotonic()
    assert process.stop(var=tmp_path, service="it", timeout_s=0.3)
    assert process.find(record) is None
    assert time.monotonic() - began >= 0.3


def test_the_children_of_a_killed_leader_are_found_and_stopped(
    tmp_path: Path, start: Callable[..., process.Record]
) -> None:
    record = start(FAMILY)
    child = psutil.Process(int((tmp_path / "log" / "it.log").read_text().split()[1]))
    os.kill(record.pid, signal.SIGKILL)
    wait_for(lambda: process.find(record) is None)
    assert [each.pid for each in process.members(tmp_path, "it")] == [child.pid]
    assert process.stop(var=tmp_path, service="it", timeout_s=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_the_same_service_of_another_stack_is_left_alone(tmp_path: Path, start: Callable[..., process.Record]) -> None:
    record = start(SLEEPER)
    process.stop(var=tmp_path / "other", service="it", timeout_s=1)
    assert process.find(record) is not None


def test_a_broken_record_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "it.json").write_text('{"service": "it"')
    assert process.read_record(tmp_path, "it") is None
