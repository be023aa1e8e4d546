"""Visuals as QuickSight has them. Source: Amazon QuickSight API Reference, `Visual` and its kinds."""

from __future__ import annotations

from typing import Any

from .definition import ColumnType, Dashboard, Kind, Sheet, Visual, targets
from .quicksight_fields import (
    color_fields,
    column_identifier,
    dimension_fields,
    field_id,
    hierarchies,
    link_name,
    measure_fields,
)


def quicksight_visual(dashboard: Dashboard, sheet: Sheet, visual: Visual) -> dict[str, Any]:
    """One visual, its fields, labels, sorting and what a click does."""
    kind, configuration = {
        Kind.KPI: _kpi,
        Kind.LINE: _line,
        Kind.BAR: _bar,
        Kind.STACKED_BAR: _bar,
        Kind.HEAT_MAP: _heat_map,
        Kind.MAP: _map,
        Kind.TABLE: _table,
    }[visual.kind](dashboard, visual)
    whole: dict[str, Any] = {
        "VisualId": visual.id,
        "Title": {"Visibility": "VISIBLE", "FormatText": {"PlainText": visual.title}},
        "Subtitle": {"Visibility": "VISIBLE", "FormatText": {"PlainText": visual.note}}
        if visual.note
        else {"Visibility": "HIDDEN"},
        "ChartConfiguration": configuration,
    }
    if visual.click_filters:
        whole["Actions"] = [_filter_action(dashboard, sheet, visual)]
    if visual.kind is not Kind.TABLE and hierarchies(dashboard, visual):
        whole["ColumnHierarchies"] = hierarchies(dashboard, visual)
    return {kind: whole}


def _filter_action(dashboard: Dashboard, sheet: Sheet, visual: Visual) -> dict[str, Any]:
    others = [each.id for each in targets(dashboard, sheet, visual)]
    operation = {
        "SelectedFieldsConfiguration": {"SelectedFieldOptions": "ALL_FIELDS"},
        "TargetVisualsConfiguration": {"SameSheetTargetVisualConfiguration": {"TargetVisuals": others}},
    }
    return {
        "CustomActionId": f"{visual.id}-filters",
        "Name": "Filter the sheet",
        "Status": "ENABLED",
        "Trigger": "DATA_POINT_CLICK",
        "ActionOperations": [{"FilterOperation": operation}],
    }


def _kpi(dashboard: Dashboard, visual: Visual) -> tuple[str, dict[str, Any]]:
    trend = dimension_fields(dashboard, visual)
    wells = {"Values": measure_fields(dashboard, visual), "TargetValues": [], "TrendGroups": trend}
    configuration: dict[str, Any] = {"FieldWells": {name: fields for name, fields in wells.items() if fields}}
    if trend:
        newest = _sorted(field_id(visual, visual.dimensions[0].column), "DESC")
        configuration["SortConfiguration"] = {"TrendGroupSort": newest}
        configuration["KPIOptions"] = {"Sparkline": {"Visibility": "VISIBLE", "Type": "AREA"}}
    return "KPIVisual", configuration


def _line(dashboard: Dashboard, visual: Visual) -> tuple[str, dict[str, Any]]:
    return "LineChartVisual", {
        "FieldWells": {"LineChartAggregatedFieldWells": _wells(dashboard, visual)},
        "SortConfiguration": {"CategorySort": _sorted(field_id(visual, visual.dimensions[0].column), "ASC")},
        "Type": "LINE",
        "XAxisLabelOptions": _label(_title(dashboard, visual)),
        "PrimaryYAxisLabelOptions": _label(visual.measures[0].title),
    }


def _bar(dashboard: Dashboard, visual: Visual) -> tuple[str, dict[str, Any]]:
    dimension = visual.dimensions[0].column
    column = dashboard.data_set(visual.data_set).column(dimension)
    by_measure = column is not None and column.type is ColumnType.TEXT
    order = (
        _sorted(field_id(visual, "measure_1"), "DESC") if by_measure else _sorted(field_id(visual, dimension), "ASC")
    )
    return "BarChartVisual", {
        "FieldWells": {"BarChartAggregatedFieldWells": _wells(dashboard, visual)},
        "SortConfiguration": {"CategorySort": order},
        "Orientation": "VERTICAL",
        "BarsArrangement": "STACKED" if visual.kind is Kind.STACKED_BAR else "CLUSTERED",
        "CategoryLabelOptions": _label(_title(dashboard, visual)),
        "ValueLabelOptions": _label(visual.measures[0].title),
    }


def _wells(dashboard: Dashboard, visual: Visual) -> dict[str, Any]:
    wells = {
        "Category": dimension_fields(dashboard, visual),
        "Values": measure_fields(dashboard, visual),
        "Colors": color_fields(dashboard, visual),
    }
    return {name: fields for name, fields in wells.items() if fields}


def _heat_map(dashboard: Dashboard, visual: Visual) -> tuple[str, dict[str, Any]]:
    rows, columns = dimension_fields(dashboard, visual)
    wells = {"Rows": [rows], "Columns": [columns], "Values": measure_fields(dashboard, visual)}
    first, second = (_sorted(field_id(visual, each.column), "ASC") for each in visual.dimensions)
    return "HeatMapVisual", {
        "FieldWells": {"HeatMapAggregatedFieldWells": wells},
        "SortConfiguration": {"HeatMapRowSort": first, "HeatMapColumnSort": second},
        "RowLabelOptions": _label(_title(dashboard, visual)),
        "ColumnLabelOptions": _label(_title(dashboard, visual, 1)),
    }


def _map(dashboard: Dashboard, visual: Visual) -> tuple[str, dict[str, Any]]:
    wells = {
        "Geospatial": dimension_fields(dashboard, visual),
        "Values": measure_fields(dashboard, visual),
        "Colors": color_fields(dashboard, visual),
    }
    return "GeospatialMapVisual", {
        "FieldWells": {"GeospatialMapAggregatedFieldWells": wells},
        "WindowOptions": {"MapZoomMode": "AUTO"},
        "MapStyleOptions": {"BaseMapStyle": "LIGHT_GRAY"},
        "PointStyleOptions": {"SelectedPointStyle": "POINT"},
    }


def _table(dashboard: Dashboard, visual: Visual) -> tuple[str, dict[str, Any]]:
    data_set = dashboard.data_set(visual.data_set)
    fields, options = [], []
    for name in visual.columns:
        column = data_set.column(name)
        linked = visual.link is not None and visual.link.column == name
        shown = link_name(visual) if linked else name
        fields.append({"FieldId": field_id(visual, name), "Column": column_identifier(data_set.name, shown)})
        unit = f", {column.unit}" if column and column.unit else ""
        option: dict[str, Any] = {
            "FieldId": field_id(visual, name),
            "CustomLabel": f"{column.title if column else name}{unit}",
        }
        if linked and visual.link:
            content = {"Value": visual.link.text, "FontConfiguration": {"FontDecoration": "UNDERLINE"}}
            option["URLStyling"] = {
                "LinkConfiguration": {"Target": "NEW_TAB", "Content": {"CustomTextContent": content}}
            }
        options.append(option)
    return "TableVisual", {
        "FieldWells": {"TableUnaggregatedFieldWells": {"Values": fields}},
        "SortConfiguration": {"RowSort": _sorted(field_id(visual, visual.newest_first), "DESC")},
        "FieldOptions": {"SelectedFieldOptions": options},
    }


def _sorted(field: str, direction: str) -> list[dict[str, Any]]:
    return [{"FieldSort": {"FieldId": field, "Direction": direction}}]


def _label(text: str) -> dict[str, Any]:
    return {"AxisLabelOptions": [{"CustomLabel": text}]}


def _title(dashboard: Dashboard, visual: Visual, number: int = 0) -> str:
    column = dashboard.data_set(visual.data_set).column(visual.dimensions[number].column)
    return column.title if column else ""
