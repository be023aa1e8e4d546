"""`smartcity aws`: `smartcity-aws` at the running stack: its CloudFormation stack, crawler and warehouse."""

from __future__ import annotations

import argparse
import subprocess
from typing import Any

from ..environment import child_environment
from ..services.service import console_script
from ..stack import Stack

_EXAMPLE = """examples:
  smartcity aws status
  smartcity aws crawl
  smartcity aws redshift load
  smartcity aws redshift query "SELECT route, COUNT(*) FROM marts.journeys GROUP BY route" """


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "aws",
        help="the local AWS as smartcity-aws sees it: stack, crawler, warehouse",
        description="Runs smartcity-aws with the endpoints and keys of the running stack.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="see: smartcity-aws --help")


def run(args: argparse.Namespace) -> int:
    """The exit code of smartcity-aws.

    Raises:
        StackError: the stack does not run.
    """
    command = [console_script("smartcity-aws"), *args.arguments]
    return subprocess.run(command, env=child_environment(Stack(args.var).environment()), check=False).returncode
