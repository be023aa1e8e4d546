"""The lake's parts that need no Spark."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from pyspark.errors import PySparkException

from smartcity.contracts.routes import ROUTE_NAMES, route
from smartcity.lake.commit import BATCH_ID, QUERY_ID, newest_batch
from smartcity.lake.deduplicate import Span, merge_spans
from smartcity.lake.describe import read_metadata
from smartcity.lake.drive import QUERY_FAILURES_MAX, classify, keep_querying
from smartcity.lake.errors import EXIT_OK, EXIT_TERMINAL, JarsMissingError, TerminalError, TransientError
from smartcity.lake.frames import upload_distinct
from smartcity.lake.jars import SPARK_JARS, require_jars
from smartcity.lake.places import cell_of, grid
from smartcity.lake.progress import Progress
from smartcity.lake.settings import read_storage
from smartcity.lake.supervise import Supervisor
from smartcity.lake.tables import STREAM_TABLES, TABLES, create_statement, missing_columns

GPS = STREAM_TABLES[0]


class FakeTable:
    """Snapshots from the oldest to the newest, as `org.apache.iceberg.Table` shows them."""

    def __init__(self, *summaries: dict[str, str]) -> None:
        self._snapshots = [
            SimpleNamespace(summary=lambda s=summary: s, parentId=lambda i=i: i - 1 if i else None)
            for i, summary in enumerate(summaries)
        ]

    def currentSnapshot(self) -> object:  # noqa: N802
        return self._snapshots[-1] if self._snapshots else None

    def snapshot(self, number: int) -> object:
        return self._snapshots[number]


def test_newest_batch_walks_over_foreign_snapshots() -> None:
    mine = {QUERY_ID: "q", BATCH_ID: "4"}
    assert newest_batch(FakeTable(mine, {QUERY_ID: "other", BATCH_ID: "9"}, {"operation": "replace"}), "q") == 4
    assert newest_batch(FakeTable({QUERY_ID: "q", BATCH_ID: "10"}, mine), "q") == 4
    assert newest_batch(FakeTable({QUERY_ID: "other", BATCH_ID: "9"}), "q") is None
    assert newest_batch(FakeTable(), "q") is None


def test_merged_spans_cover_all_and_keep_the_newest_apart() -> None:
    spans = [Span(first_us=i * 10, last_us=i * 10 + 5) for i in (3, 1, 0, 2)]
    assert merge_spans(spans, 4) == sorted(spans, key=lambda span: span.first_us)
    assert merge_spans(spans, 2) == [Span(first_us=0, last_us=25), Span(first_us=30, last_us=35)]


def test_frames_are_put_once_per_key() -> None:
    put: list[str] = []
    assert upload_distinct([("a", b"1"), ("b", b"2"), ("a", b"1")], lambda key, _: put.append(key)) == 2
    assert sorted(put) == ["a", "b"]


def test_a_frame_that_cannot_be_put_fails_the_batch_and_ends_the_uploads() -> None:
    put: list[str] = []

    def refuse_the_third(key: str, _: bytes) -> None:
        put.append(key)
        if key == "2":
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        upload_distinct(((str(number), b"") for number in range(1000)), refuse_the_third)
    assert len(put) < 100


def test_missing_jars_are_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / SPARK_JARS[0].file_name).touch()
    with pytest.raises(JarsMissingError, match="smartcity setup") as caught:
        require_jars(tmp_path)
    assert SPARK_JARS[1].file_name in str(caught.value)
    assert SPARK_JARS[0].file_name not in str(caught.value)


def test_grid_holds_every_vertex_of_every_route() -> None:
    cells = {cell: {segment[-1] for segment in segments} for cell, _, _, segments in grid()}
    for name in ROUTE_NAMES:
        assert all(name in cells[cell_of(*point)] for point in route(name).points)


def test_tables_are_partitioned_by_day_and_grow_by_nullable_columns_only() -> None:
    there = {"id": "string", "device_id": "string", "timestamp": "timestamp"}
    assert all(f"days({table.time_column})" in create_statement(table) for table in TABLES)
    with pytest.raises(TerminalError, match="fix_quality"):
        missing_columns(GPS, there)
    there |= {"fix_quality": "bigint", "kafka_at": "timestamp", "lake_at": "timestamp"}
    assert "hdop" in [column.name for column in missing_columns(GPS, there)]
    with pytest.raises(TerminalError, match="type is string"):
        missing_columns(GPS, there | {"hdop": "string"})


def test_data_loss_and_credentials_are_terminal_and_the_rest_is_not() -> None:
    loss = RuntimeError("Some data may have been lost because they are not available in Kafka any more")
    assert isinstance(classify(loss, loss), TerminalError)
    refused = RuntimeError("S3Exception: Forbidden (Service: S3, Status Code: 403)")
    assert isinstance(classify(refused, refused), TerminalError)
    other = RuntimeError("Connection refused")
    assert isinstance(classify(other, other), TransientError)
    assert classify(TerminalError("x"), other).args == ("x",)


class FakeQuery:
    """A query that ends well, or fails with `text`, perhaps after a batch."""

    def __init__(self, text: str = "", *, progress: Progress | None = None) -> None:
        self.failure = None
        self.query = self
        self.id = "query"
        self.isActive = False
        self._text = text
        self._progress = progress

    def awaitTermination(self, timeout: float) -> bool:  # noqa: N802
        if self._progress is not None:
            self._progress.batches += 1
        if self._text:
            raise PySparkException(self._text)
        return True


def test_a_failed_query_is_started_again_without_a_new_driver() -> None:
    queries = [FakeQuery("Connection refused"), FakeQuery("Connection refused"), FakeQuery()]
    keep_querying(lambda: queries.pop(0), Progress(), threading.Event(), pause_s=0)  # type: ignore[arg-type,return-value]
    assert queries == []


def test_a_query_that_no_restart_mends_is_not_started_again() -> None:
    queries = [FakeQuery("failOnDataLoss"), FakeQuery()]
    with pytest.raises(TerminalError):
        keep_querying(lambda: queries.pop(0), Progress(), threading.Event(), pause_s=0)  # type: ignore[arg-type,return-value]
    assert len(queries) == 1


@pytest.mark.parametrize(("completing", "starts"), [(False, QUERY_FAILURES_MAX), (True, 2 * QUERY_FAILURES_MAX + 1)])
def test_only_failures_with_no_batch_between_end_the_driver(completing: bool, starts: int) -> None:
    progress = Progress()
    stopping = threading.Event()
    started = 0

    def start() -> FakeQuery:
        nonlocal started
        started += 1
        if started > 2 * QUERY_FAILURES_MAX:
            stopping.set()
            return FakeQuery()
        return FakeQuery("Connection refused", progress=progress if completing else None)

    if completing:
        keep_querying(start, progress, stopping, pause_s=0)  # type: ignore[arg-type]
    else:
        with pytest.raises(TransientError, match="Connection refused"):
            keep_querying(start, progress, stopping, pause_s=0)  # type: ignore[arg-type]
    assert started == starts


def test_storage_follows_aws_variables() -> None:
    place = read_storage("b", {"AWS_ENDPOINT_URL": "http://a", "AWS_DEFAULT_REGION": "eu-west-2"})
    assert (place.endpoint, place.s3_endpoint, place.region) == ("http://a", "http://a", "eu-west-2")
    assert read_storage("b", {}).s3_endpoint is None


def test_description_reads_the_newest_snapshot() -> None:
    summary = {"total-records": "7", "total-data-files": "2", "total-files-size": "900"}
    metadata = {"current-snapshot-id": 5, "snapshots": [{"snapshot-id": 5, "timestamp-ms": 0, "summary": summary}]}
    assert read_metadata("gps", metadata).rows == 7
    assert read_metadata("gps", {"current-snapshot-id": -1, "snapshots": []}).snapshot_at is None


def _driver(tmp_path: Path, body: str) -> list[str]:
    script = tmp_path / "driver.py"
    script.write_text(
        f"import os, pathlib, signal, subprocess, sys, time\nruns = pathlib.Path({str(tmp_path / 'runs')!r})\n{body}"
    )
    return [sys.executable, str(script)]


def test_supervisor_restarts_until_the_driver_ends_well(tmp_path: Path) -> None:
    body = (
        "runs.write_text('x' + (runs.read_text() if runs.exists() else ''))\n"
        "sys.exit(0 if len(runs.read_text()) == 3 else 1)"
    )
    supervisor = Supervisor(_driver(tmp_path, body), back_off_first_s=0.01)
    assert supervisor.run() == EXIT_OK
    assert supervisor.starts == 3


def test_supervisor_stops_on_what_no_restart_mends(tmp_path: Path) -> None:
    supervisor = Supervisor(_driver(tmp_path, f"sys.exit({EXIT_TERMINAL})"))
    assert supervisor.run() == EXIT_TERMINAL
    assert supervisor.starts == 1


def test_supervisor_leaves_nothing_of_a_killed_driver(tmp_path: Path) -> None:
    body = (
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "if runs.exists(): child.kill(); sys.exit(0)\n"
        "runs.write_text(str(child.pid))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert Supervisor(_driver(tmp_path, body), back_off_first_s=0.01).run() == EXIT_OK
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "runs").read_text()), 0)


def test_stop_lets_the_driver_end_by_itself(tmp_path: Path) -> None:
    body = (
        "signal.signal(signal.SIGTERM, lambda *_: (runs.write_text('ended'), sys.exit(0)))\n"
        "runs.with_name('up').touch()\ntime.sleep(600)"
    )
    supervisor = Supervisor(_driver(tmp_path, body))
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(supervisor.run()))
    thread.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / "up").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    supervisor.stop()
    thread.join(60)
    assert codes == [EXIT_OK]
    assert (tmp_path / "runs").read_text() == "ended"


def test_driver_dies_with_its_supervisor() -> None:
    code = (
        "from smartcity.lake.drive import die_with_supervisor; import time; die_with_supervisor(); "
        "print('up', flush=True); time.sleep(600)"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert driver.stdin is not None
    assert driver.stdout is not None
    assert driver.stdout.readline() == b"up\n"
    driver.stdin.close()
    assert driver.wait(60) == -signal.SIGKILL
    driver.stdout.close()


SUPERVISOR = """
import sys
from smartcity.lake.supervise import Supervisor
Supervisor([sys.executable, "-c", sys.argv[1]]).run()
"""
SUPERVISED = """
import subprocess, sys, threading, time
from smartcity.lake.drive import die_with_supervisor
die_with_supervisor()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], preexec_fn=lambda: None)
print(child.pid, flush=True)
time.sleep(600)
"""
"""A driver, and a child that it starts as PySpark starts the JVM."""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part in it is Linux's")
def test_a_stopped_driver_dies_with_its_killed_supervisor_and_its_jvm_too() -> None:
    """Woken later it would append the batch that another driver has done by then."""
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, SUPERVISED], stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    jvm = psutil.Process(int(supervisor.stdout.readline()))
    driver = jvm.parent()
    assert driver is not None
    assert driver.ppid() == supervisor.pid
    try:
        os.killpg(driver.pid, signal.SIGSTOP)
        assert _soon(lambda: {driver.status(), jvm.status()} == {psutil.STATUS_STOPPED})
        supervisor.kill()
        supervisor.wait(60)
        assert _soon(lambda: not (_lives(driver) or _lives(jvm))), "stopped, and could be woken"
    finally:
        for one in (driver, jvm):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        supervisor.stdout.close()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _soon(condition: Callable[[], bool], timeout_s: float = 20) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
