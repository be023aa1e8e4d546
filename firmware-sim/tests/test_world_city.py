"""The city as devices use it: repeatable, ordered, lazy, and the same after a skip."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from smartcity.contracts.limits import DEVICE_NAME_PATTERN
from smartcity.contracts.routes import ROUTE_NAMES
from smartcity.contracts.streams import STREAMS
from smartcity.sim.observation import Observation
from smartcity.sim.world.city import City, CitySettings
from smartcity.sim.world.vehicle import ACCELERATION_MAX, BRAKING_MAX

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SMALL = {"frame_width": 240, "frame_height": 136}


def settings(**changes: object) -> CitySettings:
    values: dict[str, object] = {"seed": 5, "start": START, "routes": ROUTE_NAMES, "vehicles": 2, **SMALL, **changes}
    return CitySettings(**values)  # type: ignore[arg-type]


def observed(city: City, minutes: float) -> list[Observation]:
    return list(city.observe(START + minutes * MINUTE))


def test_same_settings_give_the_same_observations() -> None:
    first = observed(City(settings()), 4)
    assert first == observed(City(settings()), 4)
    assert len(first) > 1500


@pytest.mark.parametrize("stream", [stream for stream in STREAMS if stream.name != "emergency"], ids=lambda s: s.name)
def test_another_seed_gives_others(stream: object) -> None:
    def payloads(seed: int) -> list[bytes]:
        return [one.payload for one in observed(City(settings(seed=seed)), 2) if one.stream is stream]

    assert payloads(5) != payloads(6)


def test_order_is_time_then_device_then_stream() -> None:
    keys = [(one.time, one.device_id, one.stream.name) for one in observed(City(settings(vehicles=4)), 6)]
    assert all(a <= b for a, b in itertools.pairwise(keys))
    assert {key[2] for key in keys} >= {"gps", "vehicle", "camera", "weather"}


def test_all_five_streams_come_and_every_device_is_known_from_the_start() -> None:
    city = City(settings(frame_interval_s=600))
    names = city.device_ids
    found = observed(city, 40)
    assert {one.stream.name for one in found} == {stream.name for stream in STREAMS}
    assert {one.device_id for one in found} <= set(names)
    assert all(re.fullmatch(DEVICE_NAME_PATTERN, name) for name in names)
    assert len(set(names)) == len(names)
    assert {name for name in names if "-resp-" not in name} <= {one.device_id for one in found}


def test_it_observes_up_to_until_and_then_goes_on() -> None:
    whole = list(City(settings()).observe(START + timedelta(seconds=30)))
    city = City(settings(start=START + timedelta(microseconds=700)))
    found = []
    for milliseconds in (0, 1, 430, 431, 999, 1_000, 1_999, 7_340, 30_000):
        until = START + timedelta(milliseconds=milliseconds)
        found += city.observe(until)
        assert found == [one for one in whole if one.time <= until]
        assert not list(city.observe(until))
    assert found == whole


def test_each_vehicle_has_its_own_hundredth_and_sites_keep_to_the_second() -> None:
    hundredths: dict[str, set[int]] = {}
    for one in observed(City(settings(vehicles=6)), 5):
        assert one.time.microsecond % 10_000 == 0
        hundredths.setdefault(one.device_id, set()).add(one.time.microsecond // 10_000)
    for route in ("wt", "lb"):
        vehicles = [values for name, values in hundredths.items() if f"{route}-veh-" in name]
        assert all(len(values) == 1 for values in vehicles)
        assert len(set.union(*vehicles)) == len(vehicles) == 6
    assert all(values == {0} for name, values in hundredths.items() if "-veh-" not in name)


def test_a_fleet_spreads_over_the_second() -> None:
    of_each = Counter(device.hundredth for device in City(settings(vehicles=1_000))._vehicles)
    assert of_each == dict.fromkeys(range(100), 20)


def test_an_abandoned_iterator_loses_nothing() -> None:
    whole = observed(City(settings()), 2)
    city, pieces = City(settings()), []
    while len(pieces) < len(whole):
        pieces += itertools.islice(city.observe(START + 2 * MINUTE), 7)
    assert pieces == whole


def test_it_is_lazy() -> None:
    city = City(settings())
    next(city.observe(START + timedelta(days=300)))
    assert city.time == START


def test_skipping_leads_to_the_same_world() -> None:
    straight, skipping = City(settings()), City(settings())
    to = START + 10 * MINUTE + timedelta(milliseconds=500)
    expected = [one for one in observed(straight, 12) if one.time > to]
    skipping.skip(to)
    assert observed(skipping, 12) == expected


def test_a_fleet_departs_within_minutes_and_one_by_one() -> None:
    first: dict[str, datetime] = {}
    for one in observed(City(settings(vehicles=6, frame_interval_s=3600)), 5):
        if "-veh-" in one.device_id:
            first.setdefault(one.device_id, one.time)
    assert len(first) == 12
    assert len({time for name, time in first.items() if name.startswith("wt")}) == 6


def test_intervals_are_kept() -> None:
    found = observed(City(settings(vehicles=1, gps_interval_s=2, obd_interval_s=5, frame_interval_s=30)), 5)
    count = {
        name: sum(one.device_id == device and one.stream.name == name for one in found)
        for name, device in (("gps", "wt-veh-001"), ("vehicle", "wt-veh-001"), ("camera", "wt-cam-01"))
    }
    assert count == {"gps": 150, "vehicle": 60, "camera": 10}


def test_circulating_vehicles_depart_again() -> None:
    city = City(settings(routes=("waterloo-toronto",), vehicles=1, circulate=True))
    until = START
    while len(city.arrivals) < 2 and until < START + timedelta(hours=8):
        until += 10 * MINUTE
        city.skip(until)
    first, second = city.arrivals
    assert first.device_id == second.device_id == "wt-veh-001"
    assert second.time - first.time > timedelta(hours=1)
    assert city.finished


def test_parked_vehicles_are_silent() -> None:
    city = City(settings(routes=("waterloo-toronto",), vehicles=1))
    until = START
    while not city.finished:
        until += 10 * MINUTE
        city.skip(until)
    city.skip(until + MINUTE)
    later = list(city.observe(until + 3 * MINUTE))
    assert later
    assert not any("-veh-" in one.device_id for one in later)


def test_mistakes_are_named() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        City(settings(routes=("nowhere",)))
    with pytest.raises(ValueError, match="time zone"):
        City(settings(start=START.replace(tzinfo=None)))


def test_no_vehicle_accelerates_or_brakes_beyond_its_limits() -> None:
    city = City(settings(vehicles=20))
    vehicles = [device.vehicle for device in city._vehicles]
    fastest = hardest = 0.0
    for second in range(1_200):
        before = [(one.speed, one.distance) for one in vehicles]
        city.skip(START + timedelta(seconds=second))
        for one, (speed, distance) in zip(vehicles, before, strict=True):
            if one.running and one.distance:
                fastest = max(fastest, one.speed - speed)
                hardest = max(hardest, speed - one.speed)
                assert one.distance - distance == pytest.approx((speed + one.speed) / 2, abs=1e-6)
    assert 1.5 < fastest <= ACCELERATION_MAX
    assert 2.0 < hardest <= BRAKING_MAX
