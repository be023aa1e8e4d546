"""`smartcity-aws`: deploy the stack or prepare an endpoint for the lake, and query it."""

from __future__ import annotations

import argparse
import dataclasses
import sys

from . import dashboard_commands, redshift_commands, stack_commands
from .crawl import crawl, marts_crawler
from .engine import Engine
from .errors import AwsError
from .identity import whoami
from .marts import register_marts
from .prepare import prepare
from .query import run_query
from .query_flags import add_flags, asked_sql, shown
from .settings import Settings, from_environment


def main(arguments: list[str] | None = None) -> int:
    """Entry of `smartcity-aws`. Returns 0, or 1 after a message on stderr (130 when interrupted)."""
    options = _parser().parse_args(arguments)
    try:
        output: str = options.run(options, _settings(options))
    except AwsError as error:
        print(f"smartcity-aws: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("smartcity-aws: interrupted; what was begun at AWS goes on there", file=sys.stderr)
        return 130
    print(output)
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    given = {
        name: getattr(options, name)
        for name in ("region", "bucket", "database", "workgroup", "stack")
        if getattr(options, name, None)
    }
    return dataclasses.replace(from_environment(), **given)


def _prepare(_: argparse.Namespace, settings: Settings) -> str:
    return "\n".join(prepare(settings))


def _whoami(_: argparse.Namespace, settings: Settings) -> str:
    identity = whoami(settings)
    return f"{identity.arn} in account {identity.account}, says {identity.endpoint}"


def _marts(_: argparse.Namespace, settings: Settings) -> str:
    return "\n".join(f"{mart}: {days} days registered" for mart, days in register_marts(settings).items())


def _crawl(options: argparse.Namespace, settings: Settings) -> str:
    return crawl(settings, options.name or marts_crawler(settings), lambda line: print(line, flush=True))


def _query(options: argparse.Namespace, settings: Settings) -> str:
    return shown(run_query(asked_sql(options, Engine.ATHENA), settings), options)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--region", help="AWS region (AWS_REGION)")
    common.add_argument("--bucket", help="the lake's bucket (SMARTCITY_BUCKET, default smartcity-lake)")
    common.add_argument("--database", help="the Glue database (SMARTCITY_DATABASE, default smartcity)")
    common.add_argument("--workgroup", help="the Athena workgroup (SMARTCITY_WORKGROUP, default smartcity)")
    parser = argparse.ArgumentParser(
        prog="smartcity-aws",
        description="Glue, Athena and S3 of the lake, on AWS or on the local endpoint (AWS_ENDPOINT_URL).",
        epilog='example: smartcity-aws query "SELECT route, count(*) FROM gps GROUP BY route"',
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "prepare",
        parents=[common],
        help="create bucket, Glue database and Athena workgroup where missing",
        epilog="example: smartcity-aws prepare --bucket my-smartcity-lake --region ca-central-1",
    )
    command.set_defaults(run=_prepare)
    command = commands.add_parser(
        "whoami",
        parents=[common],
        help="say whose credentials are in use",
        epilog="example: AWS_PROFILE=city smartcity-aws whoami",
    )
    command.set_defaults(run=_whoami)
    command = commands.add_parser(
        "marts",
        parents=[common],
        help="register the marts and their days in the Glue catalog",
        epilog="example: smartcity-aws marts",
    )
    command.set_defaults(run=_marts)
    command = commands.add_parser(
        "crawl",
        parents=[common],
        help="start a crawler and follow it: the marts' new days become partitions",
        epilog="example: smartcity-aws crawl --stack smartcity",
    )
    command.add_argument("--stack", help="whose crawler over the marts (SMARTCITY_STACK, default smartcity)")
    command.add_argument("--name", help="another crawler")
    command.set_defaults(run=_crawl)
    command = commands.add_parser(
        "query",
        parents=[common],
        help="run SQL through Athena",
        epilog="example: smartcity-aws query --saved speed_by_10_km --set day=2026-11-21 --json",
    )
    add_flags(command, Engine.ATHENA, "SELECT count(*) FROM gps")
    command.set_defaults(run=_query)
    stack_commands.add_commands(commands, common)
    redshift_commands.add_commands(commands, common)
    dashboard_commands.add_commands(commands, common)
    return parser


if __name__ == "__main__":
    sys.exit(main())
