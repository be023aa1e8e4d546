"""`smartcity-lake marts`: flags, progress and summary."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from datetime import date

from smartcity.contracts.marts import MARTS

from ..errors import EXIT_OK
from ..settings import read_storage

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
    parser.add_argument("--json", action="store_true", help="print what was built as one JSON document")
    parser.set_defaults(usage_error=parser.error)


def run(options: argparse.Namespace) -> int:
    """Build what the flags choose. Progress goes to standard error with `--json`, else to standard output."""
    if options.all and (options.first or options.last):
        options.usage_error("--all means every day: leave out --from and --to, or --all")
    if options.first and options.last and options.first > options.last:
        options.usage_error(f"--from {options.first} is after --to {options.last}")
    # Imported here, because only this command and the driver need Spark.
    from .recipes import RECIPES  # noqa: PLC0415
    from .run import Choice, run_marts  # noqa: PLC0415

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
