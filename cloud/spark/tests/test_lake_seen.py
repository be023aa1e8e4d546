"""What the driver remembers of the tables: never less than they hold of the days that it answers for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smartcity.lake.seen import Ids, Integers, Seen, merge, runs

DAY = 20_000
BOOTS = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"]

Rows = list[tuple[int, int, int]]
"""Number of the boot, sequence, day."""


def make_ids(rows: Rows) -> Ids:
    boots, sequences, days = (np.array([row[n] for row in rows], dtype=np.int64) for n in range(3))
    return Ids(boots=boots, names=BOOTS, sequences=sequences, days=days)


def numbers(intervals: Integers) -> set[int]:
    return {n for first, last in intervals.tolist() for n in range(first, last + 1)}


def ask(seen: Seen, rows: Rows) -> list[bool]:
    seen.cover(seen.missing_days({row[2] for row in rows}), {})
    flags: list[bool] = seen.suspects(make_ids(rows)).tolist()
    return flags


some_rows = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 20), st.just(DAY)), min_size=1, max_size=12)


@given(st.lists(some_rows, max_size=6))
def test_suspected_is_exactly_what_came_before_or_stands_twice(batches: list[Rows]) -> None:
    seen, held = Seen(), set[tuple[int, int]]()
    for rows in batches:
        keys = [(boot, sequence) for boot, sequence, _ in rows]
        assert ask(seen, rows) == [key in held or keys.count(key) > 1 for key in keys]
        seen.add(make_ids(rows))
        held |= set(keys)


spans = st.lists(st.integers(1, 40), min_size=1, max_size=15).map(lambda numbers: runs(np.array(sorted(numbers))))


@given(spans, spans)
def test_merged_intervals_are_the_union_and_as_few_as_can_be(held: Integers, more: Integers) -> None:
    both = merge(held, more)
    assert numbers(both) == numbers(held) | numbers(more)
    assert all(last + 1 < first for last, first in zip(both[:-1, 1], both[1:, 0], strict=True))


def test_a_reading_of_a_day_that_is_not_held_is_suspected() -> None:
    seen = Seen(days_max=2)
    days = [DAY, DAY + 1, DAY + 2]
    assert seen.missing_days(days) == [DAY + 2, DAY + 1]
    assert ask(seen, [(0, n, day) for n, day in enumerate(days, 1)]) == [True, False, False]


def test_an_old_day_and_its_boots_make_room_for_a_new_one() -> None:
    seen = Seen(days_max=2)
    seen.cover([DAY, DAY + 1], {})
    seen.add(make_ids([(0, 1, DAY), (1, 1, DAY + 1)]))
    assert seen.intervals == 2
    seen.cover([DAY + 2], {})
    assert (seen.days, seen.intervals) == ({DAY + 1, DAY + 2}, 1)
    assert ask(seen, [(0, 1, DAY), (0, 2, DAY + 1), (1, 1, DAY + 2)]) == [True, False, True]


def test_what_the_tables_hold_of_a_day_is_suspected() -> None:
    seen = Seen()
    seen.cover([DAY], {BOOTS[0]: (np.array([[1, 3], [7, 7]]), DAY)})
    assert ask(seen, [(0, n, DAY) for n in (1, 3, 4, 6, 7, 8)]) == [True, True, False, False, True, False]
    assert ask(seen, [(1, 1, DAY)]) == [False]


def test_an_id_of_another_form_is_always_suspected() -> None:
    seen = Seen()
    ids = Ids(boots=np.array([-1, -1]), names=[], sequences=np.array([0, 0]), days=np.array([DAY, DAY]))
    seen.cover([DAY], {})
    assert seen.suspects(ids).all()
    seen.add(ids)
    assert seen.intervals == 0


def test_forgetting_leaves_nothing() -> None:
    seen = Seen()
    seen.snapshots["gps"] = 7
    ask(seen, [(0, 1, DAY)])
    seen.add(make_ids([(0, 1, DAY)]))
    seen.forget()
    assert (seen.days, seen.intervals, seen.snapshots) == (set(), 0, {})
    assert seen.missing_days([DAY]) == [DAY]
