"""The sending state machine, with time passed in."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from smartcity.contracts.streams import GPS
from smartcity.sim.device import Device, Publish, Reconnect, Refusal, WindowSettings
from smartcity.sim.message import packet_bytes, reading_message
from smartcity.sim.reading import Reading

BOOT = "00000000000000aa"
SETTINGS = WindowSettings(readings_max=8, bytes_max=10_000, in_flight_max=4)


def reading(sequence: int, payload: bytes = b"x", boot: str = BOOT) -> Reading:
    return Reading(
        device_id="d",
        boot=boot,
        sequence=sequence,
        stream=GPS,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        payload=payload,
        metadata=None,
    )


def device(*, connected: bool = True, packet_bytes_max: int | None = None) -> Device:
    made = Device(device_id="d", boot=BOOT, settings=SETTINGS, random=Random(1))
    if connected:
        made.on_connected(receive_max=20, packet_bytes_max=packet_bytes_max)
    return made


def published(made: Device, now: float) -> list[int]:
    return [action.reading.sequence for action in made.due(now) if isinstance(action, Publish)]


def fill(made: Device, count: int, now: float = 0.0) -> None:
    """`count` readings, published and acknowledged."""
    for sequence in range(1, count + 1):
        assert made.offer(reading(sequence))
    while sent := published(made, now):
        for sequence in sent:
            made.on_puback((BOOT, sequence), 0)


def test_puback_confirms_nothing_and_a_receipt_does() -> None:
    made = device()
    fill(made, 3)
    assert made.window == 3
    made.on_receipt({BOOT: [(1, 2)]})
    assert made.window == 1
    made.on_receipt({"ffffffffffffffff": [(3, 3)]})
    assert made.window == 1
    made.on_receipt({BOOT: [(1, 10**30)]})
    assert made.window == 0


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12)), max_size=4))
def test_a_receipt_confirms_what_of_the_window_lies_in_its_ranges_once(spans: list[tuple[int, int]]) -> None:
    made = device()
    fill(made, 8)
    ranges = [(first, first + length) for first, length in spans]
    expected = [n for n in range(1, 9) if any(first <= n <= last for first, last in ranges)]
    assert sorted(found.sequence for found in made.on_receipt({BOOT: ranges, "ffffffffffffffff": [(1, 9)]})) == expected
    assert made.window == 8 - len(expected)


def test_a_device_is_ready_when_something_is_unsent_or_overdue() -> None:
    made = device()
    assert not made.ready(0.0)
    assert made.offer(reading(1))
    assert made.ready(0.0)
    assert published(made, 0.0) == [1]
    made.on_puback((BOOT, 1), 0)
    assert not made.ready(SETTINGS.confirm_timeout_s - 0.1)
    assert made.ready(SETTINGS.confirm_timeout_s + 0.1)


def test_before_the_first_receipt_a_full_window_lets_each_live_reading_pass_once() -> None:
    made = device(packet_bytes_max=1_000)
    fill(made, SETTINGS.readings_max)
    assert not made.offer(reading(9))
    assert not made.offer(reading(10, b"x" * 2_000))
    assert not made.offer(reading(11))
    assert published(made, 0) == [9, 11]
    made.on_puback((BOOT, 9), 0)
    assert published(made, 0) == []
    assert made.window == SETTINGS.readings_max


def test_after_the_first_receipt_a_full_window_holds_live_readings_back() -> None:
    made = device()
    fill(made, SETTINGS.readings_max)
    made.on_receipt({BOOT: [(1, 1)]})
    assert made.offer(reading(9))
    assert published(made, 0) == [9]
    assert not made.offer(reading(10))
    assert published(made, 0) == []


def test_nothing_is_sent_without_a_connection_and_all_is_sent_again_after_a_reconnect() -> None:
    made = device(connected=False)
    for sequence in (1, 2, 3):
        made.offer(reading(sequence))
    assert made.due(0) == []
    made.on_connected(receive_max=20, packet_bytes_max=None)
    assert published(made, 0) == [1, 2, 3]
    made.on_puback((BOOT, 1), 0)
    made.on_disconnected(blamed=False)
    made.on_connected(receive_max=20, packet_bytes_max=None)
    assert published(made, 1) == [1, 2, 3]


def test_the_receive_maximum_bounds_what_awaits_its_puback() -> None:
    made = device(connected=False)
    made.on_connected(receive_max=4, packet_bytes_max=None)
    for sequence in range(1, 9):
        made.offer(reading(sequence))
    assert published(made, 0) == [1, 2]
    assert published(made, 0) == []
    made.on_puback((BOOT, 1), 0)
    assert published(made, 0) == [3]


def test_the_window_is_bounded_in_readings_and_bytes_but_an_empty_one_takes_any_reading() -> None:
    made = device()
    assert made.offer(reading(1, b"x" * 1_000_000))
    assert not made.offer(reading(2))
    made.on_receipt({BOOT: [(1, 1)]})
    fill(made, 8)
    assert not made.offer(reading(9))


def test_an_outage_is_probed_with_the_oldest_alone_and_ever_more_seldom() -> None:
    made = device()
    fill(made, 8)
    probes: list[float] = []
    for tenth in range(3_000):
        for sequence in published(made, tenth / 10):
            assert sequence == 1
            made.on_puback((BOOT, 1), 0)
            probes.append(tenth / 10)
    gaps = [later - earlier for earlier, later in itertools.pairwise(probes)]
    assert probes[0] == SETTINGS.confirm_timeout_s
    assert 6 < len(probes) < 20
    assert max(gaps) <= SETTINGS.backoff_max_s * 1.25 + 0.2
    assert gaps[-1] > gaps[0] * 2


def test_a_confirmed_probe_opens_the_way_for_twice_as_many() -> None:
    made = device()
    fill(made, 8)
    now, bursts = 10.0, []
    while made.window:
        sent = published(made, now)
        bursts.append(len(sent))
        for sequence in sent:
            made.on_puback((BOOT, sequence), 0)
            made.on_receipt({BOOT: [(sequence, sequence)]})
        now += 0.1
    assert bursts[0] == 1
    assert bursts == sorted(bursts[:3]) + bursts[3:]
    assert sum(bursts) == 8
    assert len(bursts) <= 4


def test_one_lost_reading_is_sent_again_while_others_are_confirmed_all_the_time() -> None:
    made = device()
    fill(made, 1)
    resent = []
    for sequence in range(2, 200):
        now = sequence / 10
        made.offer(reading(sequence))
        for sent in published(made, now):
            if sent == 1:
                resent.append(now)
            made.on_puback((BOOT, sent), 0)
            if sent != 1:
                made.on_receipt({BOOT: [(sent, sent)]})
    assert resent
    assert resent[0] <= SETTINGS.confirm_timeout_s + 0.2


def test_an_oversize_reading_is_refused_and_those_behind_it_leave() -> None:
    exact = packet_bytes(reading_message(reading(1), datetime(2026, 1, 1, tzinfo=UTC)))
    made = device(packet_bytes_max=exact)
    made.offer(reading(1))
    made.offer(reading(2, b"xx"))
    made.offer(reading(3))
    actions = made.due(0)
    assert [action.reading.sequence for action in actions if isinstance(action, Publish)] == [1, 3]
    refusal = next(action for action in actions if isinstance(action, Refusal))
    assert (refusal.reading.sequence, refusal.reason) == (2, "packet_too_large")
    assert str(exact) in refusal.detail


def test_a_negative_puback_refuses_and_no_matching_subscribers_does_not() -> None:
    made = device()
    made.offer(reading(1))
    made.offer(reading(2))
    published(made, 0)
    made.on_puback((BOOT, 1), 0x87)
    made.on_puback((BOOT, 2), 0x10)
    refusals = [action for action in made.due(0) if isinstance(action, Refusal)]
    assert [(r.reading.sequence, r.reason) for r in refusals] == [(1, "puback_135")]
    assert made.window == 1


def test_a_reading_that_breaks_the_connection_is_found_and_refused() -> None:
    made = device(connected=False)
    for sequence in range(1, 6):
        made.offer(reading(sequence))
    refused: list[int] = []
    delivered: list[int] = []
    connections = 0
    for _ in range(100):
        made.on_connected(receive_max=20, packet_bytes_max=None)
        connections += 1
        broken = False
        while not broken and (actions := made.due(0)):
            refused += [action.reading.sequence for action in actions if isinstance(action, Refusal)]
            sent = [action.reading.sequence for action in actions if isinstance(action, Publish)]
            for sequence in sent:
                if sequence == 3:
                    made.on_disconnected(blamed=True)
                    broken = True
                    break
                made.on_puback((BOOT, sequence), 0)
                made.on_receipt({BOOT: [(sequence, sequence)]})
                delivered.append(sequence)
        if not made.window:
            break
    refused += [action.reading.sequence for action in made.due(0) if isinstance(action, Refusal)]
    assert refused == [3]
    assert sorted(delivered) == [1, 2, 4, 5]
    assert connections <= 4


def test_a_lost_network_blames_no_reading() -> None:
    made = device(connected=False)
    made.offer(reading(1))
    for _ in range(20):
        made.on_connected(receive_max=20, packet_bytes_max=None)
        assert published(made, 0) == [1]
        made.on_disconnected(blamed=False)
    assert made.window == 1


def test_a_gateway_that_never_acknowledges_is_left() -> None:
    made = device()
    made.offer(reading(1))
    assert published(made, 0) == [1]
    assert made.due(29) == []
    assert any(isinstance(action, Reconnect) for action in made.due(31))


def test_a_backlog_leaves_room_for_live_readings() -> None:
    made = device()
    old = [reading(sequence, boot="00000000000000bb") for sequence in range(1, 20)]
    last = made.offer_backlog(old[: made.backlog_room()])
    assert last is not None
    assert made.window == 6
    assert made.backlog_room() == 0
    assert made.offer(reading(1))
    assert made.offer(reading(2))
    assert not made.offer(reading(3))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_every_reading_is_confirmed_or_refused_once_the_way_is_free(  # noqa: PLR0915 - One story, told in order.
    data: st.DataObject,
) -> None:
    """A hostile gateway for a while, then a good one: nothing stays, nothing is lost, nothing leaves unannounced."""
    made = device(connected=False)
    waiting = [reading(sequence) for sequence in range(1, 15)]
    inside: set[int] = set()
    confirmed: set[int] = set()
    refused: set[int] = set()
    unacknowledged: list[int] = []
    connected, now = False, 0.0

    def act() -> None:
        for action in made.due(now):
            if isinstance(action, Publish):
                assert connected
                unacknowledged.append(action.reading.sequence)
            elif isinstance(action, Refusal):
                refused.add(action.reading.sequence)
                inside.discard(action.reading.sequence)

    def confirm(sequence: int) -> None:
        made.on_receipt({BOOT: [(sequence, sequence)]})
        if sequence in inside:
            confirmed.add(sequence)
            inside.discard(sequence)

    for _ in range(data.draw(st.integers(0, 60))):
        match data.draw(st.sampled_from(["offer", "offer", "connect", "break", "puback", "nack", "receipt", "wait"])):
            case "offer" if waiting and made.offer(waiting[0]):
                inside.add(waiting.pop(0).sequence)
            case "connect" if not connected:
                connected = True
                made.on_connected(receive_max=data.draw(st.integers(1, 20)), packet_bytes_max=None)
            case "break" if connected:
                connected = False
                unacknowledged.clear()
                made.on_disconnected(blamed=data.draw(st.booleans()))
            case "puback" | "nack" as kind if unacknowledged:
                made.on_puback((BOOT, unacknowledged.pop(0)), 0 if kind == "puback" else 0x97)
            case "receipt":
                confirm(data.draw(st.integers(1, 14)))
            case "wait":
                now += data.draw(st.floats(0, 40))
        act()
        assert made.window <= SETTINGS.readings_max
        assert made.window == len(inside)
    if not connected:
        connected = True
        made.on_connected(receive_max=20, packet_bytes_max=None)
    for _ in range(400):
        while waiting and made.offer(waiting[0]):
            inside.add(waiting.pop(0).sequence)
        act()
        if not unacknowledged and not inside and not waiting:
            break
        for sequence in unacknowledged[:]:
            unacknowledged.remove(sequence)
            made.on_puback((BOOT, sequence), 0)
            confirm(sequence)
        now += 1
    assert confirmed | refused == set(range(1, 15))
    assert not confirmed & refused
