"""The saved queries of cloud/aws, run through its own code at Athena and at Redshift, over tables and marts with the
contract's columns. That tables and marts agree on more than this is what tests/bench/questions.py checks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from smartcity.aws.engine import Engine
from smartcity.aws.load import load
from smartcity.aws.marts import register_marts
from smartcity.aws.migrations import migrate
from smartcity.aws.prepare import prepare
from smartcity.aws.query import Result, run_query
from smartcity.aws.questions import QUESTIONS, require_equal
from smartcity.aws.saved import parameters, reads_marts, saved_names, saved_query, saved_sql
from smartcity.aws.settings import Settings
from smartcity.aws.warehouse import Warehouse, open_warehouse
from smartcity.contracts.fields import Kind
from smartcity.contracts.marts import MARTS
from smartcity.contracts.streams import STREAMS

from .lake_files import catalog_of, write_mart, write_table

NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
SETTINGS = Settings(
    bucket="saved-lake", database="saved", workgroup="saved", stack="saved", region="us-east-1", query_timeout_s=60
)

MINUTE = dt.timedelta(minutes=1)
YESTERDAY = NOON - dt.timedelta(days=1)
KITCHENER = {"latitude": 43.46, "longitude": -80.52}
WATERLOO = {"route": "waterloo-toronto", **KITCHENER}

ROWS: dict[str, list[dict[str, Any]]] = {
    "gps": [
        {**WATERLOO, "route_km": 3.0, "speed": 50.0},
        {**WATERLOO, "route_km": 9.9, "speed": 60.0},
        {**WATERLOO, "route_km": 10.0, "speed": 100.0},
        {"route": "london-birmingham", "route_km": 199.0, "speed": 90.25},
        {"route": "london-birmingham", "route_km": 1.0, "speed": None},
        {"route": None, "route_km": None, "speed": 30.0},
        *[{**WATERLOO, "route_km": 3.0 + n / 31, "speed": 20.0, "timestamp": YESTERDAY} for n in range(30)],
        *[{**WATERLOO, "route_km": 7.0, "speed": 1.0, "timestamp": YESTERDAY} for n in range(29)],
    ],
    "vehicle": [
        {"timestamp": NOON, "fuel_level": 50.0, "run_time": 0.0, "speed": 0.0, "rpm": 800.0},
        {"timestamp": NOON + MINUTE, "fuel_level": 48.0, "run_time": 60.0, "speed": 9.0, "rpm": 900.0},
        {"timestamp": NOON + 3 * MINUTE, "fuel_level": 48.0, "run_time": 0.0, "speed": 0.0, "rpm": 800.0},
        {"timestamp": NOON + 4 * MINUTE, "fuel_level": 47.5, "run_time": 60.0, "speed": 9.0, "rpm": 900.0},
        {"timestamp": NOON + 10 * MINUTE, "fuel_level": 40.0, "run_time": 420.0, "speed": 9.0, "rpm": 900.0},
    ],
    "camera": [
        {"camera_id": "C1", "device_id": "cam-1", "location": "Guelph Line", "vehicle_count": 3},
        {"camera_id": "C1", "device_id": "cam-1", "location": "Guelph Line", "vehicle_count": 4},
        {"camera_id": None, "device_id": "cam-2", "location": None, "vehicle_count": None},
    ],
    "weather": [
        # The newest report of the nearest station counts; that of London is too far away.
        {"device_id": "near", "location": "A", **KITCHENER, "condition": "clear", "timestamp": NOON - 25 * MINUTE,
         "precipitation": 0.0, "air_quality_index": 40.0},
        {"device_id": "near", "location": "A", **KITCHENER, "condition": "rain", "timestamp": NOON - 10 * MINUTE,
         "precipitation": 2.0, "air_quality_index": 40.0},
        {"device_id": "next", "location": "B", "latitude": 43.46, "longitude": -80.4, "condition": "snow",
         "precipitation": 1.0, "air_quality_index": 30.0},
        {"device_id": "london", "location": "C", "latitude": 51.5, "longitude": -0.1, "condition": "fog",
         "precipitation": 9.0, "air_quality_index": 99.0},
    ],
    "emergency": [
        {"incident_id": "i1", "type": "fire", "status": "reported", "severity": 3, "timestamp": NOON},
        {"incident_id": "i1", "type": "fire", "status": "resolved", "severity": 3, "timestamp": NOON},
        {"incident_id": "i2", "type": "fire", "status": "reported", "severity": 2, "timestamp": NOON},
        {"incident_id": "i2", "type": "fire", "status": "responding", "severity": 2, "timestamp": NOON + 5 * MINUTE},
        {"incident_id": "i3", "type": "fire", "status": "resolved", "severity": 4, "timestamp": NOON},
        {"incident_id": "i4", "type": "accident", "status": "reported", "severity": 5, "timestamp": NOON},
    ],
    # The marts of the above, by their contract.
    "speed_by_km": [
        {"slot_at": NOON, "route": "waterloo-toronto", "km": 3, "readings": 1, "mean_speed_km_h": 50.0},
        {"slot_at": NOON, "route": "waterloo-toronto", "km": 9, "readings": 1, "mean_speed_km_h": 60.0},
        {"slot_at": NOON, "route": "waterloo-toronto", "km": 10, "readings": 1, "mean_speed_km_h": 100.0},
        {"slot_at": NOON, "route": "london-birmingham", "km": 199, "readings": 1, "mean_speed_km_h": 90.25},
        {"slot_at": YESTERDAY, "route": "waterloo-toronto", "km": 3, "readings": 30, "mean_speed_km_h": 20.0},
    ],
    "weather_speed": [
        {"slot_at": NOON, "readings": 3, "mean_speed_km_h": 70.0, "condition": "rain", "precipitation": 2.0},
    ],
    "incident_response": [
        {"first_step_at": NOON, "type": "fire", "status": "resolved", "response_s": None},
        {"first_step_at": NOON, "type": "fire", "status": "responding", "response_s": 300.0},
        {"first_step_at": NOON, "type": "fire", "status": "resolved", "response_s": None},
        {"first_step_at": NOON, "type": "accident", "status": "reported", "response_s": None},
    ],
    "journeys": [
        {"started_at": NOON, "fuel_type": "petrol", "fuel_used": 2.0},
        {"started_at": NOON, "fuel_type": "petrol", "fuel_used": 0.5},
        {"started_at": NOON, "fuel_type": "petrol", "fuel_used": 0.0},
    ],
    "camera_activity": [
        {"slot_at": NOON, "device_id": "cam-1", "frames": 2, "vehicle_count": 7},
        {"slot_at": NOON, "device_id": "cam-2", "frames": 1, "vehicle_count": None},
    ],
}  # fmt: skip

GIVEN = {
    "first_day": "2026-11-21", "last_day": "2026-11-21", "day": "2026-11-21", "route": "waterloo-toronto",
    "until": "2026-11-21T12:01:30Z", "since": "2026-11-21T12:00:00Z", "device_id": "car-1",
}  # fmt: skip
GIVEN_TO = {
    "slowest_kilometres": {"until": "2026-11-20T12:30"},
    "active_incidents": {"until": "2026-11-21T14:00+01:00"},
}

EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "mean_speed_per_10_km": [
        ("london-birmingham", 190, 200, 90.3, 1),
        ("waterloo-toronto", 0, 10, 12.1, 61),
        ("waterloo-toronto", 10, 20, 100.0, 1),
    ],
    "frames_per_camera": [("C1", "Guelph Line", 2, 3.5), ("cam-2", None, 1, None)],
    "incidents_by_type_and_status": [
        ("accident", "reported", 1, 5.0),
        ("fire", "resolved", 2, 3.5),
        ("fire", "responding", 1, 2.0),
    ],
    "speed_by_route_and_hour": [("london-birmingham", NOON, 90.25, 1), ("waterloo-toronto", NOON, 70.0, 3)],
    "speed_by_10_km": [(0, 55.0, 2), (10, 100.0, 1)],
    "slowest_kilometres": [("waterloo-toronto", 3, 20.0, 30)],
    "speed_against_weather": [("rain", 70.0, 2.0, 3)],
    "incident_response": [
        ("accident", "reported", 1, None),
        ("fire", "resolved", 2, None),
        ("fire", "responding", 1, 300.0),
    ],
    "active_incidents": [
        ("i2", "fire", "responding", 2, NOON, None, None, None),
        ("i4", "accident", "reported", 5, NOON, None, None, None),
    ],
    "worst_air_quality": [
        ("C", 99.0, NOON),
        ("A", 40.0, NOON - 25 * MINUTE),
        ("B", 30.0, NOON),
    ],
    "fuel_per_journey": [("petrol", 3, pytest.approx(2.5 / 3), 2.0)],
    "camera_counts": [("cam-1", NOON, 2, 7), ("cam-2", NOON, 1, None)],
    "vehicle_track": [(NOON, None, None, 0.0, 800.0), (NOON + MINUTE, None, None, 9.0, 900.0)],
}

FILLED: dict[Kind, Any] = {
    Kind.STRING: "",
    Kind.INTEGER: 0,
    Kind.NUMBER: 0.0,
    Kind.BOOLEAN: False,
    Kind.TIMESTAMP: NOON,
}


@pytest.fixture(scope="module")
def athena(aws_endpoints: Any) -> Any:
    clients = {name: aws_endpoints.client(name) for name in ("s3", "glue", "athena")}
    created = prepare(SETTINGS, **clients)
    assert sum(": created" in line for line in created) == 3
    assert not any(": created" in line for line in prepare(SETTINGS, **clients))
    assert not any(" not " in line for line in created)
    catalog = catalog_of(SETTINGS, aws_endpoints)
    given = {"timestamp": NOON, "kafka_at": NOON, "lake_at": NOON, "device_id": "car-1", "fuel_type": "petrol"}
    for stream in STREAMS:
        write_table(catalog, SETTINGS, stream, [{**given, **row} for row in ROWS[stream.name]])
    for mart in MARTS:
        # What a test does not care for, and the contract asks for.
        filled = {each.name: FILLED[each.kind] for each in mart.columns if not each.nullable}
        write_mart(clients["s3"], SETTINGS, mart, [{**filled, **row} for row in ROWS.get(mart.name, [])])
    marts = {name: clients[name] for name in ("s3", "glue")}
    days = {mart.name: len({row[mart.time_column].date() for row in ROWS.get(mart.name, [])}) for mart in MARTS}
    assert register_marts(SETTINGS, **marts) == days
    assert not any(register_marts(SETTINGS, **marts).values())
    return clients["athena"]


@pytest.fixture(scope="module")
def warehouse(aws_endpoints: Any, athena: Any) -> Warehouse:
    """Migrated, and loaded with the marts."""
    serverless = aws_endpoints.client("redshift-serverless")
    serverless.create_namespace(namespaceName=SETTINGS.stack, dbName="smartcity")
    serverless.create_workgroup(workgroupName=SETTINGS.stack, namespaceName=SETTINGS.stack)
    found = open_warehouse(SETTINGS, data=aws_endpoints.client("redshift-data"))
    migrate(found, SETTINGS, print)
    load(found, SETTINGS, print, s3=aws_endpoints.client("s3"))
    return found


def _sql(name: str, engine: Engine) -> str:
    given = GIVEN | GIVEN_TO.get(name, {})
    return saved_query(name, {each.name: given[each.name] for each in parameters(name, engine)}, engine=engine)


def _in_utc(value: Any) -> Any:
    """Marts lie in Hive tables, whose times have no zone."""
    return value.replace(tzinfo=dt.UTC) if isinstance(value, dt.datetime) and not value.tzinfo else value


@pytest.mark.parametrize("name", saved_names())
def test_a_saved_query_answers_its_question(athena: Any, name: str) -> None:
    result = run_query(_sql(name, Engine.ATHENA), SETTINGS, athena=athena)
    assert [tuple(map(_in_utc, row)) for row in result.rows] == EXPECTED[name.removesuffix("_from_tables")]
    assert _named(result) in saved_sql(name)
    assert result.scanned_bytes


@pytest.mark.parametrize("name", saved_names(Engine.REDSHIFT))
def test_redshift_answers_it_alike(warehouse: Warehouse, name: str) -> None:
    result = warehouse.ask(_sql(name, Engine.REDSHIFT))
    require_equal(name, {"expected": EXPECTED[name], "redshift": result.rows})
    assert _named(result) in saved_sql(name, Engine.REDSHIFT)


def _named(result: Result) -> str:
    """As the comment on top of a saved query names its columns."""
    return f"-- Columns: {', '.join(column.name for column in result.columns)}\n"


def test_both_engines_have_the_ten_questions_with_the_same_parameters() -> None:
    assert set(saved_names(Engine.REDSHIFT)) == set(QUESTIONS)
    for name in QUESTIONS:
        assert parameters(name, Engine.REDSHIFT) == parameters(name)


def test_every_question_to_a_mart_can_be_put_to_the_tables() -> None:
    marts = {name for name in saved_names() if reads_marts(name)}
    assert len(marts) == 6
    assert {f"{name}_from_tables" for name in marts} == {name for name in saved_names() if name.endswith("_tables")}
