"""Starting and stopping our own processes, and only those.

A process is ours if its pid *and* start time stand in `var/run/<service>.json`, or if it carries the marker that
`start` puts into its environment (children of a killed service, e.g. Spark's JVM, are found by it).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

MARKER = "SMARTCITY_SERVICE"
START_TIME_TOLERANCE_S = 2.0
POLL_S = 0.05
LOG_BYTES_MAX = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a started service; one JSON file each."""

    service: str
    pid: int
    started_at: float
    """Seconds since 1970, as the operating system tells it of the pid."""
    signature: str
    """Digest of command and environment: another signature means that it must be restarted."""
    ports: dict[str, int] = field(default_factory=dict)


def marker(var: Path, service: str) -> str:
    """The value of MARKER in the environment of a service's processes."""
    return f"{service}@{var}"


def record_path(run: Path, service: str) -> Path:
    return run / f"{service}.json"


def write_record(run: Path, record: Record) -> None:
    """Atomically, so that a reader never sees half of it."""
    run.mkdir(parents=True, exist_ok=True)
    temporary = run / f".{record.service}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(asdict(record), indent=2) + "\n")
    temporary.replace(record_path(run, record.service))


def read_record(run: Path, service: str) -> Record | None:
    """The record, or None where there is none (or a file that is not one)."""
    try:
        return Record(**json.loads(record_path(run, service).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def start(
    *,
    var: Path,
    service: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    signature: str,
    ports: dict[str, int],
) -> Record:
    """Start a detached process in a session of its own, its output appended to `log`, and record it.

    Raises:
        OSError: the program cannot be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=var,
            env={**environment, MARKER: marker(var, service)},
            start_new_session=True,
        )
    child.returncode = 0  # It outlives us on purpose; without this, Python warns when the object goes.
    try:
        started_at = psutil.Process(child.pid).create_time()
    except psutil.NoSuchProcess:
        started_at = time.time()
    record = Record(service=service, pid=child.pid, started_at=started_at, signature=signature, ports=ports)
    write_record(var / "run", record)
    return record


def find(record: Record | None) -> psutil.Process | None:
    """The living process of a record, or None: dead, a zombie, or another process with a recycled pid."""
    if record is None:
        return None
    # Where the caller is the parent, the dead child must be collected or it stays a zombie.
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(record.pid, os.WNOHANG)
    try:
        process = psutil.Process(record.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if abs(process.create_time() - record.started_at) > START_TIME_TOLERANCE_S:
            return None
    except psutil.Error:
        return None
    return process


def members(var: Path, service: str) -> Iterator[psutil.Process]:
    """Every living process that carries the service's marker: the leader, its children, and strays."""
    wanted = marker(var, service)
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARKER) == wanted:
                yield process
        except (psutil.Error, OSError):
            continue


def stop(*, var: Path, service: str, timeout_s: float) -> bool:
    """Ask a service to end (SIGTERM), wait, then kill what is left of it. Removes the record.

    Returns whether anything was running.
    """
    run = var / "run"
    leader = find(read_record(run, service))
    strays = {process.pid: process for process in members(var, service)}
    if leader is not None:
        strays.pop(leader.pid, None)
        with contextlib.suppress(psutil.NoSuchProcess):
            leader.send_signal(signal.SIGTERM)
        _wait_gone([leader], timeout_s)
    rest = [process for process in ([leader] if leader else []) + list(strays.values()) if _alive(process)]
    for process in rest:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _wait_gone(rest, 5.0)
    record_path(run, service).unlink(missing_ok=True)
    return leader is not None or bool(strays)


def kill_strays(*, var: Path, service: str) -> None:
    """Kill what a dead service left behind, so that a new one meets no rival on its ports and data."""
    rest = list(members(var, service))
    for process in rest:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _wait_gone(rest, 5.0)


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(process.pid, os.WNOHANG)
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _wait_gone(processes: Sequence[psutil.Process], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while any(_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory of a process and its descendants (a driver and its JVM)."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += each.memory_info().rss
    return total
