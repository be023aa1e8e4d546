"""The indexed search for a place on the roads gives what the contract's plain search gives."""

from __future__ import annotations

import random

import pytest

from smartcity.contracts.routes import ROUTE_NAMES, locate, route
from smartcity.local.verify.places import locate_near

SEED = 20261121


@pytest.mark.parametrize("name", ROUTE_NAMES)
def test_near_the_line_it_agrees_with_the_contract(name: str) -> None:
    print(f"seed {SEED}")
    numbers = random.Random(SEED)
    line = route(name)
    on_route = 0
    for _ in range(150):
        latitude, longitude = line.point_at(numbers.uniform(0, line.length_km))
        latitude += numbers.uniform(-0.004, 0.004)
        longitude += numbers.uniform(-0.004, 0.004)
        found, wanted = locate_near(latitude, longitude), locate(latitude, longitude)
        assert found[0] == (wanted[0] if wanted else None)
        if wanted:
            assert found[1] == pytest.approx(wanted[1], abs=1e-9)
            on_route += 1
    assert 20 < on_route < 150


def test_far_away_or_nowhere_is_no_place() -> None:
    assert locate_near(0.0, 0.0) == (None, None)
    assert locate_near(None, -80.0) == (None, None)
    assert locate_near(43.0, None) == (None, None)
