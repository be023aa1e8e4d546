"""The dashboard as CloudFormation resources of QuickSight: data sets, and the dashboard over them.

The data source, the role behind it and the condition are written by hand in `template/smartcity.yaml`. The data sets
are asked directly: nothing is stored twice, a mart's new day is seen at once, and the Athena workgroup's limit holds.
"""

from __future__ import annotations

import re
from typing import Any

from smartcity.contracts.marts import MARTS
from smartcity.contracts.render.files import lake_tables

from ..template.console import computed
from .definition import GRID_COLUMNS, ColumnType, Control, Dashboard, DataSet, Filter, Sheet
from .quicksight_fields import calculated_fields, column_identifier
from .quicksight_visuals import quicksight_visual

CONDITION = "WithDashboard"
DATA_SOURCE = "DashboardDataSource"
DASHBOARD = "CityDashboard"
CONTROL_COLUMNS, CONTROL_WIDTH = 12, 2
TYPES = {
    ColumnType.TEXT: "STRING",
    ColumnType.INTEGER: "INTEGER",
    ColumnType.NUMBER: "DECIMAL",
    ColumnType.TIME: "DATETIME",
    ColumnType.LATITUDE: "DECIMAL",
    ColumnType.LONGITUDE: "DECIMAL",
}
"""QuickSight's `InputColumnDataType`."""
VIEW = ["quicksight:DescribeDashboard", "quicksight:ListDashboardVersions", "quicksight:QueryDashboard"]
"""What a viewer may do with a dashboard; it changes with the stack alone."""


def resources(dashboard: Dashboard) -> dict[str, dict[str, Any]]:
    """By logical id; intrinsic functions in their long form."""
    data_sets = {data_set_id(each): _resource("DataSet", _data_set(each)) for each in dashboard.data_sets}
    return {**data_sets, DASHBOARD: _resource("Dashboard", _dashboard(dashboard))}


def data_set_id(data_set: DataSet) -> str:
    """Logical id of a data set."""
    return "".join(word.capitalize() for word in data_set.name.split("_")) + "DataSet"


def tables_read(dashboard: Dashboard) -> tuple[str, ...]:
    """Tables and marts that the data sets ask."""
    names = "|".join([*lake_tables(), *(mart.name for mart in MARTS)])
    found = {
        name for each in dashboard.data_sets for name in re.findall(rf"\b(?:FROM|JOIN) ({names})\b", each.statement)
    }
    return tuple(sorted(found))


def streams_read(dashboard: Dashboard) -> tuple[str, ...]:
    """Those of them that are no marts."""
    return tuple(name for name in tables_read(dashboard) if name in lake_tables())


def _resource(kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    account = {"AwsAccountId": {"Ref": "AWS::AccountId"}}
    return {"Type": f"AWS::QuickSight::{kind}", "Condition": CONDITION, "Properties": {**account, **properties}}


def _data_set(data_set: DataSet) -> dict[str, Any]:
    table = data_set.name.replace("_", "-")
    source = {
        "DataSourceArn": {"Fn::GetAtt": [DATA_SOURCE, "Arn"]},
        "Name": table,
        "SqlQuery": {"Fn::Sub": _in_database(computed(data_set.statement, data_set.parameters))},
        "Columns": [{"Name": each.name, "Type": TYPES[each.type]} for each in data_set.columns],
    }
    logical: dict[str, Any] = {"Alias": data_set.title, "Source": {"PhysicalTableId": table}}
    places = [each for each in data_set.columns if each.type in (ColumnType.LATITUDE, ColumnType.LONGITUDE)]
    if places:
        logical["DataTransforms"] = [
            {"TagColumnOperation": {"ColumnName": each.name, "Tags": [{"ColumnGeographicRole": each.type.name}]}}
            for each in places
        ]
    return {
        "DataSetId": {"Fn::Sub": f"${{AWS::StackName}}-{table}"},
        "Name": {"Fn::Sub": f"{data_set.title} (${{AWS::StackName}})"},
        "ImportMode": "DIRECT_QUERY",
        "PhysicalTableMap": {table: {"CustomSql": source}},
        "LogicalTableMap": {table: logical},
    }


def _in_database(sql: str) -> str:
    """QuickSight sends its SQL without a database: each table of the lake is named with its own."""
    names = "|".join([*lake_tables(), *(mart.name for mart in MARTS)])
    return re.sub(rf"\b(FROM|JOIN) ({names})\b", r'\1 "${Database}".\2', sql)


def _dashboard(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "DashboardId": {"Ref": "AWS::StackName"},
        "Name": {"Fn::Sub": f"{dashboard.title} (${{AWS::StackName}})"},
        "Permissions": [{"Principal": {"Ref": "DashboardPrincipalArn"}, "Actions": VIEW}],
        "DashboardPublishOptions": {
            "AdHocFilteringOption": {"AvailabilityStatus": "ENABLED"},
            "ExportToCSVOption": {"AvailabilityStatus": "ENABLED"},
            "SheetControlsOption": {"VisibilityState": "EXPANDED"},
        },
        "ValidationStrategy": {"Mode": "STRICT"},
        "Definition": definition(dashboard),
    }


def definition(dashboard: Dashboard) -> dict[str, Any]:
    """`Definition` of a dashboard."""
    return {
        "DataSetIdentifierDeclarations": [
            {"Identifier": each.name, "DataSetArn": {"Fn::GetAtt": [data_set_id(each), "Arn"]}}
            for each in dashboard.data_sets
        ],
        "CalculatedFields": calculated_fields(dashboard),
        "ParameterDeclarations": [
            declared
            for each in dashboard.filters
            if each.control is Control.RANGE
            for declared in (_limit(f"{each.id}Since", -each.days), _limit(f"{each.id}Until", 1))
        ],
        "FilterGroups": [_filter_group(dashboard, each) for each in dashboard.filters],
        "Sheets": [_sheet(dashboard, each) for each in dashboard.sheets],
    }


def _limit(name: str, days: int) -> dict[str, Any]:
    first = {"RollingDate": {"Expression": f"addDateTime({days}, 'DD', truncDate('DD', now()))"}}
    return {"DateTimeParameterDeclaration": {"Name": name, "TimeGranularity": "MINUTE", "DefaultValues": first}}


def _filter_group(dashboard: Dashboard, each: Filter) -> dict[str, Any]:
    column = {"FilterId": f"{each.id}-filter", "Column": column_identifier(each.source, each.column)}
    if each.control is Control.RANGE:
        one: dict[str, Any] = {
            "TimeRangeFilter": {
                **column,
                "RangeMinimumValue": {"Parameter": f"{each.id}Since"},
                "RangeMaximumValue": {"Parameter": f"{each.id}Until"},
                "IncludeMinimum": True,
                "IncludeMaximum": False,
                "TimeGranularity": "MINUTE",
                "NullOption": "NON_NULLS_ONLY",
            }
        }
    else:
        every = {
            "MatchOperator": "CONTAINS",
            "SelectAllOptions": "FILTER_ALL_VALUES",
            "NullOption": "ALL_VALUES",
        }
        select = {"Type": "MULTI_SELECT", "DisplayOptions": {"SelectAllOptions": {"Visibility": "VISIBLE"}}}
        one = {
            "CategoryFilter": {
                **column,
                "Configuration": {"FilterListConfiguration": every},
                "DefaultFilterControlConfiguration": {
                    "Title": each.title,
                    "ControlOptions": {"DefaultDropdownOptions": select},
                },
            }
        }
    scope = [{"SheetId": sheet.id, "Scope": "ALL_VISUALS"} for sheet in dashboard.sheets if each.id in sheet.filters]
    return {
        "FilterGroupId": f"{each.id}-filters",
        "CrossDataset": "ALL_DATASETS",
        "Status": "ENABLED",
        "ScopeConfiguration": {"SelectedSheets": {"SheetVisualScopingConfigurations": scope}},
        "Filters": [one],
    }


def _sheet(dashboard: Dashboard, sheet: Sheet) -> dict[str, Any]:
    pickers, selects = [], []
    for each in (dashboard.filter(name) for name in sheet.filters):
        if each.control is Control.RANGE:
            pickers += [_picker(sheet, each, "Since"), _picker(sheet, each, "Until")]
        else:
            selects.append(
                {"CrossSheet": {"FilterControlId": f"{sheet.id}-{each.id}", "SourceFilterId": f"{each.id}-filter"}}
            )
    controls = [("PARAMETER_CONTROL", each["DateTimePicker"]["ParameterControlId"]) for each in pickers]
    controls += [("FILTER_CONTROL", each["CrossSheet"]["FilterControlId"]) for each in selects]
    return {
        "SheetId": sheet.id,
        "Name": sheet.title,
        "ContentType": "INTERACTIVE",
        "ParameterControls": pickers,
        "FilterControls": selects,
        "SheetControlLayouts": [{"Configuration": {"GridLayout": {"Elements": _in_line(controls)}}}],
        "Layouts": [{"Configuration": {"GridLayout": {"Elements": _placed(sheet)}}}],
        "Visuals": [quicksight_visual(dashboard, sheet, each) for each in sheet.visuals],
    }


def _picker(sheet: Sheet, each: Filter, limit: str) -> dict[str, Any]:
    return {
        "DateTimePicker": {
            "ParameterControlId": f"{sheet.id}-{each.id}-{limit.lower()}",
            "Title": f"{each.title} {limit.lower()}",
            "SourceParameterName": f"{each.id}{limit}",
        }
    }


def _in_line(controls: list[tuple[str, str]]) -> list[dict[str, Any]]:
    per_row = CONTROL_COLUMNS // CONTROL_WIDTH
    return [
        _element(
            kind,
            name,
            left=number % per_row * CONTROL_WIDTH,
            top=number // per_row,
            width=CONTROL_WIDTH,
            height=1,
        )
        for number, (kind, name) in enumerate(controls)
    ]


def _placed(sheet: Sheet) -> list[dict[str, Any]]:
    elements, top = [], 0
    for row in sheet.rows:
        left = 0
        for visual in row.visuals:
            place = _element("VISUAL", visual.id, left=left, top=top, width=visual.width, height=row.height)
            elements.append(place)
            left += visual.width
        if left > GRID_COLUMNS:
            raise ValueError(f"a row of the sheet {sheet.id} is {left} wide; {GRID_COLUMNS} is all there is")
        top += row.height
    return elements


def _element(kind: str, name: str, *, left: int, top: int, width: int, height: int) -> dict[str, Any]:
    return {
        "ElementId": name,
        "ElementType": kind,
        "ColumnIndex": left,
        "RowIndex": top,
        "ColumnSpan": width,
        "RowSpan": height,
    }
