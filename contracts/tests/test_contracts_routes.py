"""Road geometry: lengths as published, distances and positions that lead back to each other."""

from __future__ import annotations

import itertools
import json
from importlib import resources

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from smartcity.contracts.routes import ON_ROUTE_MAX_M, ROUTE_NAMES, distance_km, locate, metres_per_degree, route, sites

names = st.sampled_from(ROUTE_NAMES)
KINDS = ("junction", "camera", "weather_station")


@pytest.mark.parametrize("name", ROUTE_NAMES)
def test_length_is_as_published(name: str) -> None:
    text = resources.files("smartcity.contracts").joinpath("data", f"{name}.geojson").read_text(encoding="utf-8")
    published = json.loads(text)["features"][0]["properties"]["length_km"]
    assert route(name).length_km == pytest.approx(published, rel=0.001)


@pytest.mark.parametrize("name", ROUTE_NAMES)
def test_segments_cover_the_line_without_gap(name: str) -> None:
    segments = route(name).segments
    assert segments[0].from_km == 0
    assert segments[-1].to_km == pytest.approx(route(name).length_km, rel=0.001)
    for before, after in itertools.pairwise(segments):
        assert before.to_km == pytest.approx(after.from_km, abs=0.02)


@given(names, st.floats(0, 1))
def test_a_point_of_the_line_is_found_where_it_was_put(name: str, part: float) -> None:
    km = part * route(name).length_km
    latitude, longitude = route(name).point_at(km)
    found_km, off_m = route(name).project(latitude, longitude)
    assert off_m < 0.01
    found = locate(latitude, longitude)
    assert found is not None
    assert found[0] == name
    # Where the line meets itself again, two distances share a point: then the points must agree.
    if abs(found_km - km) > 0.001:
        again = route(name).point_at(found_km)
        assert distance_km(latitude, longitude, *again) < 0.001
    else:
        assert found[1] == pytest.approx(km, abs=0.001)


@given(names, st.floats(0, 1), st.floats(-240, 240))
def test_a_position_beside_the_line_is_no_further_than_it_was_put(name: str, part: float, north_m: float) -> None:
    latitude, longitude = route(name).point_at(part * route(name).length_km)
    _, off_m = route(name).project(latitude + north_m / metres_per_degree(latitude)[0], longitude)
    assert off_m <= abs(north_m) + 0.01


@given(names, st.floats(-50, 400))
def test_points_stay_on_the_line(name: str, km: float) -> None:
    here = route(name)
    if km <= 0:
        assert here.point_at(km) == here.points[0]
    if km >= here.length_km:
        assert here.point_at(km) == here.points[-1]


@given(names, st.floats(0, 1), st.floats(0, 0.05))
def test_straight_distance_is_no_longer_than_the_road(name: str, part: float, step_km: float) -> None:
    here = route(name)
    km = part * (here.length_km - 0.1)
    straight = distance_km(*here.point_at(km), *here.point_at(km + step_km))
    assert straight <= step_km + 1e-5  # Plane geometry is exact to centimetres.


@pytest.mark.parametrize("name", ROUTE_NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_sites_lie_where_their_survey_says(name: str, kind: str) -> None:
    found = sites(name, kind)
    assert list(found) == sorted(found, key=lambda site: site.route_km)
    for site in found:
        km, off_m = route(name).project(site.latitude, site.longitude)
        assert km == pytest.approx(site.route_km, abs=0.05), site.name
        assert off_m == pytest.approx(site.offset_m, rel=0.01, abs=2), site.name


def test_all_sites_belong_to_a_route_and_a_kind() -> None:
    assert [sum(len(sites(name, kind)) for name in ROUTE_NAMES) for kind in KINDS] == [46, 4, 10]


def test_far_positions_are_on_no_route() -> None:
    assert locate(0.0, 0.0) is None
    latitude, longitude = route("waterloo-toronto").points[0]
    assert locate(latitude + 1.0, longitude) is None


@given(st.floats(300, 2000))
def test_the_limit_is_the_limit(metres: float) -> None:
    assume(metres > ON_ROUTE_MAX_M)
    # Due west of the line's first point there is no other road of ours.
    latitude, longitude = route("waterloo-toronto").points[0]
    position = (latitude, longitude - metres / metres_per_degree(latitude)[1])
    _, off_m = route("waterloo-toronto").project(*position)
    assert (locate(*position) is None) == (off_m > ON_ROUTE_MAX_M)


def test_a_degree_is_as_long_as_tables_say() -> None:
    assert metres_per_degree(0.0) == pytest.approx((110_574, 111_320), abs=1)
    assert metres_per_degree(45.0) == pytest.approx((111_132, 78_847), abs=1)


def test_an_unknown_route_lists_those_there_are() -> None:
    with pytest.raises(KeyError, match="waterloo-toronto, london-birmingham"):
        route("paris-lyon")
