"""`smartcity down`: stop the stack."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..stack import Stack


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("down", help="stop the stack; the data stays", epilog="example: smartcity down")
    parser.add_argument(
        "--wipe",
        action="store_true",
        help="then remove topics, checkpoint, tables and the devices' logs together (jars and service logs stay)",
    )


def run(flags: argparse.Namespace) -> int:
    stopped = Stack(flags.var).down(wipe=flags.wipe, progress=lambda line: print(line, file=sys.stderr, flush=True))
    print(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
    if flags.wipe:
        print(f"data under {flags.var} is removed")
    return 0
