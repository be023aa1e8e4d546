"""What lies behind the maps: land, lakes and towns where they are."""

from __future__ import annotations

import json

import pytest

from smartcity.contracts.routes import ROUTE_NAMES
from smartcity.dashboard.server import STATIC

REGIONS = {each["name"]: each for each in json.loads((STATIC / "basemap.json").read_text("utf-8"))["regions"]}


def is_inside(rings: list[list[float]], longitude: float, latitude: float) -> bool:
    """By counting the edges east of the point, as an even-odd fill does."""
    crossed = 0
    for ring in rings:
        points = list(zip(ring[::2], ring[1::2], strict=True))
        for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
            if (y0 > latitude) != (y1 > latitude) and longitude < x0 + (latitude - y0) / (y1 - y0) * (x1 - x0):
                crossed += 1
    return crossed % 2 == 1


def test_there_is_a_region_for_each_route() -> None:
    assert set(REGIONS) == set(ROUTE_NAMES)


@pytest.mark.parametrize(
    ("place", "region", "longitude", "latitude", "wanted"),
    [
        ("Guelph", "waterloo-toronto", -80.25, 43.55, "land"),
        ("Lake Ontario", "waterloo-toronto", -78.5, 43.6, "lake"),
        ("Lake Erie", "waterloo-toronto", -81.0, 42.3, "lake"),
        ("Georgian Bay", "waterloo-toronto", -80.8, 45.1, "lake"),
        ("Oxford", "london-birmingham", -1.26, 51.75, "land"),
        ("the Channel", "london-birmingham", -0.5, 50.3, "sea"),
        ("the Severn's mouth", "london-birmingham", -3.6, 51.33, "sea"),
        ("the North Sea", "london-birmingham", 2.5, 52.5, "sea"),
    ],
)
def test_places_are_what_they_are(place: str, region: str, longitude: float, latitude: float, wanted: str) -> None:
    on_land = is_inside(REGIONS[region]["land"], longitude, latitude)
    in_lake = is_inside(REGIONS[region]["lakes"], longitude, latitude)
    assert ("lake" if in_lake else "land" if on_land else "sea") == wanted, place


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
def test_towns_lie_on_land(region: dict[str, list[list[float]]]) -> None:
    for name, longitude, latitude in region["towns"]:
        assert is_inside(region["land"], longitude, latitude), name  # type: ignore[arg-type]
