"""What a dashboard is made of, before anybody draws it: data sets, sheets of visuals, filters.

Two renderers are meant to read it: `quicksight` makes CloudFormation resources of it, and whoever can run SQL through
Athena gets each visual's rows by `ask`. What both rely on:

- A filter applies to every visual of the sheets that show it whose data set has its column.
- A click on a visual with `click_filters` filters the other visuals of its sheet that have the columns clicked on.
- A KPI with a time as its dimension shows the newest value, and the others as its course.
- A map's dimensions are its latitude and longitude; its measure is a point's size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from ..saved import Parameter, parameters_of, with_values

GRID_COLUMNS = 36
"""Width of a sheet; a row's visuals share it."""


class ColumnType(Enum):
    """What a data set's column holds. Times are UTC, without a zone. Positions are numbers of degrees."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    TIME = "time"
    LATITUDE = "latitude"
    LONGITUDE = "longitude"

    @property
    def is_number(self) -> bool:
        return self not in (ColumnType.TEXT, ColumnType.TIME)


class Aggregation(Enum):
    """How a measure comes from its column's values; nulls count nowhere."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    MEDIAN = "median"
    WEIGHTED_MEAN = "weighted mean"


class Grain(Enum):
    """What a time is cut to."""

    HOUR = "hour"
    DAY = "day"


class Kind(Enum):
    """How a visual is drawn."""

    KPI = "number"
    LINE = "lines"
    BAR = "bars"
    STACKED_BAR = "stacked bars"
    HEAT_MAP = "heat map"
    MAP = "map"
    TABLE = "table"


class Control(Enum):
    """How a filter is set: values of a text column, or a range of times."""

    CHOICE = "choice"
    RANGE = "range"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A data set's column, as its SQL names it."""

    name: str
    type: ColumnType
    unit: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A question to the lake, in Athena's SQL, whose tables are named without their database."""

    name: str
    title: str
    text: str
    """With its comments, and parameters as `:name`, in the form of the saved queries."""
    columns: tuple[Column, ...]

    @property
    def statement(self) -> str:
        """The SQL without its comments."""
        return "\n".join(line for line in self.text.splitlines() if not line.startswith("--"))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What bounds its rows."""
        return parameters_of(self.text)

    def query(self, given: Mapping[str, str] | None = None, *, now: datetime | None = None) -> str:
        """The SQL with its parameters' values, or their defaults. Values for what it has no parameter for are left out,
        so that one set of values serves all data sets.

        Raises:
            QueryError: a value is not of its parameter's kind.
        """
        own = {each.name for each in self.parameters}
        known = {name: value for name, value in (given or {}).items() if name in own}
        return with_values(self.statement, self.parameters, known, now=now)

    def column(self, name: str) -> Column | None:
        """The column of a name."""
        return next((each for each in self.columns if each.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """What a visual groups by; times are cut to `by`."""

    column: str
    by: Grain | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What a visual shows of each group. `weight` is the column that weighs a `WEIGHTED_MEAN`."""

    column: str
    aggregation: Aggregation
    title: str
    weight: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A table's column with an object key of a frame in the lake's bucket, shown as a link of this text."""

    column: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visual:
    """One picture of a data set. A table lists `columns` of single rows, newest `newest_first` first; the others group
    by `dimensions` and, within them, by `color`.
    """

    id: str
    kind: Kind
    title: str
    data_set: str
    width: int
    dimensions: tuple[Dimension, ...] = ()
    measures: tuple[Measure, ...] = ()
    color: str = ""
    columns: tuple[str, ...] = ()
    newest_first: str = ""
    link: Link | None = None
    click_filters: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Visuals beside each other, `height` rows of the grid high."""

    height: int
    visuals: tuple[Visual, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One page, with the filters that it shows, by their ids."""

    id: str
    title: str
    filters: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def visuals(self) -> tuple[Visual, ...]:
        return tuple(visual for row in self.rows for visual in row.visuals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A choice of the reader. `source` is the data set whose values a CHOICE offers; `days` is how far back a RANGE
    reaches at first, up to the end of today.
    """

    id: str
    title: str
    column: str
    control: Control
    source: str
    days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """All of it."""

    title: str
    data_sets: tuple[DataSet, ...]
    filters: tuple[Filter, ...]
    sheets: tuple[Sheet, ...]

    def data_set(self, name: str) -> DataSet:
        """The data set of a name.

        Raises:
            KeyError: there is none.
        """
        return {each.name: each for each in self.data_sets}[name]

    def filter(self, name: str) -> Filter:
        """The filter of an id.

        Raises:
            KeyError: there is none.
        """
        return {each.id: each for each in self.filters}[name]

    def placed(self) -> Iterator[tuple[Sheet, Visual]]:
        """Every visual with its sheet."""
        for sheet in self.sheets:
            for visual in sheet.visuals:
                yield sheet, visual


def targets(dashboard: Dashboard, sheet: Sheet, visual: Visual) -> tuple[Visual, ...]:
    """The visuals of its sheet that a click on this one filters."""
    clicked = {each.column for each in visual.dimensions} | ({visual.color} if visual.color else set())
    return tuple(
        each
        for each in sheet.visuals
        if each.id != visual.id and all(dashboard.data_set(each.data_set).column(column) for column in clicked)
    )
