"""Roads, weather, traffic, incidents and what stands beside the roads."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_type_hints

import pytest

from smartcity.contracts import routes
from smartcity.contracts.fields import columns
from smartcity.contracts.streams import STREAMS, WEATHER_CONDITIONS, Camera, Emergency, Gps, Vehicle, Weather
from smartcity.sim.observation import Observation
from smartcity.sim.world import weather as weather_module
from smartcity.sim.world.city import City, CitySettings
from smartcity.sim.world.incidents import Incidents
from smartcity.sim.world.noise import Noise
from smartcity.sim.world.roadside import camera_sites, station_sites
from smartcity.sim.world.route import PROFILE_STEP_M, road
from smartcity.sim.world.traffic import Traffic
from smartcity.sim.world.vehicle import Vehicle as Driven
from smartcity.sim.world.weather import Conditions, sun_elevation

START = 1_795_000_000
DRY = Conditions(
    temperature=12.0, condition="cloudy", precipitation=0.0, wind_speed=10.0, wind_direction=240.0, humidity=60.0,
    pressure=1015.0, visibility=20_000.0, cloud=0.5,
)  # fmt: skip
CONTRACTS = {"gps": Gps, "vehicle": Vehicle, "camera": Camera, "weather": Weather, "emergency": Emergency}


class Steady(weather_module.Weather):
    """The same weather everywhere."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def at(self, latitude: float, longitude: float, seconds: float) -> Conditions:
        return self._conditions


def drive_time(conditions: Conditions, *, incidents: bool = False, seed: int = 1) -> int:
    way = road("waterloo-toronto")
    happening = Incidents(way, seed=seed, start=START)
    vehicle = Driven(
        name="wt-veh-001", index=0, road=way, traffic=Traffic(way, seed=seed, incidents=happening),
        weather=Steady(conditions), seed=seed, depart_at=START, hundredth=0,
    )  # fmt: skip
    vehicle.depart(START)
    for seconds in range(START + 1, START + 20_000):
        if incidents:
            happening.advance(seconds)
        if vehicle.step(seconds):
            return seconds - START
    raise AssertionError("it never arrived")


def test_rain_and_snow_slow_traffic() -> None:
    dry = drive_time(DRY)
    rain = drive_time(replace(DRY, condition="rain", precipitation=6.0))
    snow = drive_time(replace(DRY, condition="snow", precipitation=3.0, visibility=1_500.0))
    assert dry * 1.08 < rain < snow


def test_incidents_slow_the_vehicles_near_them() -> None:
    way = road("waterloo-toronto")
    happening = Incidents(way, seed=1, start=START)
    incident = happening.break_down(START, 50_000.0)
    happening.advance(START)
    assert happening.speed_factor(49_000.0) < 0.9
    assert happening.speed_factor(40_000.0) == happening.speed_factor(51_000.0) == 1.0
    happening.advance(incident.resolved)
    assert incident not in happening.active


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", routes.ROUTE_NAMES)
def test_the_first_incident_is_early_whole_and_before_a_camera(name: str, seed: int) -> None:
    way = road(name)
    watched = tuple(site.distance_m for site in camera_sites(way))
    happening = Incidents(way, seed=seed, start=START, watched=watched)
    steps = happening.advance(START + 6 * 3600)
    first = [step for step in steps if step.incident is steps[0].incident]
    assert [step.status for step in first] == ["reported", "responding", "resolved"]
    assert START < first[0].seconds <= START + 900
    assert first[2].seconds <= START + 2_400
    assert min(abs(first[0].incident.distance_m - at) for at in watched) <= 100.0
    assert [step.seconds for step in steps] == sorted(step.seconds for step in steps)
    assert len({step.incident.id for step in steps}) > 5


@pytest.mark.parametrize("name", routes.ROUTE_NAMES)
def test_every_ten_kilometres_have_a_camera_that_says_who_placed_it(name: str) -> None:
    way = road(name)
    sites = camera_sites(way)
    for start in range(0, math.ceil(way.route.length_km), 10):
        assert any(start * 1000 <= site.distance_m < (start + 10) * 1000 for site in sites), start
    operated = [site for site in sites if site.placed_by == "operator"]
    assert len(operated) == len(routes.sites(name, "camera"))
    for site in sites:
        assert ("placed by the simulator" in site.location) == (site.placed_by == "simulator")
        assert site.camera_id.startswith("sim-") == (site.placed_by == "simulator")
    assert len(station_sites(way)) == len(routes.sites(name, "weather_station"))


@pytest.mark.parametrize("name", routes.ROUTE_NAMES)
def test_the_road_allows_speeds_that_can_be_braked_for(name: str) -> None:
    way = road(name)
    for here, there in itertools.pairwise(way.profile):
        assert 5.0 < here <= 112.65 / 3.6 + 1e-9
        assert here * here - there * there <= 2 * 0.9 * PROFILE_STEP_M + 1e-9
    assert max(abs(way.height(float(at))[1]) for at in range(0, int(way.length_m), 100)) < 0.07
    assert way.place(0.0) == way.route.segments[0].name
    assert len({way.place(float(at)) for at in range(0, int(way.length_m), 1_000)}) > 15


def test_noise_is_smooth_bounded_and_seeded() -> None:
    field, same, other = Noise("a"), Noise("a"), Noise("b")
    xs = [i / 50 for i in range(-500, 500)]
    for values in ([field.line(x) for x in xs], [field.plane(x, 0.3 - x) for x in xs]):
        assert max(map(abs, values)) <= 1.0
        assert max(abs(a - b) for a, b in itertools.pairwise(values)) < 0.15
        assert max(values) - min(values) > 0.8
    assert field.plane(3.7, 9.1) == same.plane(3.7, 9.1) != other.plane(3.7, 9.1)


def test_weather_has_its_kinds_and_stays_within_nature() -> None:
    field = weather_module.Weather(4)
    found = [field.at(43.5, -80.0, START + 3600 * hour) for hour in range(0, 24 * 365, 7)]
    assert {one.condition for one in found} == set(WEATHER_CONDITIONS)
    wet = sum(one.precipitation > 0 for one in found) / len(found)
    assert 0.05 < wet < 0.4
    assert all((one.condition in ("rain", "snow")) == (one.precipitation > 0) for one in found)
    assert -30 < min(one.temperature for one in found) < 0
    assert 20 < max(one.temperature for one in found) < 40
    assert all(one.visibility < 1_500 for one in found if one.condition == "fog")


def test_weather_changes_smoothly_in_space_and_time() -> None:
    field = weather_module.Weather(4)
    for minute in range(0, 600, 10):
        here, soon = (field.at(51.6, -0.7, START + 60 * at) for at in (minute, minute + 1))
        there = field.at(51.6, -0.71, START + 60 * minute)
        for other in (soon, there):
            assert abs(here.temperature - other.temperature) < 0.5
            assert abs(here.precipitation - other.precipitation) < 1.5


def test_traffic_is_worst_in_the_rush_hour() -> None:
    way = road("london-birmingham")
    traffic = Traffic(way, seed=1, incidents=Incidents(way, seed=1, start=START))

    def mean(hour: int, day: int) -> float:
        seconds = int(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp())
        return sum(traffic.flow_factor(at, seconds) for at in range(0, 200_000, 5_000)) / 40

    assert mean(17, 20) < mean(12, 20) < mean(3, 20)
    assert mean(17, 20) < mean(17, 22), "a Friday and a Sunday"


@pytest.mark.parametrize(
    ("time", "latitude", "longitude", "expected"),
    [
        (datetime(2026, 6, 21, 12, 2, tzinfo=UTC), 51.5, 0.0, 62.0),
        (datetime(2026, 12, 21, 12, 0, tzinfo=UTC), 51.5, 0.0, 15.0),
        (datetime(2026, 3, 20, 17, 20, tzinfo=UTC), 43.6, -79.4, 46.4),
        (datetime(2026, 6, 21, 0, 0, tzinfo=UTC), 51.5, 0.0, -15.0),
    ],
)
def test_the_sun_stands_where_almanacs_say(time: datetime, latitude: float, longitude: float, expected: float) -> None:
    assert sun_elevation(latitude, longitude, time.timestamp()) == pytest.approx(expected, abs=1.5)


@pytest.fixture(scope="module")
def sample() -> list[Observation]:
    start = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    settings = CitySettings(seed=2, start=start, routes=routes.ROUTE_NAMES, vehicles=1, frame_interval_s=600)
    return list(City(settings).observe(start + timedelta(minutes=25)))


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_documents_and_metadata_keep_to_the_contract(sample: list[Observation], stream: object) -> None:
    rules = {column.name: column for column in columns(CONTRACTS[stream.name])}  # type: ignore[attr-defined]
    own = {name for name, column in rules.items() if column.rules.carrier == "payload"}
    hints = get_type_hints(CONTRACTS[stream.name])  # type: ignore[attr-defined]
    found = [one for one in sample if one.stream is stream]
    assert found
    for one in found:
        values = json.loads(one.metadata) if one.metadata else {}
        carried = {name for name, column in rules.items() if column.rules.carrier == "metadata"}
        assert set(values) - {"placed_by"} == carried
        if one.stream.name in ("weather", "emergency"):
            document = json.loads(one.payload)
            assert set(document) == own | {"device_id", "timestamp"}
            assert datetime.fromisoformat(document["timestamp"]) == one.time
            assert document["device_id"] == one.device_id
            values |= {name: document[name] for name in own}
        for name, value in values.items():
            if name == "placed_by":
                continue
            rule = rules[name].rules
            if value is None:
                assert rules[name].nullable
                continue
            assert isinstance(value, hints[name]) or isinstance(float(value), hints[name]), name
            assert not rule.choices or value in rule.choices
            assert rule.length_max is None or len(value) <= rule.length_max
            assert rule.minimum is None or rule.minimum <= value
            assert rule.maximum is None or value <= rule.maximum
