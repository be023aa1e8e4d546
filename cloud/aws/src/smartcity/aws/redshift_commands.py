"""`smartcity-aws redshift migrate | load | query`."""

from __future__ import annotations

import argparse
from typing import Any

from .engine import Engine
from .load import load
from .migrations import migrate
from .query_flags import add_flags, asked_sql, shown
from .settings import Settings
from .warehouse import open_warehouse


def _migrate(_: argparse.Namespace, settings: Settings) -> str:
    return migrate(open_warehouse(settings), settings, _say)


def _load(_: argparse.Namespace, settings: Settings) -> str:
    return load(open_warehouse(settings), settings, _say)


def _query(options: argparse.Namespace, settings: Settings) -> str:
    return shown(open_warehouse(settings).ask(asked_sql(options, Engine.REDSHIFT)), options)


def _say(line: str) -> None:
    print(line, flush=True)


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """The command `redshift`, among those of `smartcity-aws`."""
    stack = argparse.ArgumentParser(add_help=False)
    stack.add_argument("--stack", help="whose workgroup (SMARTCITY_STACK, default smartcity)")
    command = commands.add_parser(
        "redshift",
        help="the warehouse: its schema, the marts in it, queries",
        epilog="example: smartcity-aws redshift migrate && smartcity-aws redshift load",
    )
    actions = command.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser(
        "migrate",
        parents=[common, stack],
        help="run the numbered steps that were not run yet",
        epilog="example: smartcity-aws redshift migrate --stack city",
    )
    action.set_defaults(run=_migrate)
    action = actions.add_parser(
        "load",
        parents=[common, stack],
        help="copy the marts' days that are new or changed, each in one transaction",
        epilog="example: smartcity-aws redshift load --bucket my-city-lake",
    )
    action.set_defaults(run=_load)
    action = actions.add_parser(
        "query",
        parents=[common, stack],
        help="run one query",
        epilog="example: smartcity-aws redshift query --saved speed_by_10_km --set day=2026-11-21 --csv",
    )
    add_flags(action, Engine.REDSHIFT, "SELECT route, COUNT(*) FROM marts.journeys GROUP BY route")
    action.set_defaults(run=_query)
