"""`smartcity demo`: the whole way of a reading, driven and proven."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from ..demo import run_demo
from ..demo_drive import READINGS_MIN, SEED, SPEED, START, DemoSettings
from ..demo_view import LiveCounts, show_outcome
from ..stack import Stack

_EXAMPLE = """examples:
  smartcity demo
  smartcity demo --seed 7 --speed 60 --json

exit code 0: both routes driven to their end, enough readings of all five streams, and verify finds nothing wrong"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "demo",
        help="drive both routes through the whole system, and prove that nothing was lost",
        description="Starts the stack (or uses the running one), drives one vehicle along each route at many times "
        "real time, shows the counts at each stage, verifies, and asks Athena. The stack stays up.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON document")
    parser.add_argument("--speed", type=float, default=SPEED, help=f"times real time (default {SPEED:g})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the world (default {SEED})")
    parser.add_argument(
        "--readings-min", type=int, default=READINGS_MIN, help=f"fail below this (default {READINGS_MIN})"
    )
    parser.add_argument("--secure", action="store_true", help="with an identity for each device at the gateway")
    stays = parser.add_mutually_exclusive_group()
    stays.add_argument("--keep", action="store_true", help="leave the stack running at the end (the default)")
    stays.add_argument("--down", action="store_true", help="stop the stack at the end")


def run(args: argparse.Namespace) -> int:
    if not 1 <= args.speed <= 1_000:
        print(f"smartcity demo: --speed is {args.speed:g}; choose 1 to 1000", file=sys.stderr)
        return 2
    stack = Stack(args.var)
    console = Console(stderr=args.json)
    settings = DemoSettings(speed=args.speed, seed=args.seed, readings_min=args.readings_min, secure=args.secure)
    console.print(
        f"Both routes at {settings.speed:g} times real time, seed {settings.seed}, "
        f"simulated start {START:%Y-%m-%d %H:%M} UTC; everything is under {stack.layout.var}",
        soft_wrap=True,
    )
    with LiveCounts(console) as live:
        outcome = run_demo(stack, settings, say=live.say, look=live.look)
    write_report(stack.layout.var / "demo" / "report.json", outcome.document())
    show_outcome(outcome, stack, console)
    if args.json:
        print(json.dumps(outcome.document(), indent=2, default=str))
    if args.down:
        stack.down(progress=live.say)
    return 1 if outcome.failures else 0


def write_report(path: Path, document: dict[str, Any]) -> None:
    """Replaces the last report as a whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".tmp")
    fresh.write_text(json.dumps(document, indent=2, default=str) + "\n", encoding="utf-8")
    fresh.replace(path)
