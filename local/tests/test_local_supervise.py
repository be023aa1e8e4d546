"""The supervisor revives what died, at once at first and then ever more slowly."""

from __future__ import annotations

import itertools

from smartcity.local.errors import ServiceError
from smartcity.local.supervise import PAUSE_FIRST_S, PAUSE_MAX_S, QUIET_S, Supervisor


class FakeStack:
    def __init__(self) -> None:
        self.down: list[str] = []
        self.revived: list[str] = []
        self.broken = False
        self.unsettled: set[str] = set()
        self.finished: list[str] = []

    def dead(self) -> list[str]:
        return list(self.down)

    def revive(self, name: str) -> None:
        self.revived.append(name)
        if self.broken:
            raise ServiceError(f"{name} does not start")
        self.down.remove(name)

    def settled(self, name: str) -> bool:
        if name in self.unsettled:
            return False
        self.finished.append(name)
        return True


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_dead_service_is_revived_at_once() -> None:
    stack = FakeStack()
    stack.down = ["kafka", "bridge"]
    Supervisor(stack, clock=FakeClock()).step()
    assert stack.revived == ["kafka", "bridge"]


def test_a_service_that_keeps_dying_is_tried_ever_more_slowly_but_for_ever() -> None:
    stack, clock = FakeStack(), FakeClock()
    stack.down, stack.broken = ["lake"], True
    supervisor = Supervisor(stack, clock=clock)
    tries = []
    for _ in range(4000):
        before = len(stack.revived)
        supervisor.step()
        if len(stack.revived) > before:
            tries.append(clock.now_s)
        clock.now_s += 0.1
    gaps = [second - first for first, second in itertools.pairwise(tries)]
    assert PAUSE_FIRST_S <= gaps[0] < PAUSE_FIRST_S + 0.2
    assert all(later >= earlier - 0.2 for earlier, later in itertools.pairwise(gaps))
    assert PAUSE_MAX_S <= gaps[-1] < PAUSE_MAX_S + 0.2


def test_a_service_that_lived_long_is_revived_at_once_again() -> None:
    stack, clock = FakeStack(), FakeClock()
    supervisor = Supervisor(stack, clock=clock)
    for _ in range(8):
        stack.down = ["bridge"]
        supervisor.step()
        clock.now_s += QUIET_S + PAUSE_MAX_S + 1
    assert len(stack.revived) == 8


def test_a_service_that_is_killed_often_but_becomes_healthy_between_is_revived_at_once() -> None:
    stack, clock = FakeStack(), FakeClock()
    supervisor = Supervisor(stack, clock=clock)
    for _ in range(8):
        stack.down = ["bridge"]
        supervisor.step()
        clock.now_s += QUIET_S
    assert len(stack.revived) == 8


def test_a_service_that_is_never_healthy_is_not_revived_at_once_however_long_it_lives() -> None:
    stack, clock = FakeStack(), FakeClock()
    stack.unsettled = {"bridge"}
    supervisor = Supervisor(stack, clock=clock)
    for _ in range(12):
        stack.down = ["bridge"]
        supervisor.step()
        clock.now_s += QUIET_S
    assert len(stack.revived) < 12


def test_a_service_that_waits_for_a_dead_one_does_not_keep_that_one_from_being_revived() -> None:
    stack = FakeStack()
    stack.down, stack.unsettled = ["lake"], {"lake"}
    supervisor = Supervisor(stack, clock=FakeClock())
    supervisor.step()
    stack.down = ["aws"]
    supervisor.step()
    assert stack.revived == ["lake", "aws"]
    assert stack.finished == ["aws"]
    stack.unsettled = set()
    supervisor.step()
    supervisor.step()
    assert stack.finished == ["aws", "lake"], "the finishing step is done once"
