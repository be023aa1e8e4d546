"""Maintenance without Spark: the look-up over an expired history, the schedule, leftovers on a real S3 endpoint."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from smartcity.lake import maintain as maintenance
from smartcity.lake.commit import BATCH_ID, QUERY_ID, newest_batch
from smartcity.lake.describe import Description
from smartcity.lake.durations import duration_of
from smartcity.lake.errors import EXIT_OK, EXIT_TERMINAL, TerminalError, TransientError
from smartcity.lake.leftovers import abort_uploads, remove_temporary
from smartcity.lake.main import main
from smartcity.lake.maintain import STEP_ATTEMPTS_MAX, Upkeep, attempt
from smartcity.lake.maintain_command import report_text
from smartcity.lake.pages import serve
from smartcity.lake.s3 import s3_client
from smartcity.lake.schedule import Job, Schedule
from smartcity.lake.settings import Storage


def snapshot(parent: int | None, **summary: str) -> SimpleNamespace:
    names = {QUERY_ID: summary.get("query"), BATCH_ID: summary.get("batch")}
    return SimpleNamespace(summary=lambda: names, parentId=lambda: parent)


class ExpiredTable:
    """A compaction's snapshot, whose parent is (or is not) there any more, and a tag."""

    def __init__(self, *, parent: int | None) -> None:
        self._current = snapshot(parent)
        self._known = {"stream-q": snapshot(1, query="q", batch="7"), 1: snapshot(None, query="q", batch="6")}

    def currentSnapshot(self) -> object:  # noqa: N802
        return self._current

    def snapshot(self, key: int | str) -> object:
        return self._known.get(key)


def test_the_look_up_goes_on_at_the_tag_where_the_history_was_expired() -> None:
    assert newest_batch(ExpiredTable(parent=99), "q") == 7
    assert newest_batch(ExpiredTable(parent=99), "other") is None


def test_a_tag_does_not_outweigh_a_whole_history() -> None:
    assert newest_batch(ExpiredTable(parent=1), "q") == 6, "rolled back by hand: the batch after it is not in the table"
    assert newest_batch(ExpiredTable(parent=None), "q") is None


def test_a_step_is_tried_again_until_its_last_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "STEP_PAUSE_S", 0.0)
    calls: list[int] = []

    def wins_at_last() -> int:
        calls.append(1)
        if len(calls) < STEP_ATTEMPTS_MAX:
            raise TransientError("another commit was quicker")
        return 5

    assert attempt(wins_at_last) == 5
    calls.clear()

    def always(error: Exception) -> int:
        calls.append(1)
        raise error

    with pytest.raises(TransientError, match="quicker"):
        attempt(lambda: always(TransientError("quicker")))
    assert len(calls) == STEP_ATTEMPTS_MAX
    with pytest.raises(TerminalError):
        attempt(lambda: always(TerminalError("no such bucket")))
    assert len(calls) == STEP_ATTEMPTS_MAX + 1


def test_durations_are_read_and_bounded() -> None:
    read = duration_of(timedelta(minutes=10))
    assert [read("600s"), read("1h"), read("3d")] == [timedelta(minutes=10), timedelta(hours=1), timedelta(days=3)]
    for wrong in ("9m", "1", "h", "1w", "-1h", "1.5h"):
        with pytest.raises(argparse.ArgumentTypeError):
            read(wrong)


def test_the_report_names_what_was_given_up() -> None:
    before, after = (Description(table="gps", files=files, bytes=10**6, snapshots=9) for files in (40, 2))
    text = report_text([Upkeep(table="gps", before=before, after=after, given_up=("files compacted: too slow",))])
    assert "40 → 2" in text
    assert "given up: files compacted: too slow" in text


def _script(folder: Path, body: str) -> list[str]:
    script = folder / "run.py"
    script.write_text(f"import os, pathlib, sys, time\nruns = pathlib.Path({str(folder / 'runs')!r})\n{body}\n")
    return [sys.executable, str(script)]


_COUNT = "runs.write_text('x' + (runs.read_text() if runs.exists() else ''))\n"


def _job(command: list[str], *, name: str = "job", every_s: float = 0.01, run_timeout_s: float = 60) -> Job:
    return Job(name=name, command=command, every_s=every_s, first_s=0.01, run_timeout_s=run_timeout_s)


def test_the_schedule_goes_on_after_a_failure_and_ends_on_what_nothing_mends(tmp_path: Path) -> None:
    body = f"{_COUNT}sys.exit({EXIT_TERMINAL} if len(runs.read_text()) == 3 else 1)"
    schedule = Schedule(_job(_script(tmp_path, body)))
    assert schedule.run() == EXIT_TERMINAL
    assert len(schedule.runs) == 3


def test_what_may_be_hurried_runs_at_once_when_told_to(tmp_path: Path) -> None:
    """By the signal, to a schedule that is waiting for both: it runs the one, and ends with it."""
    body = """
from smartcity.lake.schedule import Job, Schedule, run_schedule

def job(name, first_s, *, hurried=False):
    return Job(name=name, command=["echo", name], every_s=3600, first_s=first_s, run_timeout_s=60, hurried=hurried)

run_schedule(Schedule(job("first", 0), job("never", 3600), job("hurried", 3600, hurried=True)))
"""
    with subprocess.Popen(_script(tmp_path, body), stdout=subprocess.PIPE, text=True) as waiting:
        try:
            assert waiting.stdout is not None
            assert waiting.stdout.readline() == "first\n"
            for _ in range(2):
                waiting.send_signal(signal.SIGUSR1)
                assert waiting.stdout.readline() == "hurried\n"
        finally:
            waiting.terminate()
        assert waiting.wait(10) == EXIT_OK


def test_jobs_take_turns_and_one_that_nothing_mends_does_not_end_the_other(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    alone = f"lock = pathlib.Path({str(lock)!r})\nlock.mkdir()\ntime.sleep(0.05)\nlock.rmdir()\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    broken = _script(tmp_path / "a", f"{alone}{_COUNT}sys.exit({EXIT_TERMINAL})")
    working = _script(tmp_path / "b", f"{alone}{_COUNT}sys.exit({EXIT_TERMINAL} if len(runs.read_text()) == 4 else 0)")
    schedule = Schedule(_job(broken, name="marts"), _job(working, name="maintain"))
    assert schedule.run() == EXIT_TERMINAL
    # A run that met another one would have ended with 1 instead, at the lock, and been repeated.
    assert schedule.runs == ["marts", "maintain", "maintain", "maintain", "maintain"]


def test_of_two_jobs_the_longer_due_one_runs(tmp_path: Path) -> None:
    often = _script(tmp_path, f"{_COUNT}sys.exit({EXIT_TERMINAL} if len(runs.read_text()) == 40 else 0)")
    (tmp_path / "b").mkdir()
    seldom = _script(tmp_path / "b", f"sys.exit({EXIT_TERMINAL})")
    schedule = Schedule(
        _job(often, name="marts", every_s=0),
        Job(name="maintain", command=seldom, every_s=1, first_s=0.2, run_timeout_s=9),
    )
    schedule.run()
    assert schedule.runs.index("maintain") < 39, "a job that is always due must not starve the other"


def test_a_schedule_tells_how_its_runs_ended_and_that_it_lives(tmp_path: Path) -> None:
    body = f"""
{_COUNT}n = len(runs.read_text())
time.sleep(600 if n == 1 else 0)
sys.exit((0, 0, 1, {EXIT_TERMINAL})[n - 1])
"""
    schedule = Schedule(_job(_script(tmp_path, body), name="marts", run_timeout_s=1))
    assert schedule.run() == EXIT_TERMINAL
    server = serve(schedule.metrics.pages(), ("127.0.0.1", 0))
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with urllib.request.urlopen(f"{address}/metrics") as answer:
            metrics = answer.read().decode()
        with urllib.request.urlopen(f"{address}/healthz") as answer:
            assert answer.status == 200
        schedule.metrics.stale_s = 0.0
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{address}/healthz")
    finally:
        server.shutdown()
        server.server_close()
    for ended, times in (("killed", 1), ("well", 1), ("failed", 2)):
        assert f'lake_job_runs_total{{ended="{ended}",job="marts"}} {times}.0' in metrics
    assert 'lake_job_running{job="marts"} 0.0' in metrics
    assert 'lake_job_last_success_timestamp_seconds{job="marts"} 1.' in metrics


def test_a_taken_port_is_named() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = holder.getsockname()
        with pytest.raises(TerminalError, match=f"--http 127.0.0.1:{address[1]}: Address already in use"):
            serve({}, address)


def test_a_run_that_takes_too_long_is_killed_and_stop_leaves_nothing(tmp_path: Path) -> None:
    # Renamed, so that whoever sees the file finds the number in it.
    written = "unnamed = runs.with_name('unnamed')\nunnamed.write_text(str(os.getpid()))\n"
    named = "unnamed.rename(runs.with_name('pid' + str(len(runs.read_text()))))\n"
    schedule = Schedule(_job(_script(tmp_path, f"{_COUNT}{written}{named}time.sleep(600)"), run_timeout_s=5))
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(schedule.run()))
    thread.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid2").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    schedule.stop()
    thread.join(30)
    assert codes == [EXIT_OK]
    for name in ("pid1", "pid2"):
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / name).read_text()), 0)


@pytest.mark.parametrize(
    "wrong", [["maintain", "--marts-every", "5m"], ["marts", "--every", "5m", "--all"], ["marts", "--every", "9s"]]
)
def test_flags_that_make_no_schedule_are_usage_errors(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2


@pytest.fixture
def place(storage: Storage) -> Storage:
    own = dataclasses.replace(storage, bucket="leftovers")
    s3_client(own).create_bucket(Bucket=own.bucket)
    return own


def test_leftovers_go_when_they_are_old_and_nothing_else(place: Storage) -> None:
    client = s3_client(place)
    kept = [
        f"checkpoints/stream/{name}" for name in ("metadata", "offsets/7", "commits/7", "sources/0/0", "offsets/.7")
    ]
    temporary = [
        "checkpoints/stream/offsets/.8.0d5b3c4e-1111-4222-8333-444455556666.tmp",
        "checkpoints/stream/.metadata.0d5b3c4e-1111-4222-8333-444455556667.tmp",
        "checkpoints/stream/state/.1.delta.0d5b3c4e-1111-4222-8333-444455556668.TID12.tmp",
    ]
    elsewhere = "warehouse/.8.0d5b3c4e-1111-4222-8333-444455556666.tmp"
    for key in (*kept, *temporary, elsewhere):
        client.put_object(Bucket=place.bucket, Key=key, Body=b"x")
    client.create_multipart_upload(Bucket=place.bucket, Key="warehouse/large.parquet")
    before, after = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    assert (remove_temporary(place, before), abort_uploads(place, before)) == ([], [])
    assert sorted(remove_temporary(place, after)) == sorted(temporary)
    assert abort_uploads(place, after) == ["warehouse/large.parquet"]
    assert abort_uploads(place, after) == []
    left = [item["Key"] for item in client.list_objects_v2(Bucket=place.bucket)["Contents"]]
    assert sorted(left) == sorted([*kept, elsewhere])
