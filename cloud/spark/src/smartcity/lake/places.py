"""Route and distance along it, as Spark expressions: `contracts.routes.locate` without a Python worker.

The lines' segments are laid out in a grid once; a position looks up its cell and is projected on that cell's few
segments. Every segment that is the nearest one within ON_ROUTE_MAX_M for some position of a cell stands in it; a
position whose cell is absent lies on no route.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as fn

from smartcity.contracts.routes import (
    ON_ROUTE_MAX_M,
    ROUTE_NAMES,
    WGS84_ECCENTRICITY_SQUARED,
    WGS84_SEMI_MAJOR_AXIS_M,
    Route,
    metres_per_degree,
    nearest_part,
    route,
)

CELLS_PER_DEGREE = 400
"""About 280 m: three or four segments stand in a cell. With cells of 1.1 km a look-up took twice the time."""
_CELLS_AROUND = 360 * CELLS_PER_DEGREE
_SAMPLE_M = 200.0
_REACH_M = ON_ROUTE_MAX_M + _SAMPLE_M / 2 + 10
"""A position within ON_ROUTE_MAX_M of a segment lies this near to one of the segment's samples."""

LineSegment = tuple[str, float, float, float, float, float, float]
"""Route, then latitude, longitude and km at the start, and their differences to the end."""

GRID_SCHEMA = (
    "cell long, segments array<struct<"
    "route: string, lat0: double, lon0: double, km0: double, dlat: double, dlon: double, dkm: double>>"
)


def cell_of(latitude: float, longitude: float) -> int:
    """Number of the grid cell that holds a position."""
    return math.floor(latitude * CELLS_PER_DEGREE) * _CELLS_AROUND + math.floor(longitude * CELLS_PER_DEGREE)


def grid() -> list[tuple[int, list[LineSegment]]]:
    """Cells and the segments within reach of each, over all routes in their order."""
    cells: dict[int, list[LineSegment]] = defaultdict(list)
    for name in ROUTE_NAMES:
        for segment, found in _segments(route(name)):
            for cell in sorted(found):
                cells[cell].append(segment)
    return [(cell, nearest) for cell, found in sorted(cells.items()) if (nearest := _nearest_somewhere(cell, found))]


def _nearest_somewhere(cell: int, segments: list[LineSegment]) -> list[LineSegment]:
    """Those that a position in the cell may be nearest to, judged by distances from its middle."""
    row, column = divmod(cell + _CELLS_AROUND // 2, _CELLS_AROUND)
    latitude = (row + 0.5) / CELLS_PER_DEGREE
    longitude = (column - _CELLS_AROUND // 2 + 0.5) / CELLS_PER_DEGREE
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
    """The grid as a small table, kept in memory."""
    return spark.createDataFrame(grid(), GRID_SCHEMA).coalesce(1).persist()


def with_place(rows: DataFrame, grid_rows: DataFrame, latitude: Column, longitude: Column) -> DataFrame:
    """`rows` with the columns `route` and `route_km`; null where a position is, or is on no route."""
    cell = fn.floor(latitude * CELLS_PER_DEGREE) * _CELLS_AROUND + fn.floor(longitude * CELLS_PER_DEGREE)
    north, east = _metres_per_degree(latitude)
    near = rows.withColumns({"_lat": latitude, "_lon": longitude, "_cell": cell, "_north": north, "_east": east})
    near = near.join(fn.broadcast(grid_rows.withColumnRenamed("cell", "_cell")), "_cell", "left")
    nearest = near.withColumn("_at", _nearest(fn.col("segments")))
    on_route = fn.sqrt(fn.col("_at.square")) <= ON_ROUTE_MAX_M
    return (
        nearest.withColumn("route", fn.when(on_route, fn.col("_at.route")))
        .withColumn("route_km", fn.when(on_route, fn.col("_at.km")))
        .drop("_lat", "_lon", "_cell", "_north", "_east", "_at", "segments")
    )


def _nearest(segments: Column) -> Column:
    """Struct of the least squared distance in m², and km and route there. The formula is `Route.project`'s.

    The position and its metres per degree are columns: within `transform` an expression is computed per segment.
    """
    latitude, longitude, north, east = (fn.col(name) for name in ("_lat", "_lon", "_north", "_east"))

    def vectors(segment: Column) -> Column:
        return fn.struct(
            ((segment["lon0"] - longitude) * east).alias("ax"),
            ((segment["lat0"] - latitude) * north).alias("ay"),
            (segment["dlon"] * east).alias("dx"),
            (segment["dlat"] * north).alias("dy"),
            segment["km0"].alias("km0"),
            segment["dkm"].alias("dkm"),
            segment["route"].alias("route"),
        )

    def part(s: Column) -> Column:
        along = -(s["ax"] * s["dx"] + s["ay"] * s["dy"]) / (s["dx"] * s["dx"] + s["dy"] * s["dy"])
        return fn.struct(s.alias("s"), fn.least(fn.greatest(along, fn.lit(0.0)), fn.lit(1.0)).alias("part"))

    def place(p: Column) -> Column:
        s, part = p["s"], p["part"]
        x, y = s["ax"] + part * s["dx"], s["ay"] + part * s["dy"]
        return fn.struct(
            (x * x + y * y).alias("square"), (s["km0"] + part * s["dkm"]).alias("km"), s["route"].alias("route")
        )

    return fn.array_min(fn.transform(fn.transform(fn.transform(segments, vectors), part), place))


def _metres_per_degree(latitude: Column) -> tuple[Column, Column]:
    """`contracts.routes.metres_per_degree` as expressions."""
    sine = fn.sin(fn.radians(latitude))
    w = 1 - WGS84_ECCENTRICITY_SQUARED * sine * sine
    meridional = WGS84_SEMI_MAJOR_AXIS_M * (1 - WGS84_ECCENTRICITY_SQUARED) / fn.pow(w, fn.lit(1.5))
    normal = WGS84_SEMI_MAJOR_AXIS_M / fn.sqrt(w)
    return fn.radians(meridional), fn.radians(normal) * fn.cos(fn.radians(latitude))
