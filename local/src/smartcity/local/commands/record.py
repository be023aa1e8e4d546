"""`smartcity record`: `smartcity-edge record` at the running stack, with an identity where its gateway wants one."""

from __future__ import annotations

import argparse
from typing import Any

from smartcity.edge.commands import record_replay
from smartcity.edge.registry import Role

from ..reach import at_gateway
from ..stack import Stack


def add_parser(subparsers: Any) -> None:
    record_replay.add_record(subparsers)


def run(flags: argparse.Namespace) -> int:
    with at_gateway(Stack(flags.var), flags, Role.RECORDER):
        return record_replay.record(flags)
