"""The saved queries of cloud/aws, prepared and run through its own code, over tables with the contract's columns."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.glue import GlueCatalog

from smartcity.aws.prepare import prepare
from smartcity.aws.query import Result, run_query
from smartcity.aws.saved import saved_names, saved_query
from smartcity.aws.settings import Settings
from smartcity.contracts.fields import Kind
from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import lake_columns

ARROW = {
    Kind.STRING: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TIMESTAMP: pa.timestamp("us", "UTC"),
    Kind.STRINGS: pa.list_(pa.string()),
    Kind.BYTES: pa.binary(),
}
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
SETTINGS = Settings(bucket="saved-lake", database="saved", workgroup="saved", region="us-east-1", query_timeout_s=60)

ROWS: dict[str, list[dict[str, Any]]] = {
    "gps": [
        {"route": "waterloo-toronto", "route_km": 3.0, "speed": 50.0},
        {"route": "waterloo-toronto", "route_km": 9.9, "speed": 60.0},
        {"route": "waterloo-toronto", "route_km": 10.0, "speed": 100.0},
        {"route": "london-birmingham", "route_km": 199.0, "speed": 90.25},
        {"route": "london-birmingham", "route_km": 1.0, "speed": None},
        {"route": None, "route_km": None, "speed": 30.0},
    ],
    "camera": [
        {"camera_id": "C1", "location": "Guelph Line", "vehicle_count": 3},
        {"camera_id": "C1", "location": "Guelph Line", "vehicle_count": 4},
        {"camera_id": None, "device_id": "cam-2", "location": None, "vehicle_count": None},
    ],
    "emergency": [
        {"incident_id": "i1", "type": "fire", "status": "reported", "severity": 3, "timestamp": NOON},
        {"incident_id": "i1", "type": "fire", "status": "resolved", "severity": 3, "timestamp": NOON},
        {"incident_id": "i2", "type": "fire", "status": "reported", "severity": 2, "timestamp": NOON},
        {
            "incident_id": "i2",
            "type": "fire",
            "status": "responding",
            "severity": 2,
            "timestamp": NOON + dt.timedelta(minutes=5),
        },
        {"incident_id": "i3", "type": "fire", "status": "resolved", "severity": 4, "timestamp": NOON},
        {"incident_id": "i4", "type": "accident", "status": "reported", "severity": 5, "timestamp": NOON},
    ],
}

EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "mean_speed_per_10_km": [
        ("london-birmingham", 190, 200, 90.3, 1),
        ("waterloo-toronto", 0, 10, 55.0, 2),
        ("waterloo-toronto", 10, 20, 100.0, 1),
    ],
    "frames_per_camera": [("C1", "Guelph Line", 2, 3.5), ("cam-2", None, 1, None)],
    "incidents_by_type_and_status": [
        ("accident", "reported", 1, 5.0),
        ("fire", "resolved", 2, 3.5),
        ("fire", "responding", 1, 2.0),
    ],
}


@pytest.fixture(scope="module")
def athena(aws_endpoints: Any) -> Any:
    clients = {name: aws_endpoints.client(name) for name in ("s3", "glue", "athena")}
    created = prepare(SETTINGS, **clients)
    assert sum(": created" in line for line in created) == 3
    assert not any(": created" in line for line in prepare(SETTINGS, **clients))
    assert not any(" not " in line for line in created)
    properties = {**aws_endpoints.iceberg_properties(), "warehouse": SETTINGS.warehouse}
    catalog = GlueCatalog("saved", **properties)
    for stream in STREAMS:
        schema = pa.schema([pa.field(each.name, ARROW[each.kind]) for each in lake_columns(stream)])
        rows = [{"timestamp": NOON, "kafka_at": NOON, "lake_at": NOON, **row} for row in ROWS.get(stream.name, [])]
        table = catalog.create_table(f"{SETTINGS.database}.{stream.table}", schema=schema)
        table.append(pa.Table.from_pylist(rows, schema=schema))
    return clients["athena"]


def _run(athena: Any, name: str) -> Result:
    return run_query(saved_query(name), SETTINGS, athena=athena)


@pytest.mark.parametrize("name", saved_names())
def test_a_saved_query_answers_its_question(athena: Any, name: str) -> None:
    result = _run(athena, name)
    assert list(result.rows) == EXPECTED[name]
    # The comment on top of the file names the columns.
    assert ", ".join(column.name for column in result.columns) in saved_query(name)
    assert result.scanned_bytes > 0
