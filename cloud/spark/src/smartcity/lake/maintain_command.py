"""`smartcity-lake maintain`: once, or every so often."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .describe import describe
from .errors import EXIT_OK, EXIT_TRANSIENT
from .schedule import Schedule
from .settings import Limits, Settings, read_storage

if TYPE_CHECKING:
    from .maintain import Upkeep

SNAPSHOTS_KEEP_MIN = timedelta(minutes=10)
ORPHANS_AFTER_MIN = timedelta(days=1)
EVERY_MIN = timedelta(minutes=1)
RUN_TIMEOUT_S = 6 * 3600.0

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_flags(command: argparse.ArgumentParser) -> None:
    """Beside `--bucket`, `--jars`, `--master` and `--driver-memory`."""
    command.add_argument("--every", type=duration_of(EVERY_MIN), metavar="1h", help="again and again (default: once)")
    command.add_argument(
        "--snapshots-keep",
        type=duration_of(SNAPSHOTS_KEEP_MIN),
        default=Limits().snapshots_keep,
        metavar="1h",
        help="age from which snapshots are expired (default 1h, at least 10m)",
    )
    command.add_argument(
        "--orphans-after",
        type=duration_of(ORPHANS_AFTER_MIN),
        default=Limits().orphans_after,
        metavar="3d",
        help="age from which files are removed that no snapshot names (default 3d, at least 1d)",
    )
    command.add_argument("--json", action="store_true", help="the report as one JSON document")
    command.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)  # One run of `--every`.


def run(options: argparse.Namespace, given: Sequence[str]) -> int:
    """`given` is the command line that `options` came from."""
    if options.every is None or options.supervised:
        return _once(options)
    command = [sys.executable, "-m", "smartcity.lake.main", *given, "--supervised"]
    schedule = Schedule(command, every_s=options.every.total_seconds(), run_timeout_s=RUN_TIMEOUT_S)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: schedule.stop())
    return schedule.run()


def _once(options: argparse.Namespace) -> int:
    # Imported here, because Spark's Python and JVM are for a run only, not for the waiting between.
    from .drive import check_bucket, die_with_supervisor  # noqa: PLC0415
    from .leftovers import abort_uploads, remove_temporary  # noqa: PLC0415
    from .maintain import maintain  # noqa: PLC0415
    from .session import start_session  # noqa: PLC0415

    if options.supervised:
        die_with_supervisor()
    storage = read_storage(options.bucket)
    check_bucket(storage)
    if not any(table.exists for table in describe(storage)):
        print("smartcity-lake: no table exists yet, so there is nothing to maintain", file=sys.stderr)
        return EXIT_OK
    limits = Limits(snapshots_keep=options.snapshots_keep, orphans_after=options.orphans_after)
    # It reads no Kafka.
    settings = Settings(
        kafka="", storage=storage, jars=options.jars, master=options.master, driver_memory=options.driver_memory
    )
    spark = start_session(settings)
    try:
        upkeep = maintain(spark, storage, limits)
    finally:
        spark.stop()
    older_than = datetime.now(UTC) - limits.orphans_after
    temporary, uploads = remove_temporary(storage, older_than), abort_uploads(storage, older_than)
    if options.json:
        tables = [dataclasses.asdict(one) for one in upkeep]
        report: dict[str, Any] = {"tables": tables, "checkpoint_removed": temporary, "uploads_aborted": uploads}
        print(json.dumps(report, default=lambda value: value.isoformat()))
    else:
        print(report_text(upkeep))
        print(f"checkpoint: {len(temporary)} temporary objects removed; {len(uploads)} unfinished uploads aborted")
    return EXIT_TRANSIENT if any(one.given_up for one in upkeep) else EXIT_OK


def report_text(upkeep: Sequence[Upkeep]) -> str:
    """What was and what is, a line per table."""
    lines = [f"{'table':<14} {'files':>15} {'MB':>19} {'snapshots':>15} {'orphans':>8}"]
    for one in upkeep:
        before, after = one.before, one.after
        files, snapshots = f"{before.files} → {after.files}", f"{before.snapshots} → {after.snapshots}"
        size = f"{before.bytes / 1e6:.2f} → {after.bytes / 1e6:.2f}"
        lines.append(f"{one.table:<14} {files:>15} {size:>19} {snapshots:>15} {one.orphans:>8}")
        lines += [f"  given up: {reason}" for reason in one.given_up]
    return "\n".join(lines)


def duration_of(least: timedelta) -> Any:
    """An argparse type: `90s`, `30m`, `1h` or `3d`, not below `least`."""

    def duration(text: str) -> timedelta:
        match = re.fullmatch(r"(\d{1,6})([smhd])", text)
        if match is None:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number and one of s, m, h, d, e.g. 30m")
        value = timedelta(**{_UNITS[match[2]]: int(match[1])})
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {int(least.total_seconds())}s")
        return value

    return duration
