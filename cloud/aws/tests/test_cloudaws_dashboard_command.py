"""`smartcity-aws dashboard` through stubs: the address, an embedding one, and what there is to say without."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from smartcity.aws.dashboard_commands import dashboard
from smartcity.aws.errors import DashboardError, StackStateError
from smartcity.aws.settings import Settings

ACCOUNT, REGION = "123456789012", "ca-central-1"
ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/smartcity/1"
URL = f"https://{REGION}.quicksight.aws.amazon.com/sn/dashboards/smartcity"
USER = f"arn:aws:quicksight:us-east-1:{ACCOUNT}:user/default/ada"
KEYS = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": REGION}


class Command:
    """The command, with stubbed clients and a browser that may fail."""

    def __init__(self, clients: dict[str, Any], stubs: dict[str, Stubber]) -> None:
        self._clients = clients
        self.cloudformation, self.quicksight = stubs["cloudformation"], stubs["quicksight"]
        self.browsed: list[str] = []
        self.browser = True

    def run(self, *, embed: str | None = None, show: bool = False) -> str:
        options = argparse.Namespace(embed=embed, open=show)
        return dashboard(options, Settings(), connect=lambda name, _: self._clients[name], browse=self._browse)

    def _browse(self, address: str) -> bool:
        self.browsed.append(address)
        return self.browser

    def there(self, *, with_dashboard: bool = True) -> None:
        outputs = {"Bucket": "a-lake"} | ({"DashboardId": "smartcity", "DashboardUrl": URL} if with_dashboard else {})
        found = {
            "StackName": "smartcity",
            "StackId": ID,
            "CreationTime": datetime(2026, 11, 28, tzinfo=UTC),
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        }
        self.cloudformation.add_response("describe_stacks", {"Stacks": [found]}, None)

    def subscribed(self, status: str = "ACCOUNT_CREATED") -> None:
        answer = {"AccountInfo": {"AccountName": "city", "AccountSubscriptionStatus": status}}
        self.quicksight.add_response("describe_account_subscription", answer, {"AwsAccountId": ACCOUNT})

    def refused(self, call: str, code: str) -> None:
        self.quicksight.add_client_error(call, code, "no", 400)


@pytest.fixture
def command() -> Iterator[Command]:
    clients = {name: boto3.client(name, **KEYS) for name in ("cloudformation", "quicksight")}
    with ExitStack() as opened:
        stubs = {name: opened.enter_context(Stubber(client)) for name, client in clients.items()}
        yield Command(clients, stubs)
        for stub in stubs.values():
            stub.assert_no_pending_responses()


def test_the_address_is_that_of_the_stacks_outputs(command: Command) -> None:
    command.there()
    command.subscribed()
    assert command.run() == URL
    assert command.browsed == []


def test_it_is_opened_where_there_is_a_browser(command: Command) -> None:
    command.there()
    command.subscribed()
    assert command.run(show=True) == URL
    assert command.browsed == [URL]
    command.browser = False
    command.there()
    command.subscribed()
    with pytest.raises(DashboardError, match=rf"no browser .* {URL}"):
        command.run(show=True)


def test_an_address_for_a_page_of_ones_own(command: Command) -> None:
    command.there()
    command.subscribed()
    wanted = {
        "AwsAccountId": ACCOUNT,
        "SessionLifetimeInMinutes": 600,
        "UserArn": USER,
        "ExperienceConfiguration": {"Dashboard": {"InitialDashboardId": "smartcity"}},
    }
    answer = {"EmbedUrl": "https://embed", "Status": 200, "RequestId": "1"}
    command.quicksight.add_response("generate_embed_url_for_registered_user", answer, wanted)
    assert command.run(embed=USER) == "https://embed"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("QuickSightUserNotFoundException", f"does not know the user {USER}"),
        ("ResourceNotFoundException", "has no dashboard smartcity"),
        ("UnsupportedUserEditionException", "Enterprise edition"),
        ("UnsupportedPricingPlanException", "another pricing plan"),
    ],
)
def test_what_quicksight_does_not_embed(command: Command, code: str, said: str) -> None:
    command.there()
    command.subscribed()
    command.refused("generate_embed_url_for_registered_user", code)
    with pytest.raises(DashboardError, match=said):
        command.run(embed=USER)


def test_a_stack_without_a_dashboard_names_the_parameter(command: Command) -> None:
    command.there(with_dashboard=False)
    command.subscribed()
    with pytest.raises(DashboardError, match=r"no dashboard.*DashboardPrincipalArn=ARN"):
        command.run()


@pytest.mark.parametrize("status", [None, "UNSUBSCRIBED"])
def test_an_account_without_quicksight_is_told_where_to_sign_up(command: Command, status: str | None) -> None:
    command.there(with_dashboard=False)
    if status:
        command.subscribed(status)
    else:
        command.refused("describe_account_subscription", "ResourceNotFoundException")
    with pytest.raises(DashboardError, match=rf"{ACCOUNT} has no QuickSight subscription: sign up"):
        command.run()


def test_who_may_not_ask_about_the_subscription_gets_the_address(command: Command) -> None:
    command.there()
    command.refused("describe_account_subscription", "AccessDeniedException")
    assert command.run() == URL


def test_an_endpoint_that_is_not_aws_shows_no_dashboard(command: Command) -> None:
    command.there()
    command.refused("describe_account_subscription", "UnknownOperationException")
    with pytest.raises(DashboardError, match="unset AWS_ENDPOINT_URL"):
        command.run()


def test_no_stack(command: Command) -> None:
    message = "Stack with id smartcity does not exist"
    command.cloudformation.add_client_error("describe_stacks", "ValidationError", message, 400)
    with pytest.raises(StackStateError, match="there is no stack smartcity"):
        command.run()
