"""What neither cfn-lint nor botocore checks of a QuickSight dashboard: that every column, parameter, filter, sheet and
visual that it names is there, once, and fits; and that every visual has a place of its own.

`dashboard_findings` returns sentences, one per finding; none is good.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from .check_data_sets import columns_of
from .check_layout import layout_findings

_NUMBERS = ("INTEGER", "DECIMAL", "CALCULATED")
_FITS = {
    "CategoricalDimensionField": ("STRING",),
    "CategoricalMeasureField": ("STRING",),
    "NumericalDimensionField": _NUMBERS,
    "NumericalMeasureField": _NUMBERS,
    "DateDimensionField": ("DATETIME",),
    "DateMeasureField": ("DATETIME",),
    "CategoryFilter": ("STRING",),
    "TimeRangeFilter": ("DATETIME",),
}
"""Types of a column that a field or filter of a kind takes; CALCULATED is a calculated field's."""
_IDENTITIES = (
    "Identifier",
    "VisualId",
    "FilterId",
    "FilterGroupId",
    "FilterControlId",
    "ParameterControlId",
    "CustomActionId",
)
"""Keys that stand only where a thing gets its id, and not where it is named; `SheetId` stands in both."""
_PARAMETER_NAMES = ("ParameterName", "SourceParameterName", "DestinationParameterName", "Parameter")


def dashboard_findings(template: Mapping[str, Any]) -> list[str]:
    """All of them, for every dashboard of the template."""
    found = []
    for name, resource in template["Resources"].items():
        if resource["Type"].startswith("AWS::QuickSight::") and resource.get("Condition") != "WithDashboard":
            found.append(f"{name}: is made without the condition WithDashboard")
        if resource["Type"] == "AWS::QuickSight::Dashboard":
            definition = resource["Properties"]["Definition"]
            found += [f"{name}: {sentence}" for sentence in _definition(definition, template["Resources"])]
    return found


def _definition(definition: dict[str, Any], resources: Mapping[str, Any]) -> Iterator[str]:
    columns = _columns(definition, resources)
    yield from _data_sets(definition, resources)
    yield from _repeated(definition)
    yield from _calculations(definition, columns)
    yield from _column_names(definition, columns)
    yield from _parameters(definition)
    yield from _filters(definition, columns)
    for sheet in definition["Sheets"]:
        yield from (f"sheet {sheet['SheetId']}: {sentence}" for sentence in layout_findings(sheet))
        for visual in sheet["Visuals"]:
            yield from _visual(sheet, *next(iter(visual.items())))


def _columns(definition: dict[str, Any], resources: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Columns of each data set by its identifier, calculated fields among them."""
    columns = {}
    for declared in definition["DataSetIdentifierDeclarations"]:
        resource = resources.get(declared["DataSetArn"]["Fn::GetAtt"][0])
        if resource is not None:
            columns[declared["Identifier"]] = columns_of(resource["Properties"])
    for each in definition.get("CalculatedFields", []):
        columns.get(each["DataSetIdentifier"], {}).setdefault(each["Name"], "CALCULATED")
    return columns


def _data_sets(definition: dict[str, Any], resources: Mapping[str, Any]) -> Iterator[str]:
    declared = {each["DataSetArn"]["Fn::GetAtt"][0] for each in definition["DataSetIdentifierDeclarations"]}
    there = {name for name, each in resources.items() if each["Type"] == "AWS::QuickSight::DataSet"}
    yield from (f"there is no data set {each}" for each in sorted(declared - there))
    yield from (f"the data set {each} is not declared" for each in sorted(there - declared))


def _repeated(definition: dict[str, Any]) -> Iterator[str]:
    yield from _twice("SheetId", [sheet["SheetId"] for sheet in definition["Sheets"]])
    for key in _IDENTITIES:
        yield from _twice(key, list(_values(definition, key)))
    yield from _twice("parameter", _declared(definition))
    fields = [(each["DataSetIdentifier"], each["Name"]) for each in definition.get("CalculatedFields", [])]
    yield from _twice("calculated field", [" ".join(each) for each in fields])


def _twice(what: str, names: list[str]) -> Iterator[str]:
    yield from (f"{what} {name} is there {count} times" for name, count in Counter(names).items() if count > 1)


def _calculations(definition: dict[str, Any], columns: dict[str, dict[str, str]]) -> Iterator[str]:
    for each in definition.get("CalculatedFields", []):
        if columns.get(each["DataSetIdentifier"], {}).get(each["Name"]) != "CALCULATED":
            yield f"calculated field {each['Name']}: {each['DataSetIdentifier']} has a column of that name"
        expression = each["Expression"]
        text = expression["Fn::Sub"] if isinstance(expression, dict) else expression
        for name in re.findall(r"(?<!\$)\{([^}]+)\}", text):
            if name not in columns.get(each["DataSetIdentifier"], {}):
                yield f"calculated field {each['Name']}: {each['DataSetIdentifier']} has no column {name}"


def _column_names(value: Any, columns: dict[str, dict[str, str]], kind: str = "") -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _column_names(each, columns, kind)
    for key, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict) and "ColumnName" in inner:
            data_set, column = inner.get("DataSetIdentifier"), inner["ColumnName"]
            if data_set not in columns:
                yield f"there is no data set identifier {data_set}"
            elif column not in columns[data_set]:
                yield f"{data_set} has no column {column}"
            elif kind in _FITS and columns[data_set][column] not in _FITS[kind]:
                yield f"{data_set}.{column} is {columns[data_set][column]}, which no {kind} takes"
        else:
            yield from _column_names(inner, columns, key)


def _declared(definition: dict[str, Any]) -> list[str]:
    return [next(iter(each.values()))["Name"] for each in definition.get("ParameterDeclarations", [])]


def _parameters(definition: dict[str, Any]) -> Iterator[str]:
    declared, used = set(_declared(definition)), set()
    for key in _PARAMETER_NAMES:
        used |= set(_values(definition, key))
    yield from (f"there is no parameter {each}" for each in sorted(used - declared))
    yield from (f"nothing uses the parameter {each}" for each in sorted(declared - used))


def _filters(definition: dict[str, Any], columns: dict[str, dict[str, str]]) -> Iterator[str]:
    reach: dict[str, set[str]] = {}
    for group in definition["FilterGroups"]:
        yield from (f"{group['FilterGroupId']}: {sentence}" for sentence in _scope(group, definition["Sheets"]))
        for kind, each in (next(iter(one.items())) for one in group["Filters"]):
            reach[each["FilterId"]] = {scope["SheetId"] for scope in _scopes(group)}
            column = each["Column"]["ColumnName"]
            holders = {name: known[column] for name, known in columns.items() if column in known}
            types = set(holders.values())
            if group["CrossDataset"] == "ALL_DATASETS" and types - set(_FITS[kind]):
                yield f"{each['FilterId']}: {column} is of several types in the data sets: {', '.join(sorted(types))}"
            if "DefaultFilterControlConfiguration" in each and len(reach[each["FilterId"]]) < 2:
                yield f"{each['FilterId']}: has a control for several sheets, and one sheet"
            for sheet in definition["Sheets"]:
                read = set(_values(sheet["Visuals"], "DataSetIdentifier"))
                if sheet["SheetId"] in reach[each["FilterId"]] and not read & holders.keys():
                    yield f"sheet {sheet['SheetId']}: {each['FilterId']} filters nothing there"
    for sheet in definition["Sheets"]:
        for source in _values(sheet.get("FilterControls", []), "SourceFilterId"):
            if sheet["SheetId"] not in reach.get(source, set()):
                yield f"sheet {sheet['SheetId']}: shows the filter {source}, which is not there or is for other sheets"


def _scope(group: dict[str, Any], sheets: list[dict[str, Any]]) -> Iterator[str]:
    visuals = {sheet["SheetId"]: _visual_ids(sheet) for sheet in sheets}
    for scope in _scopes(group):
        if scope["SheetId"] not in visuals:
            yield f"there is no sheet {scope['SheetId']}"
        for visual in set(scope.get("VisualIds", [])) - visuals.get(scope["SheetId"], set()):
            yield f"the sheet {scope['SheetId']} has no visual {visual}"


def _scopes(group: dict[str, Any]) -> list[dict[str, Any]]:
    scopes: list[dict[str, Any]] = group["ScopeConfiguration"]["SelectedSheets"]["SheetVisualScopingConfigurations"]
    return scopes


def _visual(sheet: dict[str, Any], kind: str, visual: dict[str, Any]) -> Iterator[str]:
    name, configuration = visual["VisualId"], visual["ChartConfiguration"]
    fields = list(_values(configuration["FieldWells"], "FieldId"))
    yield from (f"{name}: {sentence}" for sentence in _twice("field", fields))
    used = set(_values({k: v for k, v in configuration.items() if k != "FieldWells"}, "FieldId"))
    yield from (f"{name}: there is no field {each}" for each in sorted(used - set(fields)))
    wanted = set(_values(configuration, "HierarchyId"))
    there = set(_values(visual.get("ColumnHierarchies", []), "HierarchyId"))
    yield from (f"{name}: the hierarchy {each} is not there or not used" for each in sorted(wanted ^ there))
    data_sets = set(_values(configuration["FieldWells"], "DataSetIdentifier"))
    if len(data_sets) != 1:
        yield f"{name}: asks {len(data_sets)} data sets, and a visual can ask one"
    for targets in _values(visual.get("Actions", []), "TargetVisuals"):
        if not targets:
            yield f"{name}: a click filters nothing"
        for each in set(targets) - _visual_ids(sheet):
            yield f"{name}: a click filters the visual {each}, which its sheet does not have"


def _visual_ids(sheet: dict[str, Any]) -> set[str]:
    return {next(iter(visual.values()))["VisualId"] for visual in sheet["Visuals"]}


def _values(value: Any, key: str) -> Iterator[Any]:
    """Every value under a key, however deep."""
    if isinstance(value, list):
        for each in value:
            yield from _values(each, key)
    for name, inner in value.items() if isinstance(value, dict) else ():
        if name == key:
            yield inner
        else:
            yield from _values(inner, key)
