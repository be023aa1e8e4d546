"""Counts at the stages, and what the demo counts as a failure."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from smartcity.contracts.streams import STREAMS
from smartcity.local.counts import LogCounter, Stages, since
from smartcity.local.demo import failures
from smartcity.local.demo_drive import DemoSettings
from smartcity.local.demo_view import stages_line
from smartcity.local.verify.report import Report

ARRIVALS = ({"route": "waterloo-toronto"}, {"route": "london-birmingham"})
GOOD = Report(
    boots=1,
    generated={stream.name: 5_000 for stream in STREAMS},
    lake={stream.name: 5_000 for stream in STREAMS},
    dead_letters={stream.name: 0 for stream in STREAMS},
    dead_letters_by_reason={},
    pending=0,
    refused=0,
    refused_by_reason={},
    dropped=0,
    dropped_by_reason={},
    lost=0,
    duplicated=0,
    altered=0,
    unknown=0,
    unproven=0,
    frames=5_000,
)


def test_a_growing_log_is_counted_from_where_the_last_look_ended(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    counter = LogCounter(path)
    assert counter.look() == ({stream.name: 0 for stream in STREAMS}, 0)
    with closing(sqlite3.connect(path)) as db:
        assert sum(counter.look()[0].values()) == 0
        db.execute("CREATE TABLE log (stream TEXT)")
        db.execute("CREATE TABLE pending (stream TEXT)")
        db.executemany("INSERT INTO log VALUES (?)", [("gps",), ("gps",), ("camera",)])
        db.execute("INSERT INTO pending VALUES ('gps')")
        db.commit()
        counts, pending = counter.look()
        assert (counts["gps"], counts["camera"], counts["weather"], pending) == (2, 1, 0, 1)
        db.execute("INSERT INTO log VALUES ('weather')")
        db.execute("DELETE FROM pending")
        db.commit()
        counts, pending = counter.look()
        assert (counts["gps"], counts["camera"], counts["weather"], pending) == (2, 1, 1, 0)


def test_counts_are_told_from_the_beginning_of_the_run() -> None:
    assert since({"gps": 7, "weather": 2}, {"gps": 5}) == {"gps": 2, "weather": 2}


def test_a_line_names_every_stream_at_every_stage() -> None:
    counts = {stream.name: 1 for stream in STREAMS}
    line = stages_line(Stages(generated=counts, pending=4, kafka=counts, lake={**counts, "dead_letters": 2}))
    assert all(f"{stream.name} 1/1/1" in line for stream in STREAMS)
    assert "dead letters 2 · pending 4" in line


def test_a_good_drive_has_no_failures() -> None:
    assert failures(GOOD, ARRIVALS, DemoSettings()) == ()


@pytest.mark.parametrize("name", ["lost", "duplicated", "altered", "unknown", "pending"])
def test_any_problem_fails_the_demo(name: str) -> None:
    assert any(name in text for text in failures(replace(GOOD, **{name: 1}), ARRIVALS, DemoSettings()))


def test_too_few_readings_a_missing_stream_and_a_missing_arrival_fail_the_demo() -> None:
    few = replace(GOOD, generated={**GOOD.generated, "emergency": 0}, lake={**GOOD.lake, "emergency": 0})
    found = failures(few, ARRIVALS[:1], DemoSettings(readings_min=30_000))
    assert len(found) == 3
    assert "fewer than 30000" in found[0]
    assert "emergency" in found[1]
    assert "london-birmingham" in found[2]


def test_books_that_do_not_balance_fail_the_demo() -> None:
    assert failures(replace(GOOD, lake={**GOOD.lake, "gps": 4_999}), ARRIVALS, DemoSettings())
