"""What the driver tells of its query: Spark's reports read, shown as metrics and as a document, over HTTP."""

from __future__ import annotations

import dataclasses
import json
import logging
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from smartcity.lake.batch import Outcome
from smartcity.lake.delays import BOUNDS_S, delays_of
from smartcity.lake.listener import Listener, Operator, read_report
from smartcity.lake.pages import serve
from smartcity.lake.progress import Progress

RECORDED = json.loads((Path(__file__).parent / "progress.json").read_text())
"""Progress of this query as Spark 4.0.0 wrote it, of a batch that its limit cut short."""
METRICS = {
    "lake_input_rows_per_second", "lake_processed_rows_per_second", "lake_batch_seconds", "lake_lag_records",
    "lake_last_batch_part_seconds", "lake_read_offset", "lake_state_intervals", "lake_state_bytes",
    "lake_query_running", "lake_kafka_to_commit_seconds",
}  # fmt: skip


def samples(progress: Progress) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(generate_latest(progress.registry).decode()):
        assert family.documentation
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in sorted(sample.labels, reverse=True))  # topic, then partition
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def outcome(batch_id: int, records: int) -> Outcome:
    return Outcome(batch_id=batch_id, records=records, seconds=1.5, rows={"gps": records - 1}, duplicates={"gps": 1})


def test_a_recorded_report_is_read_whole() -> None:
    report = read_report(RECORDED)
    source = RECORDED["sources"][0]
    assert (report.batch_id, report.rows) == (RECORDED["batchId"], RECORDED["numInputRows"])
    assert report.parts_s["addBatch"] == RECORDED["durationMs"]["addBatch"] / 1000
    assert len(report.ends) == 6
    assert report.ends["dead_letters"] == {0: source["endOffset"]["dead_letters"]["0"]}
    left = report.lag()
    assert sum(sum(partitions.values()) for partitions in left.values()) > 0
    for topic, partitions in source["endOffset"].items():
        for partition, end in partitions.items():
            assert left[topic][int(partition)] == source["latestOffset"][topic][partition] - end


def test_reports_of_other_sources_and_spark_versions_are_read_as_far_as_they_go() -> None:
    bare = {"batchId": 1, "numInputRows": 0, "durationMs": {}, "sources": [{"endOffset": 7, "latestOffset": None}]}
    report = read_report(bare)
    assert (report.ends, report.lag(), report.input_rows_per_s) == ({}, {}, 0)
    as_text = bare | {"sources": [{"endOffset": '{"gps_data":{"1":5}}', "latestOffset": '{"gps_data":{"1":4}}'}]}
    assert read_report(as_text).lag() == {"gps_data": {1: 0}}
    stateful = bare | {"stateOperators": [{"operatorName": "dedupe", "numRowsTotal": 9, "memoryUsedBytes": 800}]}
    assert read_report(stateful).operators == (Operator(name="dedupe", rows=9, bytes=800),)


def test_metrics_show_what_was_reported() -> None:
    progress = Progress()
    assert {family.name for family in progress.registry.collect()} >= METRICS
    report = read_report(RECORDED)
    progress.reported(report)
    progress.completed(outcome(report.batch_id, 100))
    progress.set_state(12, 3400)
    seen = samples(progress)
    assert seen["lake_processed_rows_per_second"][()] == report.processed_rows_per_s
    assert seen["lake_read_offset"]["gps_data", "0"] == report.ends["gps_data"][0]
    assert seen["lake_lag_records"]["gps_data", "0"] == report.lag()["gps_data"][0] > 0
    assert seen["lake_last_batch_part_seconds"]["addBatch",] == report.parts_s["addBatch"]
    assert seen["lake_batch_seconds_sum"][()] == report.parts_s["triggerExecution"]
    assert (seen["lake_state_intervals"][()], seen["lake_state_bytes"][()]) == (12, 3400)
    assert (seen["lake_rows_total"]["gps",], seen["lake_duplicates_total"]["gps",]) == (99, 1)
    assert seen["lake_query_running"][()] == 0
    progress.running = True
    progress.idled()
    seen = samples(progress)
    assert seen["lake_query_running"][()] == 1
    assert seen["lake_processed_rows_per_second"][()] == 0
    assert set(seen["lake_lag_records"].values()) == {0}


def test_delays_are_counted_by_table_and_a_later_batch_adds_to_them() -> None:
    progress = Progress()
    waited_s = np.array([-3.0, 0.0, 0.2, 5.0, 5.5, 4000.0])
    at_s = 1_800_000_000.0
    one = delays_of(((at_s - waited_s) * 1e6).astype(np.int64), at_s)
    assert (int(one.counts.sum()), one.sum_s) == (6, pytest.approx(0.2 + 5.0 + 5.5 + 4000.0))
    for batch in (1, 2):
        progress.completed(dataclasses.replace(outcome(batch, 100), delays={"gps": one}))
    found = samples(progress)
    # Labels in the order of their names backwards: table, le.
    bucket = {bound: found["lake_kafka_to_commit_seconds_bucket"]["gps", bound] for bound in ("0.0", "0.5", "5.0")}
    assert bucket == {"0.0": 4, "0.5": 6, "5.0": 8}
    assert found["lake_kafka_to_commit_seconds_bucket"]["gps", str(BOUNDS_S[-1])] == 10
    assert found["lake_kafka_to_commit_seconds_bucket"]["gps", "+Inf"] == 12
    assert found["lake_kafka_to_commit_seconds_count"]["gps",] == 12
    assert found["lake_kafka_to_commit_seconds_sum"]["gps",] == pytest.approx(2 * one.sum_s)


def test_a_query_that_ended_reads_nothing_and_what_it_left_stays_left() -> None:
    progress = Progress()
    progress.reported(read_report(RECORDED))
    progress.ended()
    seen = samples(progress)
    assert seen["lake_input_rows_per_second"][()] == 0
    assert sum(seen["lake_lag_records"].values()) > 0


def test_a_listener_that_fails_is_logged_and_the_query_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress()
    listener = Listener(progress)
    with caplog.at_level(logging.ERROR):
        listener.onQueryProgress(SimpleNamespace(progress=SimpleNamespace(json="{}")))  # type: ignore[arg-type]
    assert "metrics keep their last values" in caplog.text
    listener.onQueryProgress(SimpleNamespace(progress=SimpleNamespace(json=json.dumps(RECORDED))))  # type: ignore[arg-type]
    assert samples(progress)["lake_batch_seconds_count"][()] == 1


def _get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_document_and_the_metrics_are_served() -> None:
    progress = Progress()
    server = serve(progress.pages(), ("127.0.0.1", 0))
    base = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        assert _get(f"{base}/healthz")[0] == 503
        empty = json.loads(_get(f"{base}/progress")[1])
        assert (empty["last_batch"], empty["offsets"], empty["left"]) == (None, {}, {})
        progress.reported(read_report(RECORDED))
        progress.completed(outcome(7, 120))
        told = json.loads(_get(f"{base}/progress")[1])
        assert (told["last_batch"]["id"], told["last_batch"]["rows"]) == (7, {"gps": 119})
        assert told["offsets"]["gps_data"] == RECORDED["sources"][0]["endOffset"]["gps_data"]
        assert told["records_per_s"] > 0
        assert b"lake_read_offset" in _get(f"{base}/metrics")[1]
        assert _get(f"{base}/else")[0] == 404
    finally:
        server.shutdown()
        server.server_close()
