"""The outbox: what survives, what is refused or dropped by policy, and what the log still proves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smartcity.contracts.streams import CAMERA, GPS
from smartcity.sim.errors import OutboxError
from smartcity.sim.outbox import Outbox, OutboxLimits
from smartcity.sim.reading import Reading

TIME = datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)


def reading(boot: str, sequence: int, payload: bytes = b"x", device_id: str = "d") -> Reading:
    return Reading(
        device_id=device_id,
        boot=boot,
        sequence=sequence,
        stream=CAMERA if sequence % 2 else GPS,
        time=TIME + timedelta(seconds=sequence),
        payload=payload,
        metadata='{"ö":1}' if sequence % 3 == 0 else None,
    )


def append(outbox: Outbox, *readings: Reading) -> list[Reading]:
    with outbox.transaction():
        return outbox.append(readings)


def sequences(outbox: Outbox, boot: str) -> list[int]:
    return [r.sequence for r in outbox.next_to_send("d", boot, after=0, limit=10_000)]


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as db:
        return db.execute(query).fetchall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    opened = Outbox(path)
    yield opened
    opened.close()


def test_a_boot_is_new_at_every_start(outbox: Outbox) -> None:
    boots = {outbox.start("d") for _ in range(50)}
    assert len(boots) == 50
    assert all(len(boot) == 16 and int(boot, 16) >= 0 for boot in boots)


def test_a_reading_comes_back_as_it_was_after_a_restart(path: Path) -> None:
    first = Outbox(path)
    old = first.start("d")
    kept = append(first, *(reading(old, sequence, bytes([sequence, 0, 255])) for sequence in range(1, 7)))
    first.confirm("d", old, [(2, 3)])
    first.close()
    second = Outbox(path)
    new = second.start("d")
    append(second, reading(new, 1))
    assert second.boots_pending() == {"d": [old, new]}
    assert second.next_to_send("d", old, after=0, limit=10) == [kept[0], *kept[3:]]
    assert second.next_to_send("d", old, after=4, limit=1) == [kept[4]]
    assert second.pending("d") == second.pending() == 5
    second.close()


def test_what_a_failed_transaction_wrote_is_gone(outbox: Outbox, path: Path) -> None:
    boot = outbox.start("d")
    with pytest.raises(ZeroDivisionError), outbox.transaction():
        1 / len(outbox.append([reading(boot, 1)])[1:])
    assert sequences(outbox, boot) == []
    assert rows(path, "SELECT count(*) FROM log") == [(0,)]


def test_pending_and_log_are_the_same_readings(outbox: Outbox, path: Path) -> None:
    boot = outbox.start("d")
    append(outbox, *(reading(boot, sequence) for sequence in range(1, 10)))
    assert rows(path, "SELECT * FROM log") == rows(path, "SELECT * FROM pending")
    (row,) = rows(path, "SELECT event_time_us, stream, metadata FROM log WHERE sequence = 3")
    assert row == (int(TIME.timestamp()) * 1_000_000 + 3_123_456, "camera", '{"ö":1}')


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 12)), max_size=8))
def test_receipts_remove_exactly_their_ranges(tmp_path: Path, spans: list[tuple[int, int]]) -> None:
    outbox = Outbox(tmp_path / f"{len(list(tmp_path.iterdir()))}.db")
    boot, other = outbox.start("d"), outbox.start("d")
    append(outbox, *(reading(boot, sequence) for sequence in range(1, 31)), reading(other, 5))
    ranges = [(first, first + length) for first, length in spans]
    left = [sequence for sequence in range(1, 31) if not any(a <= sequence <= b for a, b in ranges)]
    assert outbox.confirm("d", boot, ranges) == 30 - len(left)
    assert sequences(outbox, boot) == left
    assert sequences(outbox, other) == [5]
    assert outbox.pending("d") == len(left) + 1
    outbox.close()


def test_forgetting_takes_exactly_the_readings_named(outbox: Outbox) -> None:
    boot = outbox.start("d")
    one, two, three = append(outbox, reading(boot, 1, b"abc"), reading(boot, 2), reading(boot, 3))
    with outbox.transaction():
        outbox.forget([one, three])
    assert sequences(outbox, boot) == [2]
    assert outbox.pending() == outbox.pending("d") == 1
    with pytest.raises(OutboxError, match="another program"), outbox.transaction():
        outbox.forget([two, three])
    assert sequences(outbox, boot) == [2]


def test_a_receipt_with_absurd_numbers_is_harmless(outbox: Outbox) -> None:
    boot = outbox.start("d")
    append(outbox, reading(boot, 1))
    assert outbox.confirm("d", boot, [(10**40, 10**50)]) == 0
    assert outbox.confirm("x", "?", [(1, 10**50)]) == 0
    assert outbox.confirm("d", boot, [(1, 10**50)]) == 1


def test_refused_readings_move_with_their_reason_once(outbox: Outbox, path: Path) -> None:
    boot = outbox.start("d")
    one, two = append(outbox, reading(boot, 1, b"big"), reading(boot, 2))
    assert outbox.refuse(one, reason="packet_too_large", detail="why")
    assert not outbox.refuse(one, reason="packet_too_large", detail="why")
    outbox.confirm("d", boot, [(2, 2)])
    assert not outbox.refuse(two, reason="late", detail="a receipt came first")
    assert rows(path, "SELECT sequence, payload, reason, detail FROM refused") == [
        (1, b"big", "packet_too_large", "why")
    ]
    assert outbox.pending() == 0


def test_a_full_outbox_drops_new_readings_by_name_and_logs_them(path: Path) -> None:
    outbox = Outbox(path, limits=OutboxLimits(pending_max=3, pending_bytes_max=100))
    boot = outbox.start("d")
    kept = append(outbox, *(reading(boot, sequence) for sequence in range(1, 6)), reading("b", 1, device_id="other"))
    assert [(r.device_id, r.sequence) for r in kept] == [("d", 1), ("d", 2), ("d", 3), ("other", 1)]
    outbox.confirm("d", boot, [(1, 1)])
    assert [r.sequence for r in append(outbox, reading(boot, 6, b"x" * 101), reading(boot, 7), reading(boot, 8))] == [7]
    assert rows(path, "SELECT sequence, reason FROM dropped ORDER BY sequence") == [
        (4, "pending_max"),
        (5, "pending_max"),
        (6, "pending_bytes_max"),
        (8, "pending_max"),
    ]
    assert rows(path, "SELECT count(*) FROM log WHERE device_id = 'd'") == [(8,)]
    outbox.close()


def test_the_log_is_capped_and_says_what_it_no_longer_proves(path: Path) -> None:
    limits = OutboxLimits(log_bytes_max=10_000)
    outbox = Outbox(path, limits=limits)
    boot = outbox.start("d")
    for start in range(1, 400, 20):
        append(
            outbox,
            *(reading(boot, sequence) for sequence in range(start, start + 20)),
            *(reading("e", sequence, device_id="other") for sequence in range(start, start + 5)),
        )
    outbox.close()
    again = Outbox(path, limits=limits)  # The size of the log is known after a restart, too.
    append(again, *(reading(boot, sequence) for sequence in range(400 + 1, 500)))
    for device, last in (("d", 499), ("other", 385)):
        spans = rows(path, f"SELECT first_sequence, last_sequence FROM evicted WHERE device_id = '{device}'")
        gone = {sequence for first, end in spans for sequence in range(int(str(first)), int(str(end)) + 1)}
        logged = {s for (s,) in rows(path, f"SELECT sequence FROM log WHERE device_id = '{device}'")}
        assert gone
        assert not gone & logged
        if device == "d":
            assert gone | logged == set(range(1, last + 1))
            assert len(spans) == 1
    assert rows(path, "SELECT count(*) * 101 <= 10000 FROM log") == [(1,)]
    assert again.pending("d") == 499, "what is pending does not depend on the log"
    again.close()


def test_the_hot_queries_use_the_index(outbox: Outbox, path: Path) -> None:
    for query in (
        "DELETE FROM pending WHERE device_id = 'd' AND boot = 'b' AND sequence BETWEEN 1 AND 2",
        "SELECT * FROM pending WHERE device_id = 'd' AND boot = 'b' AND sequence > 1 ORDER BY sequence LIMIT 3",
    ):
        plan = " ".join(str(row[3]) for row in rows(path, f"EXPLAIN QUERY PLAN {query}"))
        assert "USING INDEX sqlite_autoindex_pending_1" in plan
        assert "TEMP B-TREE" not in plan


def test_appending_to_the_log_touches_its_end_alone(outbox: Outbox, path: Path) -> None:
    assert rows(path, "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'log'") == []
    assert rows(path, "SELECT count(*) FROM log") == [(0,)]


def test_a_file_that_is_no_outbox_is_named(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(OutboxError, match=r"outbox\.db"):
        Outbox(path)
    other = path.with_name("later.db")
    with sqlite3.connect(other) as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(OutboxError, match="schema version 9"):
        Outbox(other)
