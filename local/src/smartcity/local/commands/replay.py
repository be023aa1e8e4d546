"""`smartcity replay`: `smartcity-edge replay` at the running stack, with an identity where its gateway wants one."""

from __future__ import annotations

import argparse
from typing import Any

from smartcity.edge.commands import record_replay
from smartcity.edge.registry import Role

from ..reach import at_gateway
from ..stack import Stack


def add_parser(subparsers: Any) -> None:
    record_replay.add_replay(subparsers)


def run(flags: argparse.Namespace) -> int:
    with at_gateway(Stack(flags.var), flags, Role.REPLAYER):
        return record_replay.replay(flags)
