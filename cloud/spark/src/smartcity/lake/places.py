"""Route and distance along it, as Spark expressions: `contracts.routes.locate` without a Python worker.

The lines' segments are laid out in a grid once; a position looks up its cell and is projected on that cell's few
segments. Every segment that is the nearest one within ON_ROUTE_MAX_M for some position of a cell stands in it; a
position whose cell is absent lies on no route.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as fn

from smartcity.contracts.routes import ON_ROUTE_MAX_M, ROUTE_NAMES, Route, metres_per_degree, nearest_part, route

CELLS_PER_DEGREE = 800
"""About 140 m: two segments stand in a cell, on the average over the roads; the time of a look-up goes with them."""
_CELLS_AROUND = 360 * CELLS_PER_DEGREE
_SAMPLE_M = 200.0
_REACH_M = ON_ROUTE_MAX_M + _SAMPLE_M / 2 + 10
"""A position within ON_ROUTE_MAX_M of a segment lies this near to one of the segment's samples."""

LineSegment = tuple[str, float, float, float, float, float, float]
"""Route, then latitude, longitude and km at the start, and their differences to the end."""

Projected = tuple[float, float, float, float, float, float, float, float, float, str]
"""A segment as a cell's look-up needs it, see `_project`; the fields are those of GRID_SCHEMA."""

_NUMBERS = ("by_lat", "by_lon", "at_origin", "x0", "y0", "dx", "dy", "km0", "dkm")
_PROJECTED = pa.struct([*((name, pa.float64()) for name in _NUMBERS), ("route", pa.string())])
GRID_SCHEMA = pa.schema(
    [("cell", pa.int64()), ("north", pa.float64()), ("east", pa.float64()), ("segments", pa.list_(_PROJECTED))]
)


def cell_of(latitude: float, longitude: float) -> int:
    """Number of the grid cell that holds a position."""
    return math.floor(latitude * CELLS_PER_DEGREE) * _CELLS_AROUND + math.floor(longitude * CELLS_PER_DEGREE)


def grid() -> list[tuple[int, float, float, list[Projected]]]:
    """Rows of GRID_SCHEMA: cells, metres per degree there, and the segments within reach of each."""
    cells: dict[int, list[LineSegment]] = defaultdict(list)
    for name in ROUTE_NAMES:
        for segment, found in _segments(route(name)):
            for cell in sorted(found):
                cells[cell].append(segment)
    rows = []
    for cell, near in sorted(cells.items()):
        north, east = metres_per_degree(_middle(cell)[0])
        if nearest := _nearest_somewhere(cell, near):
            rows.append((cell, north, east, [_project(segment, north, east) for segment in nearest]))
    return rows


def _middle(cell: int) -> tuple[float, float]:
    row, column = divmod(cell + _CELLS_AROUND // 2, _CELLS_AROUND)
    return (row + 0.5) / CELLS_PER_DEGREE, (column - _CELLS_AROUND // 2 + 0.5) / CELLS_PER_DEGREE


def _project(segment: LineSegment, north: float, east: float) -> Projected:
    """A segment on a plane in metres, whose origin is 0° N 0° E at the cell's scale.

    How far along the segment a position's nearest point lies, as a part of it and unclamped, is then
    `by_lat * latitude + by_lon * longitude + at_origin`.
    """
    name, lat0, lon0, km0, dlat, dlon, dkm = segment
    x0, y0, dx, dy = lon0 * east, lat0 * north, dlon * east, dlat * north
    square = dx * dx + dy * dy
    return (north * dy / square, east * dx / square, -(x0 * dx + y0 * dy) / square, x0, y0, dx, dy, km0, dkm, name)


def _nearest_somewhere(cell: int, segments: list[LineSegment]) -> list[LineSegment]:
    """Those that a position in the cell may be nearest to, judged by distances from its middle."""
    latitude, longitude = _middle(cell)
    north, east = metres_per_degree(latitude)
    corner_m = math.hypot(north, east) / CELLS_PER_DEGREE / 2 * 1.01
    distances_m = [_distance_m(segment, latitude, longitude) for segment in segments]
    near_m = min(min(distances_m) + 2 * corner_m, ON_ROUTE_MAX_M + corner_m)
    return [segment for segment, metres in zip(segments, distances_m, strict=True) if metres <= near_m]


def _distance_m(segment: LineSegment, latitude: float, longitude: float) -> float:
    _, lat0, lon0, _, dlat, dlon, _ = segment
    north, east = metres_per_degree(latitude)
    _, square = nearest_part((lon0 - longitude) * east, (lat0 - latitude) * north, dlon * east, dlat * north)
    return math.sqrt(square)


def _segments(line: Route) -> list[tuple[LineSegment, set[int]]]:
    segments = []
    vertices = zip(line.points, line.kms, strict=True)
    for ((lat0, lon0), km0), ((lat1, lon1), km1) in itertools.pairwise(vertices):
        if (lat0, lon0) != (lat1, lon1):
            segment = (line.name, lat0, lon0, km0, lat1 - lat0, lon1 - lon0, km1 - km0)
            segments.append((segment, _cells_near(segment)))
    return segments


def _cells_near(segment: LineSegment) -> set[int]:
    _, lat0, lon0, _, dlat, dlon, dkm = segment
    north, east = metres_per_degree(lat0 + dlat / 2)
    reach_lat, reach_lon = _REACH_M / north, _REACH_M / east * 1.01
    steps = max(1, math.ceil(dkm * 1000 / _SAMPLE_M))
    cells: set[int] = set()
    for step in range(steps + 1):
        lat, lon = lat0 + dlat * step / steps, lon0 + dlon * step / steps
        rows = _span(lat - reach_lat, lat + reach_lat)
        for column in _span(lon - reach_lon, lon + reach_lon):
            cells.update(row * _CELLS_AROUND + column for row in rows)
    return cells


def _span(low: float, high: float) -> range:
    return range(math.floor(low * CELLS_PER_DEGREE), math.floor(high * CELLS_PER_DEGREE) + 1)


def grid_table(spark: SparkSession) -> DataFrame:
    """The grid as a small table, kept in memory. It goes to the JVM as Arrow: row by row it took five seconds."""
    columns = zip(zip(*grid(), strict=True), GRID_SCHEMA, strict=True)
    arrays = [pa.array(values, field.type) for values, field in columns]
    # Behind a shuffle: else every task that reads it would carry its 6 MB along, though it is kept.
    return spark.createDataFrame(pa.Table.from_arrays(arrays, schema=GRID_SCHEMA)).repartition(1).persist()


def with_place(rows: DataFrame, grid_rows: DataFrame, latitude: Column, longitude: Column) -> DataFrame:
    """`rows` with the columns `route` and `route_km`; null where a position is, or is on no route."""
    cell = fn.floor(latitude * CELLS_PER_DEGREE) * _CELLS_AROUND + fn.floor(longitude * CELLS_PER_DEGREE)
    near = rows.withColumns({"_lat": latitude, "_lon": longitude, "_cell": cell})
    near = near.join(fn.broadcast(grid_rows.withColumnRenamed("cell", "_cell")), "_cell", "left")
    near = near.withColumns({"_x": fn.col("_lon") * fn.col("east"), "_y": fn.col("_lat") * fn.col("north")})
    nearest = near.withColumn("_at", _nearest(fn.col("segments")))
    on_route = fn.sqrt(fn.col("_at.square")) <= ON_ROUTE_MAX_M
    return (
        nearest.withColumn("route", fn.when(on_route, fn.col("_at.route")))
        .withColumn("route_km", fn.when(on_route, fn.col("_at.km")))
        .drop("_lat", "_lon", "_cell", "_x", "_y", "_at", "north", "east", "segments")
    )


def _nearest(segments: Column) -> Column:
    """Struct of the least squared distance in m², and km and route there. The formula is `Route.project`'s, at the
    scale of the cell's middle instead of the position's latitude: that is millimetres within ON_ROUTE_MAX_M.

    Within `transform` every operation is interpreted, per row and segment: so there are few.
    """
    latitude, longitude, x, y = (fn.col(name) for name in ("_lat", "_lon", "_x", "_y"))

    def part(s: Column) -> Column:
        along = s["by_lat"] * latitude + s["by_lon"] * longitude + s["at_origin"]
        return fn.least(fn.greatest(along, fn.lit(0.0)), fn.lit(1.0))

    def offset(s: Column, part: Column) -> Column:
        east, north = s["x0"] - x + part * s["dx"], s["y0"] - y + part * s["dy"]
        km = s["km0"] + part * s["dkm"]
        return fn.struct((east * east + north * north).alias("square"), km.alias("km"), s["route"].alias("route"))

    return fn.array_min(fn.zip_with(segments, fn.transform(segments, part), offset))
