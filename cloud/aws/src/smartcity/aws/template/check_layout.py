"""Whether everything on a QuickSight sheet has one place, and a place of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

GRID_COLUMNS = 36


def layout_findings(sheet: dict[str, Any]) -> Iterator[str]:
    """A sentence for each visual or control without a place, place of nothing, overlap, or place beyond the edge."""
    visuals = [next(iter(visual.values()))["VisualId"] for visual in sheet["Visuals"]]
    controls = [next(iter(each.values()))["ParameterControlId"] for each in sheet.get("ParameterControls", [])]
    controls += [next(iter(each.values()))["FilterControlId"] for each in sheet.get("FilterControls", [])]
    for layouts, names in (("Layouts", visuals), ("SheetControlLayouts", controls)):
        elements = [each for one in sheet[layouts] for each in one["Configuration"]["GridLayout"]["Elements"]]
        yield from _places([each["ElementId"] for each in elements], names)
        yield from _overlaps(elements)


def _places(placed: list[str], names: list[str]) -> Iterator[str]:
    yield from (f"{each} has no place" for each in names if each not in placed)
    yield from (f"there is a place for {each}, which is not there" for each in placed if each not in names)
    yield from (f"{each} has {count} places" for each, count in Counter(placed).items() if count > 1)


def _overlaps(elements: list[dict[str, Any]]) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for each in elements:
        name, left, top = each["ElementId"], each["ColumnIndex"], each["RowIndex"]
        if left + each["ColumnSpan"] > GRID_COLUMNS:
            yield f"{name} ends beyond column {GRID_COLUMNS}"
        cells = {
            (column, row)
            for column in range(left, left + each["ColumnSpan"])
            for row in range(top, top + each["RowSpan"])
        }
        yield from (f"{name} lies on {other}" for other in sorted({taken[cell] for cell in cells & taken.keys()}))
        taken |= dict.fromkeys(cells, name)
