"""A visual's dimensions and measures as QuickSight's fields, and the calculated fields that they need.

Sources: Amazon QuickSight API Reference, `DimensionField`, `MeasureField`, `CalculatedField`.
"""

from __future__ import annotations

from typing import Any

from .definition import Aggregation, ColumnType, Dashboard, DataSet, Dimension, Grain, Measure, Visual

_SIMPLE = {
    Aggregation.COUNT: "COUNT",
    Aggregation.SUM: "SUM",
    Aggregation.MEAN: "AVERAGE",
    Aggregation.MAX: "MAX",
    Aggregation.MEDIAN: "MEDIAN",
}
_ONE_DECIMAL = {
    "FormatConfiguration": {"NumberDisplayFormatConfiguration": {"DecimalPlacesConfiguration": {"DecimalPlaces": 1}}}
}
FRAME_PAGE = "https://${AWS::Region}.console.aws.amazon.com/s3/object/${LakeBucket}?region=${AWS::Region}&prefix="
"""The S3 console's page of an object: the bucket is closed, and a signed address would be good for an hour or so."""


def column_identifier(data_set: str, column: str) -> dict[str, Any]:
    """A column, as QuickSight names it."""
    return {"DataSetIdentifier": data_set, "ColumnName": column}


def field_id(visual: Visual, name: str) -> str:
    """Id of a visual's field."""
    return f"{visual.id}.{name}"


def dimension_fields(dashboard: Dashboard, visual: Visual) -> list[dict[str, Any]]:
    """Of all its dimensions."""
    return [_dimension(dashboard.data_set(visual.data_set), visual, each) for each in visual.dimensions]


def color_fields(dashboard: Dashboard, visual: Visual) -> list[dict[str, Any]]:
    """Of its color, if it has one."""
    if not visual.color:
        return []
    return [_dimension(dashboard.data_set(visual.data_set), visual, Dimension(column=visual.color))]


def _dimension(data_set: DataSet, visual: Visual, dimension: Dimension) -> dict[str, Any]:
    column = _known(data_set, dimension.column)
    identity = field_id(visual, dimension.column)
    field = {"FieldId": identity, "Column": column_identifier(data_set.name, dimension.column)}
    if column is ColumnType.TIME:
        grain = (dimension.by or Grain.HOUR).name
        return {"DateDimensionField": {**field, "DateGranularity": grain, "HierarchyId": identity}}
    return {"NumericalDimensionField" if column.is_number else "CategoricalDimensionField": field}


def hierarchies(dashboard: Dashboard, visual: Visual) -> list[dict[str, Any]]:
    """What a reader may drill down and up: the times of a visual."""
    data_set = dashboard.data_set(visual.data_set)
    return [
        {"DateTimeHierarchy": {"HierarchyId": field_id(visual, each.column)}}
        for each in visual.dimensions
        if _known(data_set, each.column) is ColumnType.TIME
    ]


def measure_fields(dashboard: Dashboard, visual: Visual) -> list[dict[str, Any]]:
    """Of all its measures."""
    data_set = dashboard.data_set(visual.data_set)
    return [_measure(data_set, visual, number, each) for number, each in enumerate(visual.measures, 1)]


def _measure(data_set: DataSet, visual: Visual, number: int, measure: Measure) -> dict[str, Any]:
    field: dict[str, Any] = {"FieldId": field_id(visual, f"measure_{number}")}
    if measure.aggregation is Aggregation.WEIGHTED_MEAN:
        calculated = column_identifier(data_set.name, weighted_name(measure))
        return {"NumericalMeasureField": {**field, "Column": calculated, "FormatConfiguration": _ONE_DECIMAL}}
    field["Column"] = column_identifier(data_set.name, measure.column)
    function = _SIMPLE[measure.aggregation]
    if not _known(data_set, measure.column).is_number:
        return {"CategoricalMeasureField": {**field, "AggregationFunction": function}}
    return {
        "NumericalMeasureField": {
            **field,
            "AggregationFunction": {"SimpleNumericalAggregation": function},
            "FormatConfiguration": _ONE_DECIMAL,
        }
    }


def weighted_name(measure: Measure) -> str:
    """Name of the calculated field that is a weighted mean."""
    return f"{measure.column} by {measure.weight}"


def link_name(visual: Visual) -> str:
    """Name of the calculated field that is a link."""
    return f"{visual.link.column} link" if visual.link else ""


def calculated_fields(dashboard: Dashboard) -> list[dict[str, Any]]:
    """Every weighted mean and link, once."""
    found: dict[tuple[str, str], Any] = {}
    for _, visual in dashboard.placed():
        for each in visual.measures:
            if each.aggregation is Aggregation.WEIGHTED_MEAN:
                column, weight = f"{{{each.column}}}", f"{{{each.weight}}}"
                expression = f"sum({column} * {weight}) / sum(ifelse(isNull({column}), 0, {weight}))"
                found[visual.data_set, weighted_name(each)] = expression
        if visual.link:
            expression_of_link = {"Fn::Sub": f"concat('{FRAME_PAGE}', {{{visual.link.column}}})"}
            found[visual.data_set, link_name(visual)] = expression_of_link
    return [
        {"DataSetIdentifier": data_set, "Name": name, "Expression": expression}
        for (data_set, name), expression in found.items()
    ]


def _known(data_set: DataSet, name: str) -> ColumnType:
    column = data_set.column(name)
    if column is None:
        raise KeyError(f"the data set {data_set.name} has no column {name}")
    return column.type
