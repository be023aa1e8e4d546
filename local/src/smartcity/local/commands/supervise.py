"""`smartcity supervise`: the watcher that `up` starts."""

from __future__ import annotations

import argparse
from typing import Any

from ..stack import Stack
from ..supervise import supervise


def add_parser(subparsers: Any) -> None:
    subparsers.add_parser(
        "supervise", help="start again what dies (started by `up`)", epilog="example: smartcity supervise"
    )


def run(flags: argparse.Namespace) -> int:
    supervise(Stack(flags.var))
    return 0
