"""The dashboard's data sets and visuals, asked of the local Athena over a small lake: as QuickSight's resources hold
them, with their computed defaults, and as `smartcity.aws.dashboard.ask` makes them for another renderer."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from smartcity.aws.dashboard.ask import Choices, choices_query, visual_query
from smartcity.aws.dashboard.city import DASHBOARD
from smartcity.aws.dashboard.definition import ColumnType, Control, Kind, Visual
from smartcity.aws.dashboard.quicksight import data_set_id, resources
from smartcity.aws.marts import register_marts
from smartcity.aws.prepare import prepare
from smartcity.aws.query import run_query
from smartcity.aws.settings import Settings
from smartcity.contracts.fields import Column
from smartcity.contracts.fields import Kind as FieldKind
from smartcity.contracts.marts import MARTS
from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import lake_columns

from .lake_files import catalog_of, write_mart, write_table

SETTINGS = Settings(bucket="board-lake", database="board", workgroup="board", region="us-east-1", query_timeout_s=60)
NOW = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)
EARLIER, LATER = NOW - 5 * HOUR, NOW - 3 * HOUR
UNFINISHED = NOW + HOUR  # When a run of all tests gets here, the hour may have changed, but not twice.
GUELPH = {"latitude": 43.544, "longitude": -80.248}
ROUTE = {"route": "waterloo-toronto"}

ROWS: dict[str, list[dict[str, Any]]] = {
    "gps": [
        {**GUELPH, **ROUTE, "route_km": 20.0, "speed": 20.0, "timestamp": LATER},
        {**GUELPH, **ROUTE, "route_km": 20.1, "speed": 30.0, "timestamp": LATER + MINUTE},
        {**GUELPH, **ROUTE, "route_km": 20.1, "speed": 95.0, "timestamp": LATER, "device_id": "car-2"},
        {**GUELPH, **ROUTE, "speed": None, "timestamp": LATER},
    ],
    "weather": [
        {"location": "Guelph", **GUELPH, "temperature": 4.0, "air_quality_index": 30.0, "timestamp": EARLIER},
        {"location": "Guelph", **GUELPH, "temperature": 6.0, "air_quality_index": 40.0, "timestamp": EARLIER},
        {"location": None, "device_id": "w-2", **GUELPH, "temperature": 1.0, "timestamp": LATER},
    ],
    "emergency": [
        {"incident_id": "i1", "status": "reported", "timestamp": EARLIER},
        {"incident_id": "i1", "status": "resolved", "timestamp": LATER},
        {"incident_id": "i2", "status": "reported", "timestamp": EARLIER},
        {"incident_id": "i2", "status": "responding", "timestamp": LATER},
        {"incident_id": "i3", "status": "reported", "timestamp": NOW - 49 * HOUR},
    ],
    "speed_by_km": [
        {"slot_at": EARLIER, **ROUTE, "km": 3, "readings": 1, "mean_speed_km_h": 100.0},
        {"slot_at": EARLIER + 5 * MINUTE, **ROUTE, "km": 3, "readings": 3, "mean_speed_km_h": 20.0},
        {"slot_at": LATER, "route": "london-birmingham", "km": 14, "readings": 5, "mean_speed_km_h": 80.0},
    ],
    "weather_speed": [
        {"slot_at": EARLIER, **ROUTE, "condition": "rain", "readings": 3, "mean_speed_km_h": 70.0},
        {"slot_at": LATER, **ROUTE, "condition": "clear", "readings": 3, "mean_speed_km_h": 90.0},
    ],
    "incident_response": [
        {**GUELPH, "first_step_at": EARLIER, "incident_id": "i1", "status": "resolved", "response_s": 300.0},
        {**GUELPH, "first_step_at": EARLIER, "incident_id": "i2", "status": "responding", "response_s": 420.0},
    ],
    "journeys": [
        {"started_at": EARLIER, **ROUTE, "fuel_type": "petrol", "fuel_used": 2.0, "distance_km": 50.0},
        {"started_at": LATER, **ROUTE, "fuel_type": "petrol", "fuel_used": 3.0, "distance_km": 150.0},
        {"started_at": LATER, **ROUTE, "fuel_type": "petrol", "fuel_used": None, "distance_km": 900.0},
    ],
    "camera_activity": [
        {"slot_at": EARLIER, **ROUTE, "device_id": "cam-1", "camera_id": "C1", "frames": 90, "counted_frames": 90,
         "mean_vehicle_count": 3.0, "last_snapshot": "frames/ab/abc.jpg"},
    ],
    "city_hours": [
        {"slot_at": EARLIER, "readings": 1200, "mean_speed_km_h": 50.0, "worst_air_quality_index": 40.0},
        {"slot_at": LATER, "readings": 1800, "mean_speed_km_h": 60.0, "worst_air_quality_index": 50.0},
        {"slot_at": UNFINISHED, "readings": 3, "mean_speed_km_h": 10.0, "worst_air_quality_index": 99.0},
    ],
}  # fmt: skip
GIVEN = {"device_id": "car-1", "timestamp": NOW, "kafka_at": NOW, "lake_at": NOW, "type": "fire", "severity": 2}
GIVEN_WEATHER = {"condition": "rain", "precipitation": 1.0, "air_quality_index": 30.0}
VISUALS = {visual.id: visual for _, visual in DASHBOARD.placed()}
SQL_TYPES = {
    ColumnType.TEXT: {"varchar"},
    ColumnType.INTEGER: {"bigint", "integer"},
    ColumnType.NUMBER: {"double"},
    ColumnType.TIME: {"timestamp"},
    ColumnType.LATITUDE: {"double"},
    ColumnType.LONGITUDE: {"double"},
}


def _rows(name: str, wanted: tuple[Column, ...]) -> list[dict[str, Any]]:
    """The rows, the columns that must not be null filled in."""
    plain = {FieldKind.STRING: "a", FieldKind.INTEGER: 1, FieldKind.NUMBER: 1.0, FieldKind.STRINGS: []}
    given = {each.name: plain.get(each.kind, NOW) for each in wanted if not each.nullable} | GIVEN
    given |= GIVEN_WEATHER if name == "weather" else {}
    return [given | row for row in ROWS.get(name, [])]


@pytest.fixture(scope="module")
def athena(aws_endpoints: Any) -> Any:
    clients = {name: aws_endpoints.client(name) for name in ("s3", "glue", "athena")}
    prepare(SETTINGS, **clients)
    catalog = catalog_of(SETTINGS, aws_endpoints)
    for stream in STREAMS:
        write_table(catalog, SETTINGS, stream, _rows(stream.name, lake_columns(stream)))
    for mart in MARTS:
        write_mart(clients["s3"], SETTINGS, mart, _rows(mart.name, mart.columns))
    register_marts(SETTINGS, s3=clients["s3"], glue=clients["glue"])
    return clients["athena"]


def _ask(athena: Any, sql: str) -> list[tuple[Any, ...]]:
    return list(run_query(sql, SETTINGS, athena=athena).rows)


def _shown(athena: Any, name: str, choices: Choices | None = None) -> list[tuple[Any, ...]]:
    return _ask(athena, visual_query(DASHBOARD, VISUALS[name], choices or Choices(values={})))


@pytest.mark.parametrize("data_set", DASHBOARD.data_sets, ids=lambda each: each.name)
def test_what_quicksight_asks_is_answered_with_the_columns_it_was_told(athena: Any, data_set: Any) -> None:
    table = resources(DASHBOARD)[data_set_id(data_set)]["Properties"]["PhysicalTableMap"]
    sql = next(iter(table.values()))["CustomSql"]["SqlQuery"]["Fn::Sub"].replace("${Database}", SETTINGS.database)
    result = run_query(sql, SETTINGS, athena=athena)
    assert result.rows
    assert [each.name for each in result.columns] == [each.name for each in data_set.columns]
    for got, told in zip(result.columns, data_set.columns, strict=True):
        assert got.type in SQL_TYPES[told.type], got.name


@pytest.mark.parametrize("visual", VISUALS.values(), ids=VISUALS)
def test_every_visual_has_rows(athena: Any, visual: Visual) -> None:
    result = run_query(visual_query(DASHBOARD, visual), SETTINGS, athena=athena)
    assert result.rows
    color = [visual.color] if visual.color else []
    measures = [f"measure_{number}" for number in range(1, len(visual.measures) + 1)]
    grouped = [*(each.column for each in visual.dimensions), *color, *measures]
    wanted = list(visual.columns) if visual.kind is Kind.TABLE else grouped
    assert [each.name for each in result.columns] == wanted
    assert all(row[-1] is not None for row in result.rows) or visual.kind is Kind.TABLE


def test_means_are_weighed_by_the_readings_behind_them(athena: Any) -> None:
    at = EARLIER.replace(tzinfo=None)
    assert (at, "waterloo-toronto", 40.0) in _shown(athena, "speed-by-time")
    # A drive whose fuel is not known weighs nothing.
    assert _shown(athena, "fuel-by-type") == [("petrol", pytest.approx(2.5))]


def test_a_kpi_ends_with_the_last_full_hour(athena: Any) -> None:
    assert _shown(athena, "readings-per-minute")[-1] == (LATER.replace(tzinfo=None), 30.0)
    assert _shown(athena, "worst-air-quality")[-1] == (LATER.replace(tzinfo=None), 50.0)


def test_only_incidents_of_48_hours_that_are_not_resolved_are_active(athena: Any) -> None:
    assert _shown(athena, "active-incidents") == [(1,)]


def test_the_map_of_speed_draws_cells_and_not_readings(athena: Any) -> None:
    assert _shown(athena, "speed-map") == [
        (43.54, -80.25, "0 to 30 km/h", 25.0),
        (43.54, -80.25, "90 km/h and more", 95.0),
    ]


def test_a_choice_applies_where_its_column_is(athena: Any) -> None:
    one = Choices(values={"route": ("london-birmingham",), "vehicle": ("car-2", "it's")})
    assert [row[1] for row in _shown(athena, "speed-by-time", one)] == ["london-birmingham"]
    assert _shown(athena, "vehicle-map", one) == []
    assert _shown(athena, "vehicle-map", Choices(values={"vehicle": ("car-2", "it's")}))[0][-1] == 95.0
    assert len(_shown(athena, "temperature-by-place", one)) == 2
    late = Choices(values={}, since=LATER, until=NOW)
    assert [row[0] for row in _shown(athena, "speed-along-route", late)] == [14]
    with pytest.raises(KeyError, match="colour"):
        visual_query(DASHBOARD, VISUALS["speed-map"], Choices(values={"colour": ("red",)}))


@pytest.mark.parametrize(
    "chosen", [each for each in DASHBOARD.filters if each.control is Control.CHOICE], ids=lambda f: f.id
)
def test_a_choice_offers_what_its_data_set_holds(athena: Any, chosen: Any) -> None:
    offered = {row[0] for row in _ask(athena, choices_query(DASHBOARD, chosen.id))}
    assert (
        offered
        == {
            "route": {"waterloo-toronto", "london-birmingham"},
            "vehicle": {"car-1"},
            "weather": {"rain", "clear"},
        }[chosen.id]
    )
