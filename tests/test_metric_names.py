"""Every metric that the Grafana board, the pipeline's page and the documentation name is one that a process exports."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from smartcity.bridge.metrics import Counts, Metrics, snapshot
from smartcity.dashboard import flow
from smartcity.lake.batch import Outcome
from smartcity.lake.delays import delays_of
from smartcity.lake.progress import Progress

ROOT = Path(__file__).parents[1]
BOARD: dict[str, Any] = json.loads((ROOT / "compose/grafana/dashboards/smartcity.json").read_text())
EXPRESSIONS = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
NAME = re.compile(r"\b(?:smartcity_bridge|lake)_[a-z_]+\b")


def samples_of(registry: CollectorRegistry) -> dict[str, set[tuple[str, ...]]]:
    """Names of samples as they are scraped, and the labels of each."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).add(tuple(sorted(sample.labels)))
    return found


def exported() -> dict[str, set[tuple[str, ...]]]:
    bridge, counts = Metrics(), Counts()
    for counter in (counts.received, counts.delivered, counts.ignored):
        counter["gps"] += 1
    counts.dead_lettered["gps", "too_large"] += 1
    bridge.latest = snapshot(counts, in_flight=Counter(gps=1), queued=0, connections=1, retries=0, rebuilds=0)
    for latency in (bridge.device_to_bridge, bridge.bridge_to_kafka):
        latency.observe("gps", -0.5)
    lake = Progress()
    delays = {"gps": delays_of(np.array([0]), 1.0)}
    lake.completed(Outcome(batch_id=1, records=1, seconds=1, rows={"gps": 1}, duplicates={"gps": 0}, delays=delays))
    return samples_of(bridge.registry) | samples_of(lake.registry) | {"lake_lag_records": {("partition", "topic")}}


EXPORTED = exported()


def test_the_board_asks_for_what_there_is() -> None:
    names = {name for expression in EXPRESSIONS for name in NAME.findall(expression)}
    assert len(names) >= 14
    assert names - set(EXPORTED) == set()


def test_the_board_groups_by_labels_that_there_are() -> None:
    for expression in EXPRESSIONS:
        for label in {each for group in re.findall(r"by \(([a-z, ]+)\)", expression) for each in group.split(", ")}:
            labels = set().union(*(set(found) for name in NAME.findall(expression) for found in EXPORTED[name]))
            assert label in labels, expression


def test_the_boards_panels_have_places_and_numbers_of_their_own() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]]
    assert len(set(places)) == len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert {panel["datasource"]["uid"] for panel in BOARD["panels"]} == {"prometheus"}


def test_what_is_received_before_it_was_sent_has_a_bucket_of_its_own() -> None:
    metrics = Metrics()
    metrics.device_to_bridge.observe("gps", -0.5)
    metrics.device_to_bridge.observe_each("gps", [0.0004, -2.0, 0.3, 90.0])
    buckets = {
        sample.labels["le"]: sample.value
        for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
        for sample in family.samples
        if sample.name == "smartcity_bridge_device_to_bridge_seconds_bucket"
    }
    assert (buckets["0.0"], buckets["0.001"], buckets["0.3"], buckets["60.0"], buckets["+Inf"]) == (2, 3, 4, 4, 5)
    assert 'le="0.0"' in "".join(EXPRESSIONS)


def test_the_pages_histograms_are_exported() -> None:
    assert len(flow.LATENCIES) == 3
    for hop in flow.LATENCIES:
        assert EXPORTED[f"{hop.name}_bucket"] == {("le", "table" if hop.of_lake else "stream")}
    code = (ROOT / "cloud/dashboard/src/smartcity/dashboard/flow.py").read_text()
    names = set(NAME.findall(code.replace("{_BRIDGE}", "smartcity_bridge")))
    assert len(names) >= 9
    for name in names:
        assert name in EXPORTED or f"{name}_bucket" in EXPORTED, name


def test_the_documents_tables_name_what_there_is() -> None:
    rows = [line for line in (ROOT / "docs/observability.md").read_text().splitlines() if line.startswith("| `")]
    names = {name for row in rows for name in NAME.findall(row.split("|")[1])}
    of_a_batch = {"lake_operator_state_rows", "lake_last_batch_part_seconds", "lake_read_offset"}
    assert len(names) >= 25
    for name in names - of_a_batch:
        assert name in EXPORTED or f"{name}_bucket" in EXPORTED, name
