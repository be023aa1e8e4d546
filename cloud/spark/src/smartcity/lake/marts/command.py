"""`smartcity-lake marts`: flags, progress and summary."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from datetime import date, timedelta

from smartcity.contracts.marts import MARTS

from ..durations import duration_of
from ..errors import EXIT_OK
from ..schedule import RUN_TIMEOUT_S, Job, Schedule, run_schedule
from ..settings import read_storage

EVERY_MIN = timedelta(minutes=1)
FIRST_AFTER = timedelta(minutes=4)
"""A new lake has readings by then; its first marts need not wait for a whole interval."""

EXAMPLE = "smartcity-lake marts --only journeys --from 2026-11-20 --to 2026-11-21"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    names = [mart.name for mart in MARTS]
    parser.add_argument(
        "--only", action="append", choices=names, metavar="MART", help=f"of {', '.join(names)}; repeatable"
    )
    days = parser.add_argument_group("days (default: those touched since a mart's last run)")
    days.add_argument("--all", action="store_true", help="every day")
    days.add_argument(
        "--from", dest="first", type=_day, metavar="DAY", help="every day from this one on, YYYY-MM-DD (UTC)"
    )
    days.add_argument("--to", dest="last", type=_day, metavar="DAY", help="every day up to and with this one")
    parser.add_argument(
        "--every", type=duration_of(EVERY_MIN), metavar="5m", help="touched days, again and again (default: once)"
    )
    parser.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)  # One run of `--every`.
    parser.add_argument("--json", action="store_true", help="print what was built as one JSON document")
    parser.set_defaults(usage_error=parser.error)


def job(flags: Sequence[str], every: timedelta) -> Job:
    """`smartcity-lake marts` with these flags, as one job of a schedule."""
    return Job(
        name="marts",
        command=[sys.executable, "-m", "smartcity.lake.main", "marts", *flags, "--supervised"],
        every_s=every.total_seconds(),
        first_s=min(every, FIRST_AFTER).total_seconds(),
        run_timeout_s=RUN_TIMEOUT_S,
        hurried=True,
    )


def run(options: argparse.Namespace, given: Sequence[str]) -> int:
    """Build what the flags choose. Progress goes to standard error with `--json`, else to standard output. `given` is
    the command line that `options` came from.
    """
    if options.every is not None and not options.supervised:
        if options.all or options.first or options.last:
            options.usage_error("--every builds the touched days: leave out --all, --from and --to")
        at = given.index("marts")
        return run_schedule(Schedule(job([*given[:at], *given[at + 1 :]], options.every)))
    return _once(options)


def _once(options: argparse.Namespace) -> int:
    if options.all and (options.first or options.last):
        options.usage_error("--all means every day: leave out --from and --to, or --all")
    if options.first and options.last and options.first > options.last:
        options.usage_error(f"--from {options.first} is after --to {options.last}")
    # Imported here, because Spark's Python is for a run only, not for the waiting between.
    from ..drive import die_with_supervisor  # noqa: PLC0415
    from .recipes import RECIPES  # noqa: PLC0415
    from .run import Choice, run_marts  # noqa: PLC0415

    if options.supervised:
        die_with_supervisor()
    wanted = options.only or [mart.name for mart in MARTS]
    built = run_marts(
        Choice(
            recipes=[recipe for recipe in RECIPES if recipe.mart.name in wanted],
            every=options.all,
            first=options.first,
            last=options.last,
        ),
        read_storage(options.bucket),
        jars=options.jars,
        master=options.master,
        driver_memory=options.driver_memory,
        say=lambda line: print(line, file=sys.stderr if options.json else sys.stdout, flush=True),
    )
    if options.json:
        print(json.dumps([dataclasses.asdict(one) for one in built], default=date.isoformat))
    else:
        print(f"days built: {len(built)}, rows: {sum(one.rows for one in built)}")
    return EXIT_OK


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day as YYYY-MM-DD") from error
