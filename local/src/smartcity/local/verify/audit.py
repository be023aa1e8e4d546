"""The shell of the audit: reads logs and lake in the right order, waits for what is on its way, compares."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from smartcity.bridge.check import check
from smartcity.bridge.decode import decode_reading
from smartcity.bridge.errors import Reject
from smartcity.contracts.envelope import Envelope
from smartcity.contracts.streams import STREAMS, Reading, Stream
from smartcity.contracts.tables import DEAD_LETTERS_TABLE

from .compare import compare
from .errors import NoDeviceLogsError
from .expected import expect
from .found import Found
from .generated import Boot, GeneratedReader, Logged, find_logs, read_heads, read_outstanding, select_boots
from .lake import Lake
from .report import Report

log = logging.getLogger(__name__)

POLL_INTERVAL_S = 2.0
_NEVER_AHEAD = datetime(9999, 1, 1, tzinfo=UTC)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What to audit: the logs below these folders, all their boots or some."""

    folders: tuple[Path, ...]
    boots: tuple[str, ...] = ()
    since: datetime | None = None


def audit(lake: Lake, scope: Scope, *, wait_s: float = 0.0, progress: Progress = log.info) -> Report:
    """Compares the logs with the lake.

    Waits up to `wait_s` seconds, until every reading of the scope is in the lake, a dead letter, refused or dropped.

    Raises:
        VerifyError: logs or lake cannot be read.
    """
    logs = find_logs(scope.folders)
    if not logs:
        folders = ", ".join(map(str, scope.folders))
        raise NoDeviceLogsError(
            f"no outbox.db below {folders}: name the devices' state folder (--state), or use --without-logs"
        )
    boots = select_boots(logs, boots=scope.boots, since=scope.since)
    wait_for_arrival(lake, logs, boots, wait_s=wait_s, progress=progress)
    progress(f"decoding the readings of {len(boots)} boots again")
    reader = GeneratedReader(logs, boots)
    expected = expect(reader.bodies(), decode_logged, (Reject,), lambda done: progress(f"decoded {done} readings"))
    progress("reading the lake")
    rows = {stream.name: lake.rows(stream.name, boots) for stream in STREAMS}
    dead_letters = lake.dead_letters(boots)
    progress("hashing the frames")
    frames = lake.frames(rows["camera"])
    progress("comparing")
    found = Found(rows=rows, dead_letters=dead_letters, frames=frames, heads=read_heads(logs, boots))
    return compare(reader.generated(), expected, found)


def decode_logged(stream: Stream, logged: Logged, envelope: Envelope) -> Reading:
    """What the bridge makes of a logged reading, but for the moment of its reception.

    Raises:
        Reject: the bridge must refuse it.
    """
    reading = decode_reading(stream, envelope, logged.device_id, logged.payload, logged.metadata, _NEVER_AHEAD)
    check(reading, _NEVER_AHEAD)
    return reading


def wait_for_arrival(
    lake: Lake, logs: Sequence[Path], boots: frozenset[Boot], *, wait_s: float, progress: Progress
) -> int:
    """Polls, reading ids only, until nothing is outstanding or the time is over. Returns what still is."""
    deadline = time.monotonic() + wait_s
    while True:
        count = outstanding(lake, logs, boots)
        left_s = deadline - time.monotonic()
        if not count or left_s <= 0:
            return count
        progress(f"waiting for {count} readings, {left_s:.0f} s left")
        time.sleep(min(POLL_INTERVAL_S, left_s))


def outstanding(lake: Lake, logs: Sequence[Path], boots: frozenset[Boot]) -> int:
    """How many readings the devices have neither in the lake nor in the dead letters nor given up."""
    expected = read_outstanding(logs, boots)
    with duckdb.connect() as db:
        db.register("expected", expected)
        names = [stream.table for stream in STREAMS] + [DEAD_LETTERS_TABLE]
        for name in names:
            db.register(f"ids_{name}", lake.ids(name, boots))
        found = " UNION ALL ".join(f"SELECT device_id, id FROM ids_{name}" for name in names)
        row = db.execute(f"SELECT count(*) FROM expected ANTI JOIN ({found}) AS found USING (device_id, id)").fetchone()
        return int(row[0]) if row else 0
