"""What the devices made: their logs and outboxes, read without disturbing them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from .arrow import ENTRIES, HEADS, IDS, SPANS
from .errors import DeviceLogInvalidError, NoDeviceLogsError

Boot = tuple[str, str]
"""Device and boot."""

_BUSY_TIMEOUT_S = 30.0
_BODIES = """
    SELECT device_id, boot, sequence, stream, event_time_us, payload, metadata FROM log
    UNION ALL
    SELECT device_id, boot, sequence, stream, event_time_us, payload, metadata FROM pending
    WHERE (device_id, boot, sequence) NOT IN (SELECT device_id, boot, sequence FROM log)
"""
_DUE = """
    SELECT device_id, boot, sequence FROM (SELECT device_id, boot, sequence FROM log
                                           UNION SELECT device_id, boot, sequence FROM pending)
    EXCEPT SELECT device_id, boot, sequence FROM refused
    EXCEPT SELECT device_id, boot, sequence FROM dropped
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One reading as its device wrote it down. `event_time_us` is microseconds since 1970 UTC."""

    device_id: str
    boot: str
    sequence: int
    stream: str
    event_time_us: int
    payload: bytes
    metadata: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """All that the logs say about the boots asked for. Tables have the schemas of `arrow.py`."""

    boots: frozenset[Boot]
    entries: Any
    """ENTRIES: one row per reading and table in which it stands."""
    evicted: Any
    """SPANS of the log that `log_bytes_max` removed."""
    heads: Any
    """HEADS: last sequence of each boot when this was read. Readings made later are not judged."""


def find_logs(folders: Iterable[Path]) -> list[Path]:
    """Every `outbox.db` at or below the folders, in a stable order."""
    return sorted({path.resolve() for folder in folders for path in folder.rglob("outbox.db")})


def select_boots(logs: Sequence[Path], *, boots: Sequence[str] = (), since: datetime | None = None) -> frozenset[Boot]:
    """The boots in the logs; of these only the given ones, and only those started at or after `since`.

    Raises:
        NoDeviceLogsError: a boot asked for is in no log.
    """
    found: set[Boot] = set()
    for path in logs:
        with closing(_open(path)) as db:
            for device_id, boot, started_at_us in _query(path, db, "SELECT device_id, boot, started_at_us FROM boots"):
                if since is None or started_at_us >= since.timestamp() * 1_000_000:
                    found.add((device_id, boot))
    if not boots:
        return frozenset(found)
    missing = set(boots) - {boot for _, boot in found}
    if missing:
        raise NoDeviceLogsError(
            f"boot {min(missing)!r} is in none of the {len(logs)} device logs: give the folder that holds it (--state)"
        )
    return frozenset((device_id, boot) for device_id, boot in found if boot in boots)


class GeneratedReader:
    """Reads each log in one transaction, handing every payload on while it passes, so that memory holds none."""

    def __init__(self, logs: Sequence[Path], boots: frozenset[Boot]) -> None:
        self._logs = logs
        self._boots = boots
        self._entries: list[tuple[Any, ...]] = []
        self._evicted: list[tuple[Any, ...]] = []

    def bodies(self) -> Iterator[Logged]:
        """Each reading whose payload is still there. Exhaust it before calling `generated`."""
        for path in self._logs:
            with closing(_open(path)) as db:
                db.execute("BEGIN")
                yield from self._read_bodies(path, db)
                self._read_outcomes(path, db)

    def generated(self) -> Generated:
        entries = _table(self._entries, ENTRIES)
        evicted = _table(self._evicted, SPANS)
        heads: dict[Boot, int] = {}
        for row in self._entries:
            heads[row[1], row[2]] = max(heads.get((row[1], row[2]), 0), row[3])
        for device_id, boot, _, last in self._evicted:
            heads[device_id, boot] = max(heads.get((device_id, boot), 0), last)
        return Generated(
            boots=self._boots,
            entries=entries,
            evicted=evicted,
            heads=_table([(*boot, last) for boot, last in heads.items()], HEADS),
        )

    def _read_bodies(self, path: Path, db: sqlite3.Connection) -> Iterator[Logged]:
        for device_id, boot, sequence, stream, event_time_us, payload, metadata in _query(path, db, _BODIES):
            if (device_id, boot) not in self._boots:
                continue
            digest = hashlib.sha256(payload).hexdigest()
            self._add("log", (device_id, boot, sequence, stream), digest, None)
            yield Logged(
                device_id=device_id,
                boot=boot,
                sequence=sequence,
                stream=stream,
                event_time_us=event_time_us,
                payload=bytes(payload),
                metadata=metadata,
            )

    def _read_outcomes(self, path: Path, db: sqlite3.Connection) -> None:
        for row in _query(path, db, "SELECT device_id, boot, sequence, stream FROM pending"):
            self._add("pending", row, None, None)
        for *row, payload, reason in _query(
            path, db, "SELECT device_id, boot, sequence, stream, payload, reason FROM refused"
        ):
            self._add("refused", row, hashlib.sha256(payload).hexdigest(), reason)
        for *row, reason in _query(path, db, "SELECT device_id, boot, sequence, stream, reason FROM dropped"):
            self._add("dropped", row, None, reason)
        for row in _query(path, db, "SELECT device_id, boot, first_sequence, last_sequence FROM evicted"):
            if (row[0], row[1]) in self._boots:
                self._evicted.append(tuple(row))

    def _add(self, kind: str, reading: Sequence[Any], digest: str | None, reason: str | None) -> None:
        device_id, boot, sequence, stream = reading
        if (device_id, boot) in self._boots:
            self._entries.append((kind, device_id, boot, sequence, f"{boot}.{sequence}", stream, digest, reason))


def read_outstanding(logs: Sequence[Path], boots: frozenset[Boot]) -> Any:
    """`device_id` and `id` of every reading that must come to the lake or the dead letters."""
    rows: list[tuple[str, str]] = []
    for path in logs:
        with closing(_open(path)) as db:
            for device_id, boot, sequence in _query(path, db, _DUE):
                if (device_id, boot) in boots:
                    rows.append((device_id, f"{boot}.{sequence}"))
    return _table(rows, IDS)


def read_heads(logs: Sequence[Path], boots: frozenset[Boot]) -> Any:
    """HEADS as they are now: how far each boot has got."""
    heads: dict[Boot, int] = {}
    sql = "SELECT device_id, boot, max(sequence) FROM log GROUP BY device_id, boot"
    for path in logs:
        with closing(_open(path)) as db:
            for device_id, boot, last in _query(path, db, sql):
                if (device_id, boot) in boots:
                    heads[device_id, boot] = max(heads.get((device_id, boot), 0), last)
    return _table([(*boot, last) for boot, last in heads.items()], HEADS)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None)


def _query(path: Path, db: sqlite3.Connection, sql: str) -> Iterator[Any]:
    try:
        yield from db.execute(sql)
    except sqlite3.Error as error:
        raise DeviceLogInvalidError(f"device log {path}: {error}. Is it the outbox.db of smartcity-sim?") from error


def _table(rows: Sequence[tuple[Any, ...]], schema: Any) -> Any:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table(
        {field.name: pa.array(values, field.type) for field, values in zip(schema, columns, strict=True)}, schema=schema
    )
