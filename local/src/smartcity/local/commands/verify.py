"""`smartcity verify`: proves that the lake shows what the devices made."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from smartcity.contracts.identity import Identity
from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import DEAD_LETTERS_TABLE

from ..reach import at_lake, broker_of
from ..secure import reader_identity
from ..stack import Stack
from ..verify.audit import Scope, audit
from ..verify.display import show_gaps, show_report
from ..verify.gaps import GapReport, find_gaps
from ..verify.generated import find_logs
from ..verify.lake import Lake, LakeAccess
from ..verify.statuses import read_statuses

WAIT_S = 60.0

_EXAMPLE = """examples:
  smartcity verify                          every boot in the logs below var/sim
  smartcity verify --boot 0a1b2c3d4e5f6071 --json
  smartcity verify --since 2026-11-21T08:00:00Z --wait-s 120 --strict
  smartcity verify --without-logs           gaps in the sequence, where the devices' logs are elsewhere

exit code 0: nothing lost, duplicated, altered or invented (and, with --strict, nothing pending); 1: something was"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "verify",
        help="compare what the devices logged with what the lake holds",
        description="Decodes the bytes that the devices logged again, compares every column of the lake with them "
        "and hashes the frames in the bucket.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON document")
    parser.add_argument("--strict", action="store_true", help="fail too while readings are pending")
    parser.add_argument("--boot", action="append", default=[], help="only this boot (repeatable)")
    parser.add_argument("--since", type=_time, help="only boots started at or after this time (RFC 3339)")
    parser.add_argument(
        "--state", action="append", type=Path, default=[], help="folder of devices' logs (repeatable; default VAR/sim)"
    )
    parser.add_argument(
        "--wait-s", type=_seconds, default=WAIT_S, help=f"wait so long for readings on the way (default {WAIT_S:g})"
    )
    parser.add_argument("--without-logs", action="store_true", help="look for gaps in the sequence only")
    parser.add_argument("--broker", metavar="HOST:PORT", help="gateway whose retained statuses --without-logs reads")


def run(args: argparse.Namespace) -> int:
    stack = Stack(args.var)
    with at_lake(stack):
        return _run(args, stack, Lake(LakeAccess.from_environment(os.environ)))


def _run(args: argparse.Namespace, stack: Stack, lake: Lake) -> int:
    console = Console(stderr=args.json)
    folders = tuple(args.state) or (stack.layout.var / "sim",)
    if args.without_logs or not (args.state or find_logs(folders)):
        if not args.without_logs:
            console.print(f"no device logs below {folders[0]}: looking for gaps in the sequence instead")
        gaps = audit_gaps(lake, args.broker or broker_of(stack), tuple(args.boot), _identity(stack, args.broker))
        _print(args.json, gaps, console)
        return 0 if gaps.clean else 1
    scope = Scope(folders=folders, boots=tuple(args.boot), since=args.since)
    progress = Console(stderr=True)
    report = audit(lake, scope, wait_s=args.wait_s, progress=lambda text: progress.print(f"[dim]{text}[/]"))
    if args.json:
        _print_json(report.document())
    else:
        show_report(report, console)
    return 0 if (report.settled if args.strict else report.clean) else 1


def _identity(stack: Stack, broker: str | None) -> Identity | None:
    """What the stack's own gateway asks for; another broker that is named is asked without."""
    return reader_identity(stack.layout) if broker is None and stack.place().secure else None


def audit_gaps(lake: Lake, broker: str | None, boots: tuple[str, ...], identity: Identity | None = None) -> GapReport:
    """Gaps from the ids in the lake and, where there is a gateway, the retained statuses."""
    ids = {
        name: list(zip(*(column.to_pylist() for column in lake.ids(name, None).drop_null().columns), strict=True))
        for name in (*(stream.table for stream in STREAMS), DEAD_LETTERS_TABLE)
    }
    statuses = {}
    if broker:
        host, _, port = broker.rpartition(":")
        statuses = read_statuses(host, int(port), identity=identity)
    return find_gaps(ids, statuses, boots)


def _print(as_json: bool, gaps: GapReport, console: Console) -> None:
    if as_json:
        _print_json(gaps.document())
    else:
        show_gaps(gaps, console)


def _print_json(document: dict[str, Any]) -> None:
    json.dump(document, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-11-21T08:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value
