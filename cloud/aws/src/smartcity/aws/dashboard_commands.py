"""`smartcity-aws dashboard`: where the stack's QuickSight dashboard is, and an address that embeds it."""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Callable
from typing import Any

import botocore.exceptions

from .clients import client, error_code, explained
from .errors import DashboardError, StackStateError
from .settings import Settings
from .stack import Stack, find_stack

Connect = Callable[[str, Settings], Any]
"""Makes a boto3 client of a service's name."""
SESSION_MINUTES = 600
"""How long an embedded session may last; QuickSight takes 15 to 600."""
_UNSUBSCRIBED = ("UNSUBSCRIBED", "UNSUBSCRIBE_IN_PROGRESS", "ACCOUNT_CREATION_FAILED")


def dashboard(
    options: argparse.Namespace,
    settings: Settings,
    *,
    connect: Connect = client,
    browse: Callable[[str], bool] = webbrowser.open,
) -> str:
    """The dashboard's page in the QuickSight console; with `--embed` an address for another page, which works once and
    for five minutes.

    Raises:
        StackStateError: there is no such stack.
        DashboardError: it has no dashboard, the account has no QuickSight, or QuickSight does not know the user.
    """
    with explained():
        stack = find_stack(connect("cloudformation", settings), settings.stack)
        if stack is None:
            raise StackStateError(
                f"there is no stack {settings.stack} in this account and region: name another with --stack, or make it "
                "with `smartcity-aws deploy`"
            )
        quicksight, account = connect("quicksight", settings), stack.stack_id.split(":")[4]
        _check_subscribed(quicksight, account)
        if "DashboardId" not in stack.outputs:
            raise DashboardError(
                f"the stack {stack.name} has no dashboard: make it with `smartcity-aws deploy --parameter "
                "DashboardPrincipalArn=ARN`, the QuickSight user or group that shall see it"
            )
        address = (
            _embedded(quicksight, account, stack, options.embed) if options.embed else stack.outputs["DashboardUrl"]
        )
    if options.open and not browse(address):
        raise DashboardError(f"no browser could be started; the address is {address}")
    return address


def _check_subscribed(quicksight: Any, account: str) -> None:
    """Where QuickSight does not say, for lack of the right or in another region than its users', it is taken to be so.

    Raises:
        DashboardError: the account has no subscription, or is no account of AWS.
    """
    try:
        found = quicksight.describe_account_subscription(AwsAccountId=account)["AccountInfo"]
    except botocore.exceptions.ClientError as error:
        if error_code(error) == "AccessDeniedException":
            return
        if error_code(error) == "UnknownOperationException":
            raise DashboardError(
                "this endpoint records dashboards, and shows none: unset AWS_ENDPOINT_URL for an account of AWS"
            ) from None
        if error_code(error) != "ResourceNotFoundException":
            raise
        found = {"AccountSubscriptionStatus": "UNSUBSCRIBED"}
    if found.get("AccountSubscriptionStatus") in _UNSUBSCRIBED:
        raise DashboardError(
            f"the account {account} has no QuickSight subscription: sign up once at https://quicksight.aws.amazon.com "
            "(Enterprise edition), which costs by user and month"
        )


def _embedded(quicksight: Any, account: str, stack: Stack, user: str) -> str:
    try:
        answer = quicksight.generate_embed_url_for_registered_user(
            AwsAccountId=account,
            SessionLifetimeInMinutes=SESSION_MINUTES,
            UserArn=user,
            ExperienceConfiguration={"Dashboard": {"InitialDashboardId": stack.outputs["DashboardId"]}},
        )
    except botocore.exceptions.ClientError as error:
        reason = {
            "QuickSightUserNotFoundException": f"QuickSight does not know the user {user}: `aws quicksight list-users` "
            "shows the ARNs",
            "ResourceNotFoundException": f"QuickSight has no dashboard {stack.outputs['DashboardId']} in this region",
            "UnsupportedUserEditionException": "embedding wants QuickSight's Enterprise edition",
            "UnsupportedPricingPlanException": "embedding wants another pricing plan of QuickSight",
        }.get(error_code(error))
        if reason is None:
            raise
        raise DashboardError(reason) from None
    return str(answer["EmbedUrl"])


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """The command, among those of `smartcity-aws`."""
    command = commands.add_parser(
        "dashboard",
        parents=[common],
        help="print the address of the stack's QuickSight dashboard, open it, or embed it",
        epilog="example: smartcity-aws dashboard --open",
    )
    command.add_argument("--stack", help="the CloudFormation stack (SMARTCITY_STACK, default smartcity)")
    command.add_argument("--open", action="store_true", help="open it in a browser")
    command.add_argument(
        "--embed", metavar="USER_ARN", help="an address for a page of one's own, for this QuickSight user; works once"
    )
    command.set_defaults(run=dashboard)
