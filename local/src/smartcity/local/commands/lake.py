"""`smartcity lake`: `smartcity-lake` at the running stack: dead letters, marts, maintenance, what the tables hold."""

from __future__ import annotations

import argparse
import subprocess
from typing import Any

from smartcity.edge.registry import Role

from ..environment import child_environment
from ..errors import StackError
from ..secure import operator_bundle
from ..services.lake import LAKE
from ..services.service import console_script
from ..stack import Stack

_EXAMPLE = """examples:
  smartcity lake describe
  smartcity lake marts
  smartcity lake deadletters list
  smartcity lake deadletters redrive --reason contract_violation --dry-run
  smartcity lake maintain"""
_OF_THE_STACK = ("run", "drive")


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "lake",
        help="dead letters, marts and maintenance of the stack's lake",
        description="Runs smartcity-lake with the addresses and keys of the running stack.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="see: smartcity-lake --help")


def run(args: argparse.Namespace) -> int:
    """The exit code of smartcity-lake.

    Raises:
        StackError: the stack does not run, or the query of the stack itself was asked for.
    """
    if args.arguments[:1] and args.arguments[0] in _OF_THE_STACK:
        raise StackError("a second query would fill the same tables; the stack's own is shown by: smartcity status")
    stack = Stack(args.var)
    additions = stack.environment()
    place = stack.place()
    additions |= LAKE.environment(place)
    named = {"SMARTCITY_MQTT": "mqtt", "SMARTCITY_KAFKA": "kafka"}
    additions |= {name: place.address(port) for name, port in named.items() if port in place.ports}
    if place.secure and args.arguments[:2] == ["deadletters", "redrive"]:
        bundle = operator_bundle(stack.layout, f"smartcity-{Role.REDRIVER}", Role.REDRIVER)
        additions["SMARTCITY_REDRIVE_IDENTITY"] = str(bundle)
    command = [console_script("smartcity-lake"), *args.arguments]
    return subprocess.run(command, env=child_environment(additions), check=False).returncode
