"""Simulated time, and which world a state directory goes on with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartcity.contracts.streams import GPS
from smartcity.sim.clock import DEFAULT_HORIZON, Anchor, Clock, default_start
from smartcity.sim.errors import StateError
from smartcity.sim.observation import Observation
from smartcity.sim.settings import WorldSettings
from smartcity.sim.source import Source
from smartcity.sim.state import SavedWorld, StateDirectory, resume

WALL = datetime(2026, 6, 1, 12, 0, 0, 250_000, tzinfo=UTC)
WORLD = WorldSettings(routes=("waterloo-toronto",))


@given(st.floats(1, 10_000), st.floats(0, 1e6))
def test_the_clock_never_passes_now(speed: float, elapsed_s: float) -> None:
    anchor = Anchor(start=default_start(WALL, speed), wall=WALL, speed=speed)
    wall = WALL + timedelta(seconds=elapsed_s)
    assert anchor.simulated(wall) <= wall


@given(st.floats(1.01, 10_000))
def test_a_default_start_leaves_the_horizon_before_now_is_reached(speed: float) -> None:
    anchor = Anchor(start=default_start(WALL, speed), wall=WALL, speed=speed)
    real = DEFAULT_HORIZON / speed
    lead = anchor.simulated(WALL + real) - anchor.start
    assert abs(lead - DEFAULT_HORIZON) <= timedelta(microseconds=speed)


def test_the_clock_goes_on_at_real_time_and_never_backwards() -> None:
    walls = [WALL]
    clock = Clock(Anchor(start=WALL - timedelta(seconds=59), wall=WALL, speed=60), lambda: walls[-1])
    seen = []
    for elapsed in (0.0, 0.5, 1.0, 2.0, 1.5, 3.0):
        walls.append(WALL + timedelta(seconds=elapsed))
        seen.append((clock.now() - WALL).total_seconds())
    assert seen == [-59.0, -29.0, 1.0, 2.0, 2.0, 3.0]


def test_the_same_world_resumes_at_its_current_time() -> None:
    saved = SavedWorld(settings=WORLD, start=WALL, anchor=Anchor(start=WALL, wall=WALL, speed=60))
    later = WALL + timedelta(seconds=1000)
    found = resume(saved, settings=WORLD, start=None, speed=60, wall=later)
    assert found.resumed
    assert found.world == saved
    faster = resume(saved, settings=WORLD, start=WALL, speed=1, wall=later)
    assert faster.resumed
    assert faster.world.start == WALL
    assert faster.world.anchor.simulated(later + timedelta(seconds=1)) == later + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("settings", "start", "finished"),
    [
        (dataclasses.replace(WORLD, seed=2), None, False),
        (dataclasses.replace(WORLD, vehicles=2), None, False),
        (WORLD, WALL - timedelta(days=1), False),
        (WORLD, None, True),
    ],
)
def test_another_world_begins_anew_and_says_so(settings: WorldSettings, start: datetime | None, finished: bool) -> None:
    saved = SavedWorld(settings=WORLD, start=WALL, anchor=Anchor(start=WALL, wall=WALL, speed=60), finished=finished)
    found = resume(saved, settings=settings, start=start, speed=60, wall=WALL + timedelta(hours=1))
    assert not found.resumed
    assert "new world" in found.explanation
    assert found.world.start != WALL
    assert not found.world.finished


def test_world_json_survives_and_the_directory_has_one_owner(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "deep" / "state")
    assert state.load() is None
    saved = SavedWorld(settings=WORLD, start=WALL, anchor=Anchor(start=WALL, wall=WALL, speed=2.5), finished=True)
    state.save(saved)
    assert state.load() == saved
    with pytest.raises(StateError, match="in use by process"):
        StateDirectory(state.path)
    state.close()
    again = StateDirectory(state.path)
    again.world_path.write_text("{}")
    with pytest.raises(StateError, match=r"world\.json"):
        again.load()
    again.close()


class SmallWorld:
    """Something happens every 0.4 s; all have arrived after five seconds."""

    def __init__(self) -> None:
        self.device_ids = ["d"]
        self.arrivals: list[tuple[str, str, datetime]] = []
        self._next = WALL

    @property
    def finished(self) -> bool:
        return self._next > WALL + timedelta(seconds=5)

    def observe(self, until: datetime) -> Iterator[Observation]:
        while self._next <= until:
            yield Observation(device_id="d", stream=GPS, time=self._next, payload=b"x", metadata=None)
            self._next += timedelta(seconds=0.4)

    def skip(self, until: datetime) -> None:
        list(self.observe(until))


@pytest.mark.parametrize("readings_max", [1, 3, 1000])
@pytest.mark.parametrize("pace", [0.05, 0.3, 7.0])
def test_where_a_run_ends_does_not_depend_on_its_pace(readings_max: int, pace: float) -> None:
    now = [WALL]
    source = Source(SmallWorld(), begin=WALL, until="arrived", end=None, now=lambda: now[0])
    times: list[datetime] = []
    while not source.done:
        found = source.pull(readings_max=readings_max, monotonic=lambda: 0.0, budget_s=1.0)
        assert all(observation.time <= now[0] for observation in found)
        times += [observation.time for observation in found]
        now[0] += timedelta(seconds=pace)
    assert times == [WALL + timedelta(seconds=0.4) * n for n in range(13)]


def test_a_reading_is_pulled_as_soon_as_its_time_has_come() -> None:
    now = [WALL]
    source = Source(SmallWorld(), begin=WALL, until="never", end=None, now=lambda: now[0])
    found = []
    for milliseconds in (100, 399, 400, 799, 850, 1_000, 1_200, 3_000):
        now[0] = WALL + timedelta(milliseconds=milliseconds)
        found += source.pull(readings_max=1000, monotonic=lambda: 0.0, budget_s=1.0)
        assert len(found) == 1 + milliseconds // 400
        assert not source.behind
        assert source.reached == now[0]


def test_a_run_ends_at_the_time_it_is_told() -> None:
    world = SmallWorld()
    end = WALL + timedelta(seconds=1.5)
    source = Source(world, begin=WALL, until="never", end=end, now=lambda: WALL + timedelta(days=1))
    found = source.pull(readings_max=1000, monotonic=lambda: 0.0, budget_s=1.0)
    assert source.done
    assert len(found) == 4
