"""What `smartcity-aws query` and `redshift query` have in common: what is asked, and the answer's form."""

from __future__ import annotations

import argparse

from .engine import Engine
from .query import Result
from .saved import given_parameters, saved_names, saved_query
from .table import as_csv, as_json, as_table


def add_flags(command: argparse.ArgumentParser, engine: Engine, example: str) -> None:
    """`SQL` or `--saved` with `--set`, and `--json` or `--csv`."""
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("sql", nargs="?", metavar="SQL", help=f'for example "{example}"')
    what.add_argument("--saved", metavar="NAME", help=f"a saved query: {', '.join(saved_names(engine))}")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the saved query"
    )
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--csv", action="store_true", help="print CSV")


def asked_sql(options: argparse.Namespace, engine: Engine) -> str:
    """The statement.

    Raises:
        QueryError: there is no such saved query, or what is given does not fit it.
    """
    given = given_parameters(options.set)
    return saved_query(options.saved, given, engine=engine) if options.saved else str(options.sql)


def shown(result: Result, options: argparse.Namespace) -> str:
    """The answer as text."""
    if options.json:
        return as_json(result)
    return as_csv(result) if options.csv else as_table(result)
