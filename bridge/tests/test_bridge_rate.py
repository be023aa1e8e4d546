"""The token bucket, on a clock of its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smartcity.bridge.rate import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_the_rate() -> None:
    clock = Clock()
    limit = RateLimit(per_s=2, burst=3, clock=clock)
    assert [limit.admits("a") for _ in range(5)] == [True, True, True, False, False]
    clock.now = 0.5
    assert [limit.admits("a") for _ in range(2)] == [True, False]
    clock.now = 1_000
    assert [limit.admits("a") for _ in range(4)] == [True, True, True, False]


def test_each_device_has_its_own() -> None:
    limit = RateLimit(per_s=1, burst=1, clock=Clock())
    assert limit.admits("a")
    assert not limit.admits("a")
    assert limit.admits("b")


def test_no_more_devices_than_allowed_are_remembered() -> None:
    limit = RateLimit(per_s=1, burst=1, clock=Clock(), devices_max=2)
    assert [limit.admits(device) for device in ("a", "b", "b", "c", "a")] == [True, True, False, True, True]


@given(steps=st.lists(st.floats(0, 10), max_size=100), per_s=st.floats(0.1, 100), burst=st.integers(1, 50))
def test_never_more_than_burst_plus_rate(steps: list[float], per_s: float, burst: int) -> None:
    clock = Clock()
    limit = RateLimit(per_s=per_s, burst=burst, clock=clock)
    admitted = 0
    for step in steps:
        clock.now += step
        admitted += limit.admits("a")
        assert admitted <= burst + clock.now * per_s + 1e-6
