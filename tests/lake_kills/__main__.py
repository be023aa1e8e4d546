"""Kills of the lake's driver at every point between its commits, while its tables are maintained; and the count."""

from __future__ import annotations

import argparse
import json
import logging
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import Any

from smartcity.local.errors import LocalError
from smartcity.local.layout import default_var

from .plan import make_plan
from .report import lines
from .run import RunSettings, run

LONG = ("--every", "1m", "--snapshots-keep", "10m")
SHORT = ("--snapshots-keep", "20s")


def main() -> int:
    flags = _parser().parse_args()
    seed = secrets.randbelow(2**31) if flags.seed is None else flags.seed
    plan = make_plan(seed, injected=flags.injected, random_kills=flags.random, stopped=flags.stopped)
    if flags.plan:
        print(json.dumps([kill.document() for kill in plan], indent=1))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("lake kills: ended by SIGTERM"))  # Takes the stack down.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    _say(f"seed {seed}: {len(plan)} kills of the driver")
    settings = RunSettings(
        var=flags.var or default_var() / "lake-kills", seed=seed, rate=flags.rate, trigger_s=flags.trigger_s,
        maintain=SHORT if flags.short else LONG, lowered=flags.short,
    )  # fmt: skip
    try:
        document: dict[str, Any] = run(settings, plan, _say)
    except LocalError as error:
        print(f"lake kills: {error}", file=sys.stderr)
        return 1
    if flags.json:
        flags.json.parent.mkdir(parents=True, exist_ok=True)
        flags.json.write_text(json.dumps(document, indent=1) + "\n")
    print("\n".join(lines(document)))
    print(f"seed {seed}")
    return 1 if document["failures"] else 0


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lake_kills",
        description=__doc__,
        epilog="example: python -m tests.lake_kills --random 30 --injected 20 --seed 1",
    )
    parser.add_argument(
        "--seed", type=int, help="of the order of kills and of the readings (default: drawn and printed)"
    )
    parser.add_argument(
        "--injected", type=_count, default=20, metavar="N", help="kills at points of a batch (default 20)"
    )
    parser.add_argument("--random", type=_count, default=30, metavar="N", help="kills at random moments (default 30)")
    parser.add_argument("--stopped", type=_count, default=2, metavar="N", help="drivers stopped by SIGSTOP (default 2)")
    parser.add_argument("--rate", type=_count, default=60, metavar="N", help="records per second (default 60)")
    parser.add_argument("--trigger-s", type=float, default=2, help="between the lake's batches (default 2)")
    parser.add_argument("--short", action="store_true", help="maintenance with lower limits, for a run of minutes")
    parser.add_argument("--var", type=Path, help="folder of the run (default: var/lake-kills)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--plan", action="store_true", help="print the plan as JSON, and do nothing")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; give 0 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
