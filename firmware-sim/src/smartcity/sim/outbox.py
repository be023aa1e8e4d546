"""The devices' outbox and log: a reading is here before it is published, and stays until Kafka is known to have it.

One SQLite file serves all devices of a process; its tables are fixed in docs/architecture.md.

Guarantees:
- A reading stands in `log` and in `pending` (or, by policy, in `dropped`), written in one transaction, before any
  caller may publish it.
- It leaves `pending` only through `confirm` (a receipt names it) or `refuse` (it moves to `refused` with its reason).
- Readings of earlier boots stay pending under their old ids.
- At most `pending_max` readings and `pending_bytes_max` bytes wait per device. What comes beyond is *new* readings
  being dropped (the older ones are nearer to delivery, and a device that dropped its oldest would leave holes that
  no one can explain); each is named in `dropped` with the reason, counted, and kept in the log.
- `log` is capped by `log_bytes_max`: the oldest go first, and `evicted` names the spans that are unproven from then on.

Durability: WAL with synchronous=FULL, so that a committed reading survives a power cut, not only a killed process
(NORMAL syncs at checkpoints only). The caller commits once per tick of 100 ms, so the price is ten syncs a second,
however many readings there are: on a busy two-core machine (ext4) a tick of 60 readings and their receipts took 7.6 ms
in the median with FULL, most of it waiting, and 1.1 ms with NORMAL.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from smartcity.contracts.receipts import coalesce
from smartcity.contracts.streams import STREAM_BY_NAME

from .errors import OutboxError
from .observation import Injected
from .reading import Reading, from_us, to_us

SCHEMA_VERSION = 2
DROP_PENDING_MAX = "pending_max"
DROP_PENDING_BYTES_MAX = "pending_bytes_max"
_ROW_OVERHEAD_BYTES = 100  # Ids, times and index entries of a row in `log`, roughly.
_CHECKPOINT_PAGES = 4_096
"""16 MiB: most rows of `pending` are deleted again before a checkpoint would write them into the file."""
_EVICT_TO = 0.95  # Eviction frees down to this part of the cap, so that it does not run in every tick.
_EVICT_ROWS = 1_000

# The unique index that the primary key of `pending` makes serves both hot paths: a receipt deletes a range of one boot,
# and the next to send are read in the order of sequence. Rows keep their rowid, because payloads of tens of kilobytes
# inside an index B-tree would spoil it, and because the rowid of `log` is the order of arrival, by which it is evicted.
# `log` has no index: in a fleet's, each reading would dirty a page of its own, its device's leaf (figures in ADR 6).
# Files of earlier programs have one, and work the same.
_SCHEMA = """
CREATE TABLE boots (device_id TEXT NOT NULL, boot TEXT NOT NULL, started_at_us INTEGER NOT NULL,
    PRIMARY KEY (device_id, boot));
CREATE TABLE pending (device_id TEXT NOT NULL, boot TEXT NOT NULL, sequence INTEGER NOT NULL, stream TEXT NOT NULL,
    event_time_us INTEGER NOT NULL, payload BLOB NOT NULL, metadata TEXT,
    PRIMARY KEY (device_id, boot, sequence));
CREATE TABLE log (device_id TEXT NOT NULL, boot TEXT NOT NULL, sequence INTEGER NOT NULL, stream TEXT NOT NULL,
    event_time_us INTEGER NOT NULL, payload BLOB NOT NULL, metadata TEXT);
CREATE TABLE refused (device_id TEXT NOT NULL, boot TEXT NOT NULL, sequence INTEGER NOT NULL, stream TEXT NOT NULL,
    event_time_us INTEGER NOT NULL, payload BLOB NOT NULL, metadata TEXT, reason TEXT NOT NULL, detail TEXT,
    refused_at_us INTEGER NOT NULL, PRIMARY KEY (device_id, boot, sequence));
CREATE TABLE dropped (device_id TEXT NOT NULL, boot TEXT NOT NULL, sequence INTEGER NOT NULL, stream TEXT NOT NULL,
    reason TEXT NOT NULL, dropped_at_us INTEGER NOT NULL, PRIMARY KEY (device_id, boot, sequence));
CREATE TABLE evicted (device_id TEXT NOT NULL, boot TEXT NOT NULL, first_sequence INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL, PRIMARY KEY (device_id, boot, first_sequence));
"""
# Since version 2: what a plan of faults did, reading by reading. It goes with the log row.
_SCHEMA_FAULTS = """
CREATE TABLE faults (device_id TEXT NOT NULL, boot TEXT NOT NULL, sequence INTEGER NOT NULL, fault INTEGER NOT NULL,
    kind TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (device_id, boot, sequence, fault));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """Bounds per device (`pending_*`) and of the whole file's log."""

    pending_max: int = 100_000
    pending_bytes_max: int = 256 * 1024 * 1024
    log_bytes_max: int = 2 * 1024 * 1024 * 1024


@dataclass(slots=True)
class _Waiting:
    """What a device has in `pending`."""

    readings: int = 0
    payload_bytes: int = 0


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Outbox:
    """An open outbox. Not for several threads; other processes may read the file at any time.

    Raises:
        OutboxError: from every method, where SQLite fails. It is terminal for the object.
    """

    def __init__(
        self, path: Path, *, limits: OutboxLimits | None = None, wall_clock: Callable[[], datetime] = _wall_clock
    ) -> None:
        self.path = path
        self._limits = limits or OutboxLimits()
        self._wall_clock = wall_clock
        with self._errors("open"):
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(f"PRAGMA journal_size_limit={64 * 1024 * 1024}")
            self._db.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            self._migrate()
            self._waiting = self._count_waiting()
            self._pending = sum(waiting.readings for waiting in self._waiting.values())
            self._log_bytes = self._count_log_bytes()

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside becomes durable together, when the block ends; nothing, if it raises."""
        with self._errors("write"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def start(self, device_id: str) -> str:
        """A new boot of a device: 64 random bits, never derived from a seed, so that no id is ever used twice."""
        boot = secrets.token_hex(8)
        with self._errors("write"):
            self._db.execute("INSERT INTO boots VALUES (?, ?, ?)", (device_id, boot, to_us(self._wall_clock())))
        return boot

    def append(self, batch: Sequence[Reading]) -> list[Reading]:
        """Logs all, keeps what the limits allow as pending and returns that; the rest is recorded in `dropped`.

        To be called inside `transaction()`; nothing may be published before that has ended.
        """
        kept: list[Reading] = []
        dropped: list[tuple[object, ...]] = []
        now_us = to_us(self._wall_clock())
        for reading in batch:
            waiting = self._waiting.setdefault(reading.device_id, _Waiting())
            reason = self._drop_reason(waiting, reading)
            if reason is None:
                waiting.readings += 1
                waiting.payload_bytes += len(reading.payload)
                self._pending += 1
                kept.append(reading)
            else:
                dropped.append((*_identity(reading), reading.stream.name, reason, now_us))
            self._log_bytes += len(reading.payload) + len(reading.metadata or "") + _ROW_OVERHEAD_BYTES
        with self._errors("write"):
            rows = [_row(reading) for reading in batch]
            self._db.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            kept_rows = map(_row, kept) if dropped else rows
            self._db.executemany("INSERT INTO pending VALUES (?, ?, ?, ?, ?, ?, ?)", kept_rows)
            self._db.executemany("INSERT INTO dropped VALUES (?, ?, ?, ?, ?, ?)", dropped)
            self._evict()
        return kept

    def record_faults(self, struck: Iterable[tuple[Reading, Sequence[Injected]]]) -> None:
        """Ground truth of a plan of faults, to be called in the transaction that appends these readings."""
        rows = [(*_identity(reading), one.fault, one.kind, one.detail) for reading, faults in struck for one in faults]
        with self._errors("write"):
            self._db.executemany("INSERT INTO faults VALUES (?, ?, ?, ?, ?, ?)", rows)

    def confirm(self, device_id: str, boot: str, ranges: Iterable[tuple[int, int]]) -> int:
        """Forgets the readings in these ranges (inclusive), of whichever boot. Returns how many were pending."""
        waiting = self._waiting.setdefault(device_id, _Waiting())
        count = 0
        with self._errors("write"):
            for first, last in ranges:
                sizes = self._db.execute(
                    "DELETE FROM pending WHERE device_id = ? AND boot = ? AND sequence BETWEEN ? AND ?"
                    " RETURNING length(payload)",
                    (device_id, boot, min(first, _INTEGER_MAX), min(last, _INTEGER_MAX)),
                ).fetchall()
                count += len(sizes)
                waiting.readings -= len(sizes)
                self._pending -= len(sizes)
                waiting.payload_bytes -= sum(size for (size,) in sizes)
        return count

    def forget(self, readings: Sequence[Reading]) -> None:
        """Forgets exactly these, all of them pending: what `confirm` does, for a fleet's many receipts at once.

        Raises:
            OutboxError: one was not pending, so that another program has written to the file.
        """
        if not readings:
            return
        with self._errors("write"):
            deleted = self._db.executemany(
                "DELETE FROM pending WHERE device_id = ? AND boot = ? AND sequence = ?", map(_identity, readings)
            ).rowcount
        if deleted != len(readings):
            raise OutboxError(
                f"the outbox {self.path} no longer holds {len(readings) - deleted} readings that wait for their "
                "receipts: another program has written to it; let only one use a --state"
            )
        for reading in readings:
            waiting = self._waiting[reading.device_id]
            waiting.readings -= 1
            waiting.payload_bytes -= len(reading.payload)
        self._pending -= len(readings)

    def refuse(self, reading: Reading, *, reason: str, detail: str) -> bool:
        """Moves a pending reading to `refused`. False where it was not pending (a receipt came first)."""
        if not self.confirm(reading.device_id, reading.boot, [(reading.sequence, reading.sequence)]):
            return False
        with self._errors("write"):
            self._db.execute(
                "INSERT INTO refused VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*_row(reading), reason, detail, to_us(self._wall_clock())),
            )
        return True

    def next_to_send(self, device_id: str, boot: str, *, after: int, limit: int) -> list[Reading]:
        """Pending readings of one boot with a sequence beyond `after`, ascending."""
        with self._errors("read"):
            rows = self._db.execute(
                "SELECT * FROM pending WHERE device_id = ? AND boot = ? AND sequence > ? ORDER BY sequence LIMIT ?",
                (device_id, boot, after, limit),
            ).fetchall()
        return [_reading(row) for row in rows]

    def boots_pending(self) -> dict[str, list[str]]:
        """Per device, the boots that have something pending, oldest first."""
        with self._errors("read"):
            rows = self._db.execute(
                "SELECT device_id, boot FROM boots b WHERE EXISTS"
                " (SELECT 1 FROM pending p WHERE p.device_id = b.device_id AND p.boot = b.boot)"
                " ORDER BY device_id, started_at_us, rowid"
            ).fetchall()
        found: dict[str, list[str]] = {}
        for device_id, boot in rows:
            found.setdefault(device_id, []).append(boot)
        return found

    def pending(self, device_id: str | None = None) -> int:
        """How many readings wait, of a device or of all. Free: it is counted in memory."""
        if device_id is not None:
            waiting = self._waiting.get(device_id)
            return waiting.readings if waiting else 0
        return self._pending

    def pending_by_device(self) -> dict[str, int]:
        """Devices that have something pending, and how much."""
        return {device: waiting.readings for device, waiting in self._waiting.items() if waiting.readings}

    def _drop_reason(self, waiting: _Waiting, reading: Reading) -> str | None:
        if waiting.readings >= self._limits.pending_max:
            return DROP_PENDING_MAX
        if waiting.payload_bytes + len(reading.payload) > self._limits.pending_bytes_max:
            return DROP_PENDING_BYTES_MAX
        return None

    def _evict(self) -> None:
        if self._log_bytes <= self._limits.log_bytes_max:
            return
        target = int(self._limits.log_bytes_max * _EVICT_TO)
        sequences: dict[tuple[str, str], list[int]] = {}
        while self._log_bytes > target:
            rows = self._db.execute(
                f"SELECT rowid, device_id, boot, sequence, {_SIZE} FROM log ORDER BY rowid LIMIT {_EVICT_ROWS}"
            ).fetchall()
            if not rows:
                break
            last_rowid = 0
            for rowid, device_id, boot, sequence, size in rows:
                if self._log_bytes <= target:
                    break
                last_rowid = rowid
                self._log_bytes -= size
                sequences.setdefault((device_id, boot), []).append(sequence)
            self._db.execute("DELETE FROM log WHERE rowid <= ?", (last_rowid,))
        for (device_id, boot), gone in sequences.items():
            for first, last in coalesce(gone):
                self._record_evicted(device_id, boot, first, last)
                self._db.execute(
                    "DELETE FROM faults WHERE device_id = ? AND boot = ? AND sequence BETWEEN ? AND ?",
                    (device_id, boot, first, last),
                )

    def _record_evicted(self, device_id: str, boot: str, first: int, last: int) -> None:
        grown = self._db.execute(
            "UPDATE evicted SET last_sequence = ? WHERE device_id = ? AND boot = ? AND last_sequence = ?",
            (last, device_id, boot, first - 1),
        )
        if not grown.rowcount:
            self._db.execute("INSERT INTO evicted VALUES (?, ?, ?, ?)", (device_id, boot, first, last))

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == SCHEMA_VERSION:
            return
        if version not in (0, 1):
            raise OutboxError(
                f"outbox {self.path} has schema version {version}, this program writes {SCHEMA_VERSION}: "
                "drain it with the program that made it, or choose another --state"
            )
        schema = _SCHEMA_FAULTS if version == 1 else _SCHEMA + _SCHEMA_FAULTS
        self._db.executescript(f"BEGIN; {schema} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def _count_waiting(self) -> dict[str, _Waiting]:
        rows = self._db.execute("SELECT device_id, count(*), sum(length(payload)) FROM pending GROUP BY device_id")
        return {device: _Waiting(readings=count, payload_bytes=size) for device, count, size in rows}

    def _count_log_bytes(self) -> int:
        return int(self._db.execute(f"SELECT coalesce(sum({_SIZE}), 0) FROM log").fetchone()[0])

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutboxError(
                f"cannot {doing} the outbox {self.path}: {error}. Check the disk's space and the file's rights"
            ) from error


_SIZE = f"length(payload) + coalesce(length(metadata), 0) + {_ROW_OVERHEAD_BYTES}"
_INTEGER_MAX = 2**63 - 1  # SQLite's largest; a receipt is JSON and could hold anything.


def _identity(reading: Reading) -> tuple[str, str, int]:
    return reading.device_id, reading.boot, reading.sequence


def _row(reading: Reading) -> tuple[object, ...]:
    return (
        *_identity(reading),
        reading.stream.name,
        to_us(reading.time),
        reading.payload,
        reading.metadata,
    )


def _reading(row: tuple[str, str, int, str, int, bytes, str | None]) -> Reading:
    device_id, boot, sequence, stream, event_time_us, payload, metadata = row
    return Reading(
        device_id=device_id,
        boot=boot,
        sequence=sequence,
        stream=STREAM_BY_NAME[stream],
        time=from_us(event_time_us),
        payload=payload,
        metadata=metadata,
    )
