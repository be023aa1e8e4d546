"""Transport faults over a transport that only remembers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from smartcity.contracts.streams import GPS
from smartcity.sim.faults.transport import HOLD_S_MAX, FaultyTransport
from smartcity.sim.message import Message, reading_message, status_message
from smartcity.sim.observation import Injected
from smartcity.sim.reading import Key, Reading
from smartcity.sim.transport import Acknowledged, Connected, Disconnected, Event

START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


class Wire:
    """A transport without a gateway: what is published is remembered, and `events` are reported."""

    def __init__(self) -> None:
        self.published: list[Key | None] = []
        self.doings: list[str] = []
        self.events: list[Event] = []

    def open(self, device_id: str, will: Callable[[], Message]) -> None:
        self.doings.append(f"open {device_id}")

    def shut(self, device_id: str, detail: str) -> None:
        self.doings.append(f"shut {device_id}")
        self.events.append(Disconnected(device_id, detail, False))

    def publish(self, device_id: str, message: Message, key: Key | None) -> bool:
        self.published.append(key)
        return True

    def reconnect(self, device_id: str, detail: str) -> None:
        self.doings.append(f"reconnect {device_id}")

    def poll(self, timeout_s: float) -> list[Event]:
        events, self.events = self.events, []
        return events

    def close(self) -> None:
        self.doings.append("close")


class Bench:
    """A device `d` on a faulty transport, with clocks that are set by hand."""

    def __init__(self, offline: tuple[int, int] | None = None) -> None:
        self.wire = Wire()
        self.now_s = 0.0
        self.seconds = 0
        span = offline or (-1, -1)
        self.transport = FaultyTransport(
            self.wire,
            offline=lambda _device, time: span[0] <= (time - START).total_seconds() < span[1],
            goes_offline=lambda _device: offline is not None,
            now=lambda: START + timedelta(seconds=self.seconds),
            monotonic=lambda: self.now_s,
        )
        self.transport.open("d", lambda: status_message("d", b""))

    def publish(self, sequence: int, *faults: Injected) -> bool:
        reading = Reading(
            device_id="d", boot="b", sequence=sequence, stream=GPS, time=START, payload=b"x", metadata=None
        )
        if faults:
            self.transport.expect(reading, faults)
        return self.transport.publish("d", reading_message(reading, START), reading.key)

    def poll(self, *events: Event, after_s: float = 0.1) -> list[Event]:
        self.now_s += after_s
        self.wire.events.extend(events)
        return self.transport.poll(0.1)

    @property
    def copies(self) -> list[Key]:
        return [key for key in self.wire.published if key is not None and key[0] != "b"]

    @property
    def sequences(self) -> list[int]:
        return [key[1] for key in self.wire.published if key is not None]


TWICE = Injected(fault=1, kind="duplicate", detail="")


def late(readings: int) -> Injected:
    return Injected(fault=2, kind="reorder", detail="", delay_readings=readings)


def test_a_reading_is_held_back_until_so_many_have_passed() -> None:
    bench = Bench()
    bench.publish(1, late(2))
    bench.transport.publish("d", status_message("d", b""), None)
    for sequence in (2, 3, 4):
        assert bench.publish(sequence)
    assert bench.sequences == [2, 3, 1, 4]


def test_readings_held_back_do_not_wait_for_one_another() -> None:
    bench = Bench()
    for sequence in range(1, 8):
        bench.publish(sequence, late(1 + sequence % 3))
    bench.poll(after_s=HOLD_S_MAX)
    assert sorted(bench.sequences) == list(range(1, 8))
    assert bench.sequences != sorted(bench.sequences)


def test_at_the_end_a_reading_is_not_held_for_ever() -> None:
    bench = Bench()
    bench.publish(1, late(4))
    bench.poll(after_s=HOLD_S_MAX * 0.9)
    assert bench.sequences == []
    bench.poll(after_s=HOLD_S_MAX * 0.2)
    assert bench.sequences == [1]


def test_what_was_held_back_is_void_with_its_connection_and_struck_again() -> None:
    bench = Bench()
    bench.publish(1, late(1))
    bench.poll(Disconnected("d", "", False))
    bench.poll(after_s=2 * HOLD_S_MAX)
    assert bench.sequences == []
    bench.publish(1)
    bench.publish(2)
    assert bench.sequences == [2, 1]


def test_a_duplicate_leaves_once_more_and_its_puback_is_nobodys() -> None:
    bench = Bench()
    bench.publish(1, TWICE)
    assert bench.sequences == [1, 1]
    copy, first = bench.wire.published
    assert first == ("b", 1) != copy
    events = bench.poll(Acknowledged("d", copy, 0), Acknowledged("d", first, 0), Acknowledged("d", None, 0))
    assert events == [Acknowledged("d", ("b", 1), 0), Acknowledged("d", None, 0)]
    bench.publish(1)
    assert bench.sequences == [1, 1, 1], "only the first publish is struck"


def test_one_duplicate_at_a_time_is_in_flight_and_receive_maximum_leaves_room_for_it() -> None:
    bench = Bench()
    assert bench.poll(Connected("d", 20, 1000)) == [Connected("d", 19, 1000)]
    for sequence in (1, 2, 3):
        bench.publish(sequence, TWICE)
    assert bench.sequences == [1, 1]
    for sequence in (2, 3):
        bench.poll(Acknowledged("d", bench.copies[-1], 0))
        assert bench.sequences[-2:] == [sequence, sequence]
    assert bench.wire.published[1::2] == [("b", 1), ("b", 2), ("b", 3)]


def test_two_faults_duplicate_a_reading_twice() -> None:
    bench = Bench()
    bench.publish(1, TWICE, TWICE)
    assert bench.wire.published == bench.copies
    bench.poll(Acknowledged("d", bench.copies[0], 0))
    assert bench.wire.published == [*bench.copies, ("b", 1)]
    assert len(bench.copies) == 2


def test_a_duplicate_that_the_end_of_a_connection_may_have_lost_is_made_again() -> None:
    bench = Bench()
    bench.publish(1, TWICE)
    bench.publish(2, TWICE)
    bench.poll(Disconnected("d", "", False))
    assert bench.sequences == [1, 1]
    bench.publish(1)
    bench.poll(Acknowledged("d", bench.copies[-1], 0))
    bench.publish(2)
    assert bench.sequences == [1, 1, 1, 1, 2, 2]


def test_in_a_spell_the_connection_is_shut_and_then_opened_again() -> None:
    bench = Bench(offline=(10, 20))
    bench.poll()
    bench.seconds = 10
    assert bench.poll() == [Disconnected("d", "an offline spell of the plan begins", False)]
    assert not bench.publish(1)
    bench.transport.reconnect("d", "no PUBACK")
    bench.seconds = 19
    bench.poll()
    assert bench.wire.doings == ["open d", "shut d"]
    bench.seconds = 20
    bench.poll()
    assert bench.wire.doings == ["open d", "shut d", "open d"]
    assert bench.publish(1)
    assert bench.sequences == [1]


def test_what_is_held_back_when_a_spell_begins_does_not_leave_in_it() -> None:
    bench = Bench(offline=(10, 20))
    bench.publish(1, late(1))
    bench.seconds = 10
    bench.poll(after_s=2 * HOLD_S_MAX)
    assert bench.sequences == []
    bench.seconds = 20
    bench.poll()
    bench.publish(1)
    bench.publish(2)
    assert bench.sequences == [2, 1]


def test_a_device_that_starts_in_a_spell_is_opened_at_its_end() -> None:
    bench = Bench(offline=(0, 5))
    bench.poll()
    assert bench.wire.doings == []
    bench.seconds = 5
    bench.poll()
    assert bench.wire.doings == ["open d"]


@pytest.mark.parametrize("offline", [None, (0, 5)])
def test_a_device_is_shut_once(offline: tuple[int, int] | None) -> None:
    bench = Bench(offline=offline)
    bench.transport.shut("d", "over")
    assert bench.wire.doings == ([] if offline else ["open d", "shut d"])
    bench.transport.close()
    assert bench.wire.doings[-1] == "close"
