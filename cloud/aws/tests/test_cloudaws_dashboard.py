"""The dashboard: what it shows, its resources under botocore's models and our check, seeded mistakes, its picture."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from smartcity.aws.dashboard.city import DASHBOARD
from smartcity.aws.dashboard.definition import Kind, targets
from smartcity.aws.dashboard.picture import main as draw
from smartcity.aws.dashboard.quicksight import resources, tables_read
from smartcity.aws.template.check import findings
from smartcity.aws.template.load import load_template
from smartcity.aws.template.render import rendered, rendered_dashboard
from smartcity.aws.template.text import DASHBOARD_FILE, dashboard_source, template_source, template_text
from smartcity.contracts.fields import required
from smartcity.contracts.marts import MARTS, SPEED_BY_KM

TEMPLATE = load_template(template_text())
QUICKSIGHT = {name: each for name, each in TEMPLATE["Resources"].items() if "::QuickSight::" in each["Type"]}
IMAGE = Path(__file__).parents[3] / "docs" / "images" / "dashboard.svg"
OPERATIONS = {"DataSource": "CreateDataSource", "DataSet": "CreateDataSet", "Dashboard": "CreateDashboard"}
MODEL = botocore.session.Session().get_service_model("quicksight")


def test_it_is_rendered_from_its_definition() -> None:
    assert dashboard_source() == rendered_dashboard()
    assert template_text().count("CityDashboard:") == 1
    assert DASHBOARD_FILE not in template_text().split("Resources:")[1]


def test_what_is_written_as_yaml_is_what_was_meant() -> None:
    assert load_template(f"Resources:\n{dashboard_source()}")["Resources"] == resources(DASHBOARD)


def test_it_shows_what_was_asked_for() -> None:
    visuals = {visual.id: visual for _, visual in DASHBOARD.placed()}
    kpis = {visual.title for visual in visuals.values() if visual.kind is Kind.KPI}
    assert kpis == {"Mean speed, km/h", "Active incidents", "Readings per minute", "Worst air quality"}
    assert {each.title for each in DASHBOARD.filters} == {"Time", "Route", "Vehicle", "Weather"}
    for name, columns in {
        "speed-along-route": ("km",),
        "speed-by-time": ("moment",),
        "speed-by-weather": ("weather",),
        "vehicle-map": ("latitude", "longitude"),
        "incident-map": ("latitude", "longitude"),
        "incidents-by-type": ("type",),
        "response-by-type": ("type",),
        "fuel-by-type": ("fuel_type",),
    }.items():
        assert tuple(each.column for each in visuals[name].dimensions) == columns
    assert visuals["incidents-by-type"].color == "status"
    assert visuals["temperature-by-place"].color == visuals["air-quality-by-place"].color == "place"
    assert visuals["camera-table"].link is not None


def test_marts_are_asked_where_they_hold_the_answer() -> None:
    marts = {mart.name for mart in MARTS}
    assert set(tables_read(DASHBOARD)) - marts == {"emergency", "gps", "weather"}
    assert marts <= set(tables_read(DASHBOARD))


def test_no_data_set_asks_for_what_quicksight_cannot_say() -> None:
    for data_set in DASHBOARD.data_sets:
        assert data_set.parameters
        assert all(each.default != "required" for each in data_set.parameters)


def test_a_click_filters_what_has_its_columns() -> None:
    sheets = {sheet.id: sheet for sheet in DASHBOARD.sheets}
    clicked = {visual.id: visual for _, visual in DASHBOARD.placed()}
    assert [each.id for each in targets(DASHBOARD, sheets["city"], clicked["incidents-now"])] == [
        "active-incidents",
        "active-map",
    ]
    assert [each.id for each in targets(DASHBOARD, sheets["traffic"], clicked["speed-by-vehicle"])] == ["vehicle-map"]


def _plain(value: Any) -> Any:
    """A value as CloudFormation would pass it on, its intrinsic functions replaced by something of their type."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return "123456789012" if value["Ref"] == "AWS::AccountId" else f"a-{value['Ref'].replace('::', '-')}"
    if set(value) == {"Fn::GetAtt"}:
        return f"arn:aws:quicksight:ca-central-1:123456789012:{value['Fn::GetAtt'][0]}"
    if set(value) == {"Fn::Sub"}:
        return re.sub(r"\$\{([^}]+)\}", "city", value["Fn::Sub"])
    return {name: _plain(each) for name, each in value.items()}


def _refused(name: str, resource: dict[str, Any]) -> str:
    operation = OPERATIONS[resource["Type"].split("::")[-1]]
    shape = MODEL.operation_model(operation).input_shape
    report = ParamValidator().validate(_plain(resource["Properties"]), shape)
    return report.generate_report() if report.has_errors() else ""


@pytest.mark.parametrize("name", QUICKSIGHT)
def test_quicksights_api_takes_it(name: str) -> None:
    assert _refused(name, QUICKSIGHT[name]) == ""


def test_the_api_refuses_what_it_does_not_know() -> None:
    seeded = copy.deepcopy(QUICKSIGHT["CityDashboard"])
    seeded["Properties"]["Definition"]["Sheets"][0]["Visuals"][0]["KPIVisual"]["Colour"] = "red"
    assert "Colour" in _refused("CityDashboard", seeded)


def _definition(template: dict[str, Any]) -> dict[str, Any]:
    definition: dict[str, Any] = template["Resources"]["CityDashboard"]["Properties"]["Definition"]
    return definition


def _sheet(template: dict[str, Any], number: int = 0) -> dict[str, Any]:
    sheet: dict[str, Any] = _definition(template)["Sheets"][number]
    return sheet


def _visual(template: dict[str, Any], name: str) -> dict[str, Any]:
    for sheet in _definition(template)["Sheets"]:
        for each in sheet["Visuals"]:
            visual: dict[str, Any] = next(iter(each.values()))
            if visual["VisualId"] == name:
                return visual
    raise AssertionError(name)


def _source(template: dict[str, Any], name: str) -> dict[str, Any]:
    tables = template["Resources"][name]["Properties"]["PhysicalTableMap"]
    source: dict[str, Any] = next(iter(tables.values()))["CustomSql"]
    return source


def _elements(template: dict[str, Any], layouts: str = "Layouts") -> list[dict[str, Any]]:
    elements: list[dict[str, Any]] = _sheet(template)[layouts][0]["Configuration"]["GridLayout"]["Elements"]
    return elements


def _asked(template: dict[str, Any], name: str, old: str, new: str) -> None:
    query = _source(template, name)["SqlQuery"]
    assert old in query["Fn::Sub"]
    query["Fn::Sub"] = query["Fn::Sub"].replace(old, new)


def _filter(template: dict[str, Any], number: int) -> dict[str, Any]:
    one: dict[str, Any] = next(iter(_definition(template)["FilterGroups"][number]["Filters"][0].values()))
    return one


def _role(template: dict[str, Any], sid: str) -> dict[str, Any]:
    policy = template["Resources"]["DashboardRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    statement: dict[str, Any] = next(each for each in policy["Statement"] if each["Sid"] == sid)
    return statement


def _wells(template: dict[str, Any], name: str, kind: str) -> dict[str, Any]:
    wells: dict[str, Any] = _visual(template, name)["ChartConfiguration"]["FieldWells"][kind]
    return wells


SEEDED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a missing data set": (
        lambda t: t["Resources"].pop("SpeedDataSet"),
        "CityDashboard: there is no data set SpeedDataSet",
    ),
    "a data set that is not declared": (
        lambda t: _definition(t)["DataSetIdentifierDeclarations"].pop(0),
        "CityDashboard: the data set CityDataSet is not declared",
    ),
    "an unknown data set identifier": (
        lambda t: _definition(t)["DataSetIdentifierDeclarations"][0].update(Identifier="town"),
        "CityDashboard: there is no data set identifier city",
    ),
    "an unknown column in a visual": (
        lambda t: _wells(t, "speed-along-route", "LineChartAggregatedFieldWells")["Category"][0][
            "NumericalDimensionField"
        ]["Column"].update(ColumnName="mile"),
        "CityDashboard: speed has no column mile",
    ),
    "an unknown column in a filter": (
        lambda t: _filter(t, 1)["Column"].update(ColumnName="road"),
        "CityDashboard: speed has no column road",
    ),
    "an unknown column in a calculated field": (
        lambda t: _definition(t)["CalculatedFields"][0].update(Expression="sum({velocity})"),
        "CityDashboard: calculated field speed by readings: speed has no column velocity",
    ),
    "a calculated field called as a column is": (
        lambda t: _definition(t)["CalculatedFields"][0].update(Name="speed"),
        "CityDashboard: calculated field speed: speed has a column of that name",
    ),
    "a filter on a sheet that it does not concern": (
        lambda t: _definition(t)["FilterGroups"][3]["ScopeConfiguration"]["SelectedSheets"][
            "SheetVisualScopingConfigurations"
        ].append({"SheetId": "fuel", "Scope": "ALL_VISUALS"}),
        "CityDashboard: sheet fuel: weather-filter filters nothing there",
    ),
    "a column of a wrong type in a filter": (
        lambda t: _filter(t, 1)["Column"].update(ColumnName="km"),
        "CityDashboard: speed.km is INTEGER, which no CategoryFilter takes",
    ),
    "a filter's column of two types": (
        lambda t: _source(t, "CamerasDataSet")["Columns"][3].update(Type="INTEGER"),
        "CityDashboard: route-filter: route is of several types",
    ),
    "an unknown parameter in a filter": (
        lambda t: _filter(t, 0)["RangeMinimumValue"].update(Parameter="timeFrom"),
        "CityDashboard: there is no parameter timeFrom",
    ),
    "an unknown parameter in a control": (
        lambda t: _sheet(t)["ParameterControls"][0]["DateTimePicker"].update(SourceParameterName="timeFrom"),
        "CityDashboard: there is no parameter timeFrom",
    ),
    "a missing parameter": (
        lambda t: _definition(t)["ParameterDeclarations"].pop(),
        "CityDashboard: there is no parameter timeUntil",
    ),
    "a parameter twice": (
        lambda t: _definition(t)["ParameterDeclarations"].append(_definition(t)["ParameterDeclarations"][0]),
        "CityDashboard: parameter timeSince is there 2 times",
    ),
    "a duplicate visual id": (
        lambda t: _visual(t, "speed-map").update(VisualId="active-map"),
        "CityDashboard: VisualId active-map is there 2 times",
    ),
    "a duplicate sheet id": (
        lambda t: _sheet(t, 1).update(SheetId="city"),
        "CityDashboard: SheetId city is there 2 times",
    ),
    "a duplicate filter id": (
        lambda t: _filter(t, 1).update(FilterId="time-filter"),
        "CityDashboard: FilterId time-filter is there 2 times",
    ),
    "a missing filter": (
        lambda t: _definition(t)["FilterGroups"].pop(1),
        "CityDashboard: sheet city: shows the filter route-filter, which is not there",
    ),
    "a filter for a sheet that is not there": (
        lambda t: _definition(t)["FilterGroups"][0]["ScopeConfiguration"]["SelectedSheets"][
            "SheetVisualScopingConfigurations"
        ][0].update(SheetId="town"),
        "CityDashboard: time-filters: there is no sheet town",
    ),
    "a visual without a place": (
        lambda t: _elements(t).pop(),
        "CityDashboard: sheet city: active-map has no place",
    ),
    "a place of nothing": (
        lambda t: _elements(t)[0].update(ElementId="median-speed"),
        "CityDashboard: sheet city: there is a place for median-speed, which is not there",
    ),
    "a control without a place": (
        lambda t: _elements(t, "SheetControlLayouts").pop(),
        "CityDashboard: sheet city: city-route has no place",
    ),
    "visuals on each other": (
        lambda t: _elements(t)[1].update(ColumnIndex=8),
        "CityDashboard: sheet city: active-incidents lies on mean-speed",
    ),
    "a visual beyond the edge": (
        lambda t: _elements(t)[3].update(ColumnSpan=10),
        "CityDashboard: sheet city: worst-air-quality ends beyond column 36",
    ),
    "sorting by a field that is not there": (
        lambda t: _visual(t, "speed-along-route")["ChartConfiguration"]["SortConfiguration"]["CategorySort"][0][
            "FieldSort"
        ].update(FieldId="mile"),
        "CityDashboard: speed-along-route: there is no field mile",
    ),
    "a visual of two data sets": (
        lambda t: _wells(t, "speed-along-route", "LineChartAggregatedFieldWells")["Colors"][0][
            "CategoricalDimensionField"
        ]["Column"].update(DataSetIdentifier="track"),
        "CityDashboard: speed-along-route: asks 2 data sets",
    ),
    "a hierarchy that is not there": (
        lambda t: _visual(t, "speed-by-time").pop("ColumnHierarchies"),
        "CityDashboard: speed-by-time: the hierarchy speed-by-time.moment is not there",
    ),
    "a click on a visual of another sheet": (
        lambda t: _visual(t, "incidents-now")["Actions"][0]["ActionOperations"][0]["FilterOperation"][
            "TargetVisualsConfiguration"
        ]["SameSheetTargetVisualConfiguration"].update(TargetVisuals=["drives"]),
        "CityDashboard: incidents-now: a click filters the visual drives",
    ),
    "an unconditional data set": (
        lambda t: t["Resources"]["SpeedDataSet"].pop("Condition"),
        "SpeedDataSet: is made without the condition",
    ),
    "a query of an unknown column": (
        lambda t: _asked(t, "SpeedDataSet", "mean_speed_km_h", "average_speed_km_h"),
        "SpeedDataSet: Column 'average_speed_km_h' could not be resolved",
    ),
    "a query of an unknown table": (
        lambda t: _asked(t, "SpeedDataSet", "speed_by_km", "speed_by_mile"),
        "SpeedDataSet: there is no table speed_by_mile",
    ),
    "a query that is no SQL": (
        lambda t: _asked(t, "SpeedDataSet", "SELECT", "SELECT SELECT ("),
        "SpeedDataSet: ",
    ),
    "a column that the query does not answer": (
        lambda t: _source(t, "SpeedDataSet")["Columns"].append({"Name": "lane", "Type": "INTEGER"}),
        "SpeedDataSet: the query has no column lane",
    ),
    "a column that is not declared": (
        lambda t: _source(t, "SpeedDataSet")["Columns"].pop(),
        "SpeedDataSet: the query's column speed is not declared",
    ),
    "a column of a wrong type": (
        lambda t: _source(t, "SpeedDataSet")["Columns"][2].update(Type="DECIMAL"),
        "SpeedDataSet: route is VARCHAR in the query, and declared DECIMAL",
    ),
    "a time with a zone, which QuickSight does not read": (
        lambda t: _asked(t, "PlacesDataSet", 'CAST("timestamp" AS timestamp)', '"timestamp"'),
        "PlacesDataSet: moment is TIMESTAMP WITH TIME ZONE in the query, and declared DATETIME",
    ),
    "a tag on nothing": (
        lambda t: t["Resources"]["TrackDataSet"]["Properties"]["LogicalTableMap"]["track"]["DataTransforms"][0][
            "TagColumnOperation"
        ].update(ColumnName="lat"),
        "TrackDataSet: there is no column lat to tag",
    ),
    "a role that may not look up a table": (
        lambda t: _role(t, "ReadTheCatalog")["Resource"].pop(),
        "DashboardDataSource: its role may not look up the table weather_speed",
    ),
    "a role that may not read a stream's files": (
        lambda t: _role(t, "ReadMartsAndStreams")["Resource"].pop(),
        "DashboardDataSource: its role may not read the files of weather,",
    ),
    "a role that may not list the marts": (
        lambda t: _role(t, "ListMartsAndStreams")["Condition"]["StringLike"]["s3:prefix"].remove("marts/*"),
        "DashboardDataSource: its role may not list the files of city_hours",
    ),
    "a role on all tables' files": (
        lambda t: _role(t, "ReadMartsAndStreams")["Resource"].append({"Fn::Sub": "${LakeBucket.Arn}/*"}),
        "DashboardRole: s3:GetObject on all of ${LakeBucket.Arn}/*",
    ),
    "a dashboard's missing resource": (
        lambda t: t["Resources"].pop("DashboardDataSource"),
        "CityDataSet: there is no resource DashboardDataSource",
    ),
}


@pytest.mark.parametrize("mistake", SEEDED)
def test_a_seeded_mistake_is_caught(mistake: str) -> None:
    template = copy.deepcopy(TEMPLATE)
    seed, sentence = SEEDED[mistake]
    seed(template)
    assert any(found.startswith(sentence) for found in findings(template)), findings(template)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamedColumn:
    """The mart of kilometres, its mean speed under another name."""

    slot_at: str = required("Start", carrier="lake")
    route: str = required("Route", carrier="lake")
    km: int = required("Kilometre", carrier="lake")
    readings: int = required("Readings", carrier="lake")
    average_speed_km_h: float = required("Mean", carrier="lake")


def test_a_column_renamed_in_a_mart_is_caught_in_the_data_sets() -> None:
    marts = tuple(replace(mart, contract=RenamedColumn) if mart is SPEED_BY_KM else mart for mart in MARTS)
    found = [each for each in findings(TEMPLATE, marts) if each.startswith("SpeedDataSet")]
    assert any("mean_speed_km_h" in sentence for sentence in found), found


def test_a_dashboard_that_changes_changes_what_its_role_may_read() -> None:
    others = tuple(each for each in DASHBOARD.data_sets if each.name != "track")
    without = replace(DASHBOARD, data_sets=others)
    assert "table/${Database}/gps\n" in template_source()
    role = rendered(template_source(), dashboard=without).split("  DashboardRole:")[1].split("  BridgeRole:")[0]
    assert "/gps" not in role


def test_the_picture_is_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw(["--check", str(IMAGE)]) == 0
    stale = tmp_path / "dashboard.svg"
    stale.write_text(IMAGE.read_text(encoding="utf-8").replace("Speed along the route", "Speed"), encoding="utf-8")
    assert draw(["--check", str(stale)]) == 1
    assert "--write" in capsys.readouterr().err
    assert draw(["--write", str(stale)]) == 0
    assert stale.read_text(encoding="utf-8") == IMAGE.read_text(encoding="utf-8")
