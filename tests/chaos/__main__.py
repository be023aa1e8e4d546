"""Kills, pauses, cuts and outages against the real stack, and the proof that nothing was lost."""

from __future__ import annotations

import argparse
import json
import logging
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from smartcity.local.errors import LocalError
from smartcity.local.layout import default_var

from .control import run_control
from .disk import why_not
from .plan import EXHAUSTION, KINDS, LINKS, PROCESSES, Fault, make_plan
from .report import lines, machine
from .run import RunSettings, run

NAMES = (*KINDS, *PROCESSES, *LINKS)
PENDING_MAX = 600
"""Of a device in the run with small outboxes: more than its window (256), so that all before it is full as well."""


def main() -> int:
    flags = _parser().parse_args()
    seed = secrets.randbelow(2**31) if flags.seed is None else flags.seed
    plan = make_plan(seed, kills=flags.kills, only=flags.only)
    if (reason := why_not()) and any(fault.kind == "fill" for fault in plan):
        _say(f"no disk is filled: {reason}")
        plan = [fault for fault in plan if fault.kind != "fill"]
    if flags.plan:
        print(json.dumps([fault.document() for fault in plan], indent=1))
        return 0
    return _run(flags, seed, plan)


def _run(flags: argparse.Namespace, seed: int, plan: Sequence[Fault]) -> int:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    _say(f"seed {seed}: {len(plan)} faults")
    var = flags.var or default_var() / "chaos"
    path = flags.report or var / "report.json"
    try:
        document: dict[str, Any] = {"machine": machine()}
        settings = RunSettings(
            var=var / "stack",
            seed=seed,
            speed=flags.speed,
            trigger_s=flags.trigger_s,
            minutes_max=flags.minutes,
        )
        document |= run(settings, plan, _say)
        _write(path, document)
        if flags.exhaust:
            _say("once more, with small outboxes, and Kafka away until they overflow")
            exhausted = replace(settings, var=var / "exhausted", pending_max=PENDING_MAX)
            document["exhausted"] = run(exhausted, [EXHAUSTION], _say)
            document["failures"] += [f"outboxes full: {each}" for each in document["exhausted"]["failures"]]
            _write(path, document)
        if flags.control_kills:
            document["control"] = run_control(
                var / "control", seed=seed, kills=flags.control_kills, minutes_max=flags.minutes, say=_say
            )
    except LocalError as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 1
    _write(path, document)
    print("\n".join(lines(document)))
    print(f"seed {seed}; report: {path}")
    return 1 if document["failures"] else 0


def _write(path: Path, document: dict[str, Any]) -> None:
    """After each arm: what is measured must not be lost by what comes after."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        epilog="example: python -m tests.chaos --seed 7 --kills 2 --only kill bridge kafka",
    )
    parser.add_argument("--seed", type=int, help="of the order of faults (default: drawn and printed)")
    parser.add_argument("--kills", type=_count, default=60, metavar="N", help="of each process (default: 60)")
    parser.add_argument("--control-kills", type=int, default=5, metavar="N", help="in the control arm; 0: leave it out")
    parser.add_argument(
        "--exhaust",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also a run in which Kafka stays away until the outboxes drop readings (default: yes)",
    )
    parser.add_argument("--minutes", type=float, default=240, help="after which no fault is begun, per arm")
    parser.add_argument("--only", nargs="+", default=[], choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--speed", type=float, default=5, help="of the simulated world (default: 5)")
    parser.add_argument("--trigger-s", type=float, default=3, help="between the lake's batches (default: 3)")
    parser.add_argument("--var", type=Path, help="folder of the run (default: var/chaos)")
    parser.add_argument("--report", type=Path, help="JSON file to write (default: var/chaos/report.json)")
    parser.add_argument("--plan", action="store_true", help="print the plan as JSON, and do nothing")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of kills; give 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
