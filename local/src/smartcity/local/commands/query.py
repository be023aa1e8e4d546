"""`smartcity query`: SQL over the lake, through Athena's API."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from smartcity.aws.errors import AwsError
from smartcity.aws.marts import register_marts
from smartcity.aws.query import run_query
from smartcity.aws.saved import given_parameters, reads_marts, saved_names, saved_query
from smartcity.aws.settings import from_environment
from smartcity.aws.table import as_csv, as_json, as_table

from ..reach import at_lake
from ..stack import Stack

_EXAMPLE = """examples:
  smartcity query "SELECT device_id, max(speed) FROM vehicle GROUP BY 1"
  smartcity query --csv "SELECT reason, count(*) FROM dead_letters GROUP BY 1"
  smartcity query --saved mean_speed_per_10_km --json
  smartcity query --saved speed_by_10_km --set route=london-birmingham --set day=2026-11-21

tables: gps, vehicle, camera, weather, emergency, dead_letters
marts, once `smartcity lake marts` has built them: journeys, speed_by_km, weather_speed, incident_response,
camera_activity, city_hours"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "query",
        help="run SQL over the lake through Athena's API",
        description="Asks Athena: the local stack's if one was started, else AWS's.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("sql", nargs="?", help="one statement of Athena SQL")
    asked.add_argument("--saved", choices=saved_names(), help="one of the saved queries")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the saved query"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="columns with their types, and rows as objects")
    form.add_argument("--csv", action="store_true", help="RFC 4180, with a header")


def run(args: argparse.Namespace) -> int:
    with at_lake(Stack(args.var)):
        try:
            result = run_query(_sql(args), from_environment())
        except AwsError as error:
            print(f"smartcity query: {error}", file=sys.stderr)
            return 1
    print(as_json(result) if args.json else as_csv(result) if args.csv else as_table(result))
    return 0


def _sql(args: argparse.Namespace) -> str:
    if not args.saved:
        return str(args.sql)
    sql = saved_query(args.saved, given_parameters(args.set))
    if reads_marts(args.saved):
        # Days that were built since the last question.
        register_marts(from_environment())
    return sql
