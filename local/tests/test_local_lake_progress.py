"""What `smartcity status` says of the lake."""

from __future__ import annotations

from typing import Any

from smartcity.local.lake_progress import Lag, describe_progress, progress_of

NOW = 1_000_000.0
ENDS = {"gps_data": {0: 120, 1: 300}, "traffic_data": {0: 7, 1: 0}}


def told(**changes: Any) -> dict[str, Any]:
    """What a driver tells that has read all of ENDS a moment ago."""
    batch = {
        "id": 41,
        "ended_at": NOW - 4,
        "records": 90,
        "seconds": 2.25,
        "rows": {"gps": 90},
        "duplicates": {"gps": 0},
    }
    return {
        "running": True, "batches": 3, "last_batch": batch, "records_per_s": 30.0, "parts_s": {},
        "offsets": {"gps_data": {"0": 120, "1": 300}, "traffic_data": {"0": 7, "1": 0}},
        "left": {"gps_data": {"0": 0, "1": 0}, "traffic_data": {"0": 0, "1": 0}},
    } | changes  # fmt: skip


def test_lag_is_kafkas_end_now_against_what_was_read() -> None:
    read = {"gps_data": {"0": 100, "1": 290}, "traffic_data": {"0": 7, "1": 0}}
    progress = progress_of(told(offsets=read), ENDS, now=NOW)
    assert progress.lag == Lag(records=30, worst="gps_data/0", worst_records=20)
    text = "\n".join(describe_progress(progress, {"gps": 380}))
    assert "batch 41, 4 s ago, 90 records in 2.2 s; 30 records/s in the last minute" in text
    assert "30 unread, most in gps_data/0 (20)" in text
    assert "rows in the lake: gps 380" in text


def test_what_arrives_between_two_batches_does_not_make_a_lake_late() -> None:
    assert progress_of(told(offsets={"gps_data": {"0": 0, "1": 0}}), ENDS, now=NOW).behind is None
    assert "nothing unread" in describe_progress(progress_of(told(), ENDS, now=NOW), {})[0]


def test_a_lake_that_leaves_records_behind_is_named_with_the_time_it_needs() -> None:
    given = told(offsets={"gps_data": {"0": 0, "1": 0}}, left={"gps_data": {"0": 100, "1": 200}})
    progress = progress_of(given, ENDS, now=NOW)
    assert progress.left == 300
    assert progress.behind is not None
    assert "records in Kafka that are unread: 420; at this rate the lake needs 14 s" in progress.behind
    assert any("lake is behind" in line for line in describe_progress(progress, {}))
    assert progress.document()["behind"] == progress.behind


def test_a_lake_that_stands_still_is_named_and_an_idle_one_is_not() -> None:
    old = told()["last_batch"] | {"ended_at": NOW - 75}
    still = progress_of(told(last_batch=old, offsets={"gps_data": {"0": 119, "1": 300}}), ENDS, now=NOW)
    assert still.behind is not None
    assert "records in Kafka that are unread: 1, and the last batch ended 75 s ago" in still.behind
    assert progress_of(told(last_batch=old), ENDS, now=NOW).behind is None


def test_before_the_first_batch_nothing_is_claimed() -> None:
    progress = progress_of(told(last_batch=None, offsets={}, left={}, records_per_s=0.0), ENDS, now=NOW)
    assert (progress.lag, progress.behind) == (None, None)
    assert describe_progress(progress, {}) == ["lake: no batch yet"]
    assert describe_progress(None, {}) == []
