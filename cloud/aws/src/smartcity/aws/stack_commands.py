"""`smartcity-aws plan | deploy | status | destroy`: their options, and what they say."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from .artefacts import remove_artefacts, uploaded
from .clients import client, explained
from .costs import Assumptions, estimate
from .deploy import execute, limit_redshift
from .destroy import holdings, remove_data, remove_stack
from .errors import NotConfirmedError, StackStateError
from .parameters import effective, given_values
from .regions import check_region
from .settings import Settings
from .stack import NOTHING_LEFT, check_ours, find_stack, make_change_set, previous_parameters, remove_change_set
from .stack_text import changes_text, costs_text, holdings_text, stack_json, stack_text
from .template.text import template_text

Ask = Callable[[str], str]
Connect = Callable[[str, Settings], Any]
"""Makes a boto3 client of a service's name."""


def plan(options: argparse.Namespace, settings: Settings, *, connect: Connect = client) -> str:
    """Show what `deploy` would do, and what the stack would cost; change nothing."""
    given = given_values(options.parameter, settings)
    with explained():
        cloudformation, s3, sts = (connect(name, settings) for name in ("cloudformation", "s3", "sts"))
        check_region(cloudformation, given)
        stack = find_stack(cloudformation, settings.stack)
        values = effective(given, previous_parameters(stack))
        check_region(cloudformation, values)
        with uploaded(template_text(), s3=s3, sts=sts, keep_bucket=False, say=_say) as address:
            change_set = make_change_set(cloudformation, settings.stack, stack, given, template_url=address)
        if change_set.name:
            remove_change_set(cloudformation, change_set)
    use = Assumptions(
        vehicles=options.vehicles,
        scanned_gb=options.scanned_gb,
        redshift_hours_per_day=options.redshift_hours,
        crawls_per_day=options.crawls,
    )
    state = stack.status if stack else "not there"
    region = cloudformation.meta.region_name
    return "\n".join(
        [
            f"stack {settings.stack} in {region}: {state}; bucket {values['BucketName']}",
            "",
            changes_text(change_set),
            "",
            costs_text(estimate(values, use), use, region),
            "",
            "Nothing was changed. `smartcity-aws deploy` with the same options does it.",
        ]
    )


def deploy(options: argparse.Namespace, settings: Settings, *, connect: Connect = client, ask: Ask = input) -> str:
    """Show the change set, ask, and carry it out."""
    given = given_values(options.parameter, settings)
    with explained():
        cloudformation, s3, sts = (connect(name, settings) for name in ("cloudformation", "s3", "sts"))
        check_region(cloudformation, given)
        stack = find_stack(cloudformation, settings.stack)
        if stack is not None and stack.status == NOTHING_LEFT:
            check_ours(stack)
            _say(f"the stack {stack.name} is in {stack.status}: it was never made, and is removed first")
            remove_stack(cloudformation, stack, _say)
            stack = None
        check_region(cloudformation, effective(given, previous_parameters(stack)))
        with uploaded(template_text(), s3=s3, sts=sts, keep_bucket=stack is not None, say=_say) as address:
            change_set = make_change_set(cloudformation, settings.stack, stack, given, template_url=address)
        _say(changes_text(change_set))
        if change_set.name:
            if not options.yes and _answer(ask, "Carry this out? Type yes: ") != "yes":
                remove_change_set(cloudformation, change_set)
                raise NotConfirmedError("not confirmed (--yes does not ask); nothing was changed")
            stack = execute(cloudformation, change_set, _say)
    if stack is None:
        raise StackStateError(f"the stack {settings.stack} is not there, and the template would change nothing")
    limit = limit_redshift(stack, settings, connect=connect)
    return "\n".join([*([limit] if limit else []), stack_text(stack)])


def status(options: argparse.Namespace, settings: Settings, *, connect: Connect = client) -> str:
    """State and outputs of the stack."""
    with explained():
        stack = find_stack(connect("cloudformation", settings), settings.stack)
    if stack is None:
        raise _absent(settings)
    return stack_json(stack) if options.json else stack_text(stack)


def destroy(options: argparse.Namespace, settings: Settings, *, connect: Connect = client, ask: Ask = input) -> str:
    """List what holds data, ask for the stack's name, and delete the stack; with `--data` the data too."""
    with explained():
        cloudformation, s3, glue = (connect(name, settings) for name in ("cloudformation", "s3", "glue"))
        stack = find_stack(cloudformation, settings.stack)
        if stack is None:
            raise _absent(settings)
        check_ours(stack)
        held = holdings(stack, s3=s3, glue=glue)
        _say(holdings_text(held, with_data=options.data))
        typed = options.yes or _answer(ask, f"Type the stack's name ({stack.name}) to delete it: ")
        if typed != stack.name:
            raise NotConfirmedError(
                f"{typed!r} is not the stack's name, {stack.name} (or --yes {stack.name}); nothing was deleted"
            )
        remove_stack(cloudformation, stack, _say)
        removed = remove_artefacts(s3=s3, sts=connect("sts", settings))
        removed += remove_data(held, s3=s3, glue=glue) if options.data else []
    return "\n".join([*removed, f"stack {stack.name}: deleted"])


def _absent(settings: Settings) -> StackStateError:
    return StackStateError(
        f"there is no stack {settings.stack} in this account and region: name another with --stack, or make it with "
        "`smartcity-aws deploy`"
    )


def _answer(ask: Ask, question: str) -> str:
    """What was answered; empty where nobody is there, or whoever it is gives up."""
    try:
        return ask(question).strip()
    except (EOFError, KeyboardInterrupt):
        return ""


def _say(line: str) -> None:
    print(line, flush=True)


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """The four commands, among those of `smartcity-aws`."""
    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("--stack", help="the CloudFormation stack (SMARTCITY_STACK, default smartcity)")
    parameters = argparse.ArgumentParser(add_help=False)
    parameters.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the template, repeatable; what is not given stays as it is",
    )
    command = commands.add_parser(
        "plan",
        parents=[common, one, parameters],
        help="show what deploy would change, and the cost per month",
        epilog="example: smartcity-aws plan --bucket my-city-lake --parameter CreateRedshift=true --vehicles 200",
    )
    use = Assumptions()
    command.add_argument("--vehicles", type=_count, default=use.vehicles, help="default %(default)s")
    command.add_argument(
        "--scanned-gb",
        type=_amount,
        default=use.scanned_gb,
        metavar="GB",
        help="by Athena a month, default %(default)s",
    )
    command.add_argument(
        "--redshift-hours",
        type=_amount,
        default=use.redshift_hours_per_day,
        metavar="H",
        help="a day, default %(default)s",
    )
    command.add_argument(
        "--crawls", type=_amount, default=use.crawls_per_day, metavar="N", help="a day, default %(default)s"
    )
    command.set_defaults(run=plan)
    command = commands.add_parser(
        "deploy",
        parents=[common, one, parameters],
        help="create or change the stack, after showing what changes",
        epilog="example: smartcity-aws deploy --bucket my-city-lake --region ca-central-1",
    )
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.set_defaults(run=deploy)
    command = commands.add_parser(
        "status",
        parents=[common, one],
        help="state and outputs of the stack",
        epilog="example: smartcity-aws status --json",
    )
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.set_defaults(run=status)
    command = commands.add_parser(
        "destroy",
        parents=[common, one],
        help="delete the stack; bucket and database stay",
        epilog="example: smartcity-aws destroy --stack smartcity --data",
    )
    command.add_argument(
        "--data", action="store_true", help="delete the bucket with all versions, and the database, too"
    )
    command.add_argument("--yes", metavar="NAME", help="the stack's name, instead of being asked for it")
    command.set_defaults(run=destroy)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of vehicles")
    return int(text)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not 0 <= amount < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return amount
