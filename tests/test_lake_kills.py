"""The kills of the lake's driver in their short form, and that their plan, count and report would notice a fault."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from smartcity.contracts.envelope import HEADER_PAYLOAD_SHA256, HEADER_READING, HEADER_REASON, parse_time
from smartcity.contracts.streams import CAMERA, STREAMS
from smartcity.contracts.tables import DEAD_LETTERS_TABLE
from smartcity.lake.commit import BatchIdentity

ROOT = Path(__file__).resolve().parents[1]
SEED = 13
"""Its plan: a kill between two tables, then a driver stopped between two others."""
TIMEOUT_S = 540


def load(name: str) -> Any:
    """A module of `tests/lake_kills`, which is a package of the repository's root alone."""
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module(f"tests.lake_kills.{name}")
    finally:
        sys.path.remove(str(ROOT))


driver = load("driver")
plan = load("plan")
report = load("report")
count = load("count")
readings = load("readings")
truths = load("truth")

Rows = dict[str, list[dict[str, Any]]]


class FakeLake:
    """Rows by table, and the frames that are in the bucket, as `verify.lake.Lake` shows them."""

    def __init__(self, rows: Rows, frames: set[str]) -> None:
        self.rows, self.stored = rows, frames

    def batches(self, table: str, columns: tuple[str, ...], boots: None) -> Iterator[Any]:
        assert boots is None
        yield pa.RecordBatch.from_pylist([{name: row.get(name) for name in columns} for row in self.rows[table]])

    def frames(self, rows: Any) -> Any:
        keys = rows["snapshot"].to_pylist()
        found = [Path(key).stem if key in self.stored else None for key in keys]
        return pa.table({"snapshot": keys, "sha256": pa.array(found, pa.string())})


@pytest.fixture
def filled() -> tuple[FakeLake, Any]:
    """A lake that shows each of 400 records once, and what it should show."""
    truth = truths.Truth()
    rows: Rows = {table: [] for table in truth.rows}
    for offset, record in enumerate(itertools.islice(readings.Source(1).records(), 400)):
        before = {table: len(known) for table, known in truth.rows.items()}
        truth.confirmed(record, 0, offset)
        for table, known in truth.rows.items():
            if len(known) > before[table]:
                rows[table].append(row_of(record, table, offset))
    return FakeLake(rows, {row["snapshot"] for row in rows[CAMERA.table]}), truth


def row_of(record: Any, table: str, offset: int) -> dict[str, Any]:
    """The row that the lake should make of a record, made another way."""
    if table == DEAD_LETTERS_TABLE:
        bridge = record.topic == "dead_letters"
        unparseable = not record.value.endswith(b"}")
        reason = "record_unparseable" if unparseable else "contract_violation"
        return {
            "kafka_topic": record.topic, "kafka_partition": 0, "kafka_offset": offset, "payload": record.value,
            "reason": record.headers[HEADER_REASON].decode() if bridge else reason,
            "refused_by": "bridge" if bridge else "lake",
        }  # fmt: skip
    row = json.loads(record.headers.get(HEADER_READING, record.value))
    row["timestamp"] = parse_time("timestamp", row["timestamp"])
    row["payload_sha256"] = record.headers[HEADER_PAYLOAD_SHA256].decode()
    return dict(row)


def wrong(found: dict[str, Any]) -> dict[str, int]:
    return {name: found[name] for name in count.MUST_BE_NONE if found[name]}


def test_a_whole_lake_is_found_whole(filled: Any) -> None:
    lake, truth = filled
    assert wrong(count.count(lake, truth)) == {}
    assert truth.repeated > 10
    assert {"record_unparseable", "contract_violation", "payload_undecodable"} <= set(truth.reasons)


def _lose(lake: FakeLake) -> None:
    lake.rows["gps"].pop()


def _double(lake: FakeLake) -> None:
    lake.rows["vehicle"].append(lake.rows["vehicle"][0])


def _double_letter(lake: FakeLake) -> None:
    lake.rows[DEAD_LETTERS_TABLE].append(lake.rows[DEAD_LETTERS_TABLE][0])


def _change(lake: FakeLake) -> None:
    lake.rows["gps"][3]["latitude"] += 1e-9


def _change_reason(lake: FakeLake) -> None:
    lake.rows[DEAD_LETTERS_TABLE][0]["reason"] = "too_large"


def _lose_frame(lake: FakeLake) -> None:
    lake.stored.pop()


def _invent(lake: FakeLake) -> None:
    lake.rows["weather"].append({**lake.rows["weather"][0], "id": "0123456789abcdef.1"})


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_lose, {"lost": 1}),
        (_double, {"duplicated": 1}),
        (_double_letter, {"duplicated": 1}),
        (_change, {"altered": 1}),
        (_change_reason, {"altered": 1}),
        (_lose_frame, {"altered": 1}),
        (_invent, {"unknown": 1}),
    ],
)
def test_one_wrong_row_is_counted(filled: Any, spoil: Callable[[FakeLake], None], found: dict[str, int]) -> None:
    lake, truth = filled
    spoil(lake)
    assert wrong(count.count(lake, truth)) == found


def test_every_point_is_planned_alike_often_and_a_seed_plans_the_same_again() -> None:
    made = plan.make_plan(7, injected=20, random_kills=30, stopped=2)
    assert made == plan.make_plan(7, injected=20, random_kills=30, stopped=2)
    assert Counter(kill.point for kill in made if kill.kind == "injected") == dict.fromkeys(plan.POINTS, 2)
    of_random = [kill for kill in made if kill.kind == "random"]
    assert len(of_random) == 30
    assert {kill.victim for kill in of_random} == {"driver", "jvm", "python", "supervisor"}
    assert {kill.victim for kill in made if kill.kind == "stopped"} == {"driver", "supervisor"}
    assert any(kill.maintenance for kill in made)


def _run_batch(folder: Path, before: int) -> None:
    """A batch as the product runs it, its appends in three threads; `before` tables hold it already."""
    trap, tables = driver.Trap(folder), driver.batch.TABLES
    held = {table.name for table in tables[:before]}
    is_committed = trap.is_committed(lambda table, _identity: table.name in held)
    append = trap.append(lambda table, _identity: (folder / f"{table.name}.committed").touch())

    def process(identity: BatchIdentity) -> SimpleNamespace:
        todo = [table for table in tables if not is_committed(table, identity)]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda table: append(table, identity), todo))
        return SimpleNamespace(records=1, rows={})

    trap.process_batch(process)(BatchIdentity(query_id="query", batch_id=7))


COMMITS = {"planned": 0, "committed": 1, "all-held": 6, "uncheckpointed": 6} | {
    f"held-{held}": held for held in range(6)
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the trap kills its whole process group")
@pytest.mark.parametrize(("point", "before"), [*((point, 0) for point in plan.POINTS), ("held-4", 2), ("all-held", 5)])
def test_the_trap_kills_where_it_says(tmp_path: Path, point: str, before: int) -> None:
    (tmp_path / "armed").write_text(json.dumps({"point": point, "batches": 0, "signal": "SIGKILL"}))
    child = os.fork()
    if child == 0:
        os.setsid()
        _run_batch(tmp_path, before)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert (events[-1]["event"], events[-1]["point"], events[-1]["batch"]) == ("hit", point, 7)
    assert events[-1]["held"] == COMMITS[point] == before + len(list(tmp_path.glob("*.committed")))
    assert not (tmp_path / "armed").exists()


def test_a_trap_waits_for_its_turn(tmp_path: Path) -> None:
    (tmp_path / "armed").write_text(json.dumps({"point": "held-0", "batches": 1, "signal": "SIGKILL"}))
    _run_batch(tmp_path, 0)
    assert (tmp_path / "armed").exists()
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events if event["event"] in ("begun", "hit", "done")] == ["begun", "done"]


def _event(event: str, pid: int, batch: int | None, **values: Any) -> dict[str, Any]:
    return {"event": event, "pid": pid, "batch": batch, **values}


def test_a_batch_that_was_left_otherwise_than_the_trap_says_is_a_failure() -> None:
    events = [
        _event("begun", 1, 4),
        _event("hit", 1, 4, point="held-2", held=2),
        _event("begun", 2, 4),
        _event("looked", 2, 4, held=2),
        _event("done", 2, 4, records=9),
        _event("done", 2, 5, records=1),
    ]
    kills = [plan.Kill(kind="injected", point="held-2")]
    assert report.failures_of(kills, [{"at_s": 1.0}], events, {"lost": 0}) == []
    assert report.batched([*events, _event("done", 3, 5, records=1)]) == 10
    events[3]["held"] = 3
    assert report.failures_of(kills, [{"at_s": 1.0}], events, {"lost": 0}) == [
        "batch 4 was left in 2 tables at held-2, and found in 3"
    ]
    assert report.failures_of(kills, [], events[:1], {"lost": 2}) == [
        "lost is 2, not 0", "0 of 1 kills were done", "held-2 was never hit",
    ]  # fmt: skip


def test_a_kill_is_reported_with_the_work_that_it_met() -> None:
    events = [_event("started", 1, None)]
    assert report.phase_of(1, events) == "starting"
    events += [_event("begun", 1, 0), _event("looked", 1, 0), _event("appending", 1, 0), _event("appending", 1, 0)]
    assert report.phase_of(1, events) == "2 appends under way"
    assert report.phase_of(1, [*events, _event("appended", 1, 0), _event("appended", 1, 0)]).startswith("in a batch")
    assert report.phase_of(1, [*events, _event("done", 1, 0)]) == "between batches"


@pytest.mark.end_to_end
@pytest.mark.broker
@pytest.mark.spark
@pytest.mark.timeout(TIMEOUT_S + 60)
def test_a_driver_killed_between_its_commits_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Two of the kills that `python -m tests.lake_kills` does: by default 20 at chosen and 30 at random moments."""
    path = tmp_path / "report.json"
    command = [sys.executable, "-m", "tests.lake_kills", "--short", "--seed", str(SEED)]
    command += ["--injected", "1", "--random", "0", "--stopped", "1", "--var", str(tmp_path / "var")]
    done = subprocess.run(
        [*command, "--json", str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=False
    )
    print(done.stdout)
    document = json.loads(path.read_text())
    assert document["failures"] == []
    assert done.returncode == 0
    lake, kills, upkeep = document["lake"], document["kills"], document["upkeep"]
    assert (lake["lost"], lake["duplicated"], lake["altered"], lake["unknown"]) == (0, 0, 0, 0)
    assert set(lake["rows"]) == {DEAD_LETTERS_TABLE, *(stream.table for stream in STREAMS)}
    assert all(lake["rows"].values())
    assert (kills["at point"]["held-3"], kills["stopped, then the supervisor ended"]) == (1, 1)
    assert document["records"]["sent again"] > 50
    assert upkeep["files compacted"] > 0
    assert upkeep["snapshots expired"] > 0
