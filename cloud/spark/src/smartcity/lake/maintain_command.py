"""`smartcity-lake maintain`: once, or every so often."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .describe import describe
from .durations import duration_of
from .errors import EXIT_OK, EXIT_TRANSIENT
from .marts import command as marts_command
from .pages import http_address
from .schedule import RUN_TIMEOUT_S, Job, Schedule, run_schedule
from .settings import Limits, Settings, read_storage

if TYPE_CHECKING:
    from .maintain import Upkeep

SNAPSHOTS_KEEP_MIN = timedelta(minutes=10)
ORPHANS_AFTER_MIN = timedelta(days=1)
EVERY_MIN = timedelta(minutes=1)


def add_flags(command: argparse.ArgumentParser) -> None:
    """Beside `--bucket`, `--jars`, `--master` and `--driver-memory`."""
    command.add_argument("--every", type=duration_of(EVERY_MIN), metavar="1h", help="again and again (default: once)")
    command.add_argument(
        "--marts-every",
        type=duration_of(marts_command.EVERY_MIN),
        metavar="5m",
        help="in turn with --every, build the marts' touched days (default: not at all)",
    )
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
    command.add_argument("--http", type=http_address, help="HOST:PORT for /metrics and /healthz, with --every")
    command.set_defaults(usage_error=command.error)
    command.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)  # One run of `--every`.


def run(options: argparse.Namespace, given: Sequence[str]) -> int:
    """`given` is the command line that `options` came from."""
    if options.supervised:
        return _once(options)
    if options.every is None:
        if options.marts_every is not None:
            options.usage_error("--marts-every takes turns with --every: give both, or call `smartcity-lake marts`")
        return _once(options)
    every_s = options.every.total_seconds()
    command = [sys.executable, "-m", "smartcity.lake.main", *given, "--supervised"]
    jobs = [Job(name="maintain", command=command, every_s=every_s, first_s=every_s, run_timeout_s=RUN_TIMEOUT_S)]
    if options.marts_every is not None:
        jobs.append(marts_command.job(spark_flags(options), options.marts_every))
    return run_schedule(Schedule(*jobs), options.http)


def spark_flags(options: argparse.Namespace) -> list[str]:
    """The flags that say where the lake and Spark are, for another command of `smartcity-lake`."""
    return [
        "--bucket", options.bucket, "--jars", str(options.jars), "--master", options.master,
        "--driver-memory", options.driver_memory,
    ]  # fmt: skip


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
