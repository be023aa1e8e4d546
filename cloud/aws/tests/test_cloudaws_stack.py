"""plan, deploy, status and destroy through stubs: states, failures, and messages."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from smartcity.aws import stack, stack_commands
from smartcity.aws.errors import (
    AwsError,
    CredentialsError,
    DeploymentError,
    NotConfirmedError,
    ParameterError,
    ServiceError,
    StackStateError,
)
from smartcity.aws.main import main
from smartcity.aws.parameters import effective, given_values, to_send
from smartcity.aws.settings import Settings
from smartcity.aws.template.load import load_template
from smartcity.aws.template.text import template_parameters, template_text

SETTINGS = Settings(bucket="a-lake", region="ca-central-1")
ID = "arn:aws:cloudformation:ca-central-1:123456789012:stack/smartcity/1"
SERVICES = ("cloudformation", "s3", "sts", "glue", "redshift-serverless")
OWNED = {"Bucket": "smartcity-artefacts-123456789012-ca-central-1", "ExpectedBucketOwner": "123456789012"}
NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "POLL_MAX_S", 0.01)


@pytest.fixture
def clients() -> dict[str, Any]:
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "ca-central-1"}
    return {name: boto3.client(name, **keys) for name in SERVICES}


@pytest.fixture
def stubs(clients: dict[str, Any]) -> Iterator[dict[str, Stubber]]:
    with ExitStack() as opened:
        stubs = {name: opened.enter_context(Stubber(client)) for name, client in clients.items()}
        yield stubs
        for stub in stubs.values():
            stub.assert_no_pending_responses()


class Commands:
    """The commands, with the stubbed clients and an answer to what they ask."""

    def __init__(self, clients: dict[str, Any], stubs: dict[str, Stubber]) -> None:
        self._clients = clients
        self.cloudformation = stubs["cloudformation"]
        self.stubs = stubs

    def run(self, command: str, answer: str | None = None, **options: Any) -> str:
        given = {"parameter": [], "yes": False, "data": False, "json": False, "vehicles": 20, "scanned_gb": 1.0}
        given |= {"redshift_hours": 1.0, "crawls": 1.0, **options}
        more: dict[str, Any] = {"connect": lambda name, _: self._clients[name]}
        if command in ("deploy", "destroy"):
            more["ask"] = lambda _: self._answer(answer)
        run = getattr(stack_commands, command)
        return str(run(argparse.Namespace(**given), SETTINGS, **more))

    @staticmethod
    def _answer(answer: str | None) -> str:
        if answer is None:
            raise EOFError
        return answer

    def absent(self, name: str = "smartcity") -> None:
        message = f"Stack with id {name} does not exist"
        self.cloudformation.add_client_error("describe_stacks", "ValidationError", message, 400)

    def there(self, status: str, outputs: dict[str, str] | None = None, *, ours: bool = True) -> None:
        parameters = {"BucketName": "old-lake", "DatabaseName": "smartcity", "CreateRedshift": "true"} if ours else {}
        found = {
            "StackName": "smartcity",
            "StackId": ID,
            "CreationTime": NOW,
            "StackStatus": status,
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in (outputs or {}).items()],
        }
        self.cloudformation.add_response("describe_stacks", {"Stacks": [found]}, None)

    def uploaded(self) -> None:
        s3 = self.stubs["s3"]
        self.stubs["sts"].add_response("get_caller_identity", {"Account": "123456789012"})
        s3.add_response("head_bucket", {}, OWNED)
        s3.add_response("put_public_access_block", {}, {**OWNED, "PublicAccessBlockConfiguration": ANY})
        s3.add_response("put_bucket_encryption", {}, {**OWNED, "ServerSideEncryptionConfiguration": ANY})
        s3.add_response("put_bucket_policy", {}, {**OWNED, "Policy": ANY})
        s3.add_response("put_bucket_lifecycle_configuration", {}, {**OWNED, "LifecycleConfiguration": ANY})
        s3.add_response("put_object", {}, {**OWNED, "Key": ANY, "Body": template_text().encode()})
        s3.add_response("delete_object", {}, {**OWNED, "Key": ANY})

    def change_set(self, kind: str, changes: int = 1, parameters: Any = ANY, failed: str = "") -> None:
        self.uploaded()
        wanted = {"StackName": "smartcity", "ChangeSetName": ANY, "ChangeSetType": kind, "TemplateURL": ANY}
        wanted |= {"Parameters": parameters, "Capabilities": ["CAPABILITY_IAM"]}
        if kind == "CREATE":
            wanted["ImportExistingResources"] = True
        self.cloudformation.add_response("create_change_set", {"Id": "arn:change-set", "StackId": ID}, wanted)
        change = {"Action": "Modify", "LogicalResourceId": "Workgroup", "ResourceType": "AWS::Athena::WorkGroup"}
        found = [{"Type": "Resource", "ResourceChange": {**change, "Replacement": "True"}}] * changes
        answer = {"Status": "FAILED", "StatusReason": failed} if failed else {"Status": "CREATE_COMPLETE"}
        self.cloudformation.add_response("describe_change_set", {"Status": "CREATE_IN_PROGRESS"}, None)
        self.cloudformation.add_response("describe_change_set", {**answer, "Changes": found}, None)

    def removed(self, *, with_stack: bool) -> None:
        wanted = {"StackName": ID, "ChangeSetName": "arn:change-set"}
        self.cloudformation.add_response("delete_change_set", {}, wanted)
        if with_stack:
            self.cloudformation.add_response("delete_stack", {}, {"StackName": ID})

    def events(self, *events: tuple[str, str, str]) -> None:
        found = [
            {
                "StackId": ID,
                "EventId": f"{resource}-{status}",
                "StackName": "smartcity",
                "LogicalResourceId": resource,
                "ResourceType": "AWS::S3::Bucket",
                "Timestamp": NOW,
                "ResourceStatus": status,
                **({"ResourceStatusReason": reason} if reason else {}),
            }
            for resource, status, reason in reversed(events)
        ]
        self.cloudformation.add_response("describe_stack_events", {"StackEvents": found}, {"StackName": ID})

    def executed(self) -> None:
        wanted = {"StackName": ID, "ChangeSetName": "arn:change-set", "RetainExceptOnCreate": True}
        self.cloudformation.add_response("execute_change_set", {}, wanted)


@pytest.fixture
def commands(clients: dict[str, Any], stubs: dict[str, Stubber]) -> Commands:
    return Commands(clients, stubs)


def test_a_plan_of_a_new_stack_shows_it_and_leaves_nothing(commands: Commands) -> None:
    commands.absent()
    parameters = [
        {"ParameterKey": "BucketName", "ParameterValue": "a-lake"},
        {"ParameterKey": "DatabaseName", "ParameterValue": "smartcity"},
        {"ParameterKey": "WorkgroupName", "ParameterValue": "smartcity"},
    ]
    commands.change_set("CREATE", parameters=parameters)
    commands.removed(with_stack=True)
    said = commands.run("plan")
    assert "Modify  Workgroup   AWS::Athena::WorkGroup  True" in said
    assert "REPLACED" in said
    assert "US dollars a month" in said
    assert "ca-central-1, where they differ" in said


def test_an_update_keeps_what_is_not_named(commands: Commands) -> None:
    commands.there("UPDATE_COMPLETE")
    parameters = [
        {"ParameterKey": "BucketName", "ParameterValue": "a-lake"},
        {"ParameterKey": "AthenaResultDays", "ParameterValue": "9"},
        {"ParameterKey": "DatabaseName", "UsePreviousValue": True},
        {"ParameterKey": "CreateRedshift", "UsePreviousValue": True},
    ]
    commands.change_set("UPDATE", parameters=parameters)
    commands.removed(with_stack=False)
    assert "Redshift Serverless" in commands.run("plan", parameter=["AthenaResultDays=9"])


@pytest.mark.parametrize(
    "reason", ["The submitted information didn't contain changes.", "No updates are to be performed."]
)
def test_nothing_to_change_is_no_error(commands: Commands, reason: str) -> None:
    for command in ("plan", "deploy"):
        commands.there("CREATE_COMPLETE")
        commands.change_set("UPDATE", changes=0, failed=reason)
        commands.removed(with_stack=False)
        assert commands.run(command, yes=True)


def test_a_template_that_is_refused_leaves_nothing(commands: Commands) -> None:
    commands.absent()
    commands.change_set("CREATE", failed="BucketName failed to satisfy constraint")
    commands.removed(with_stack=True)
    with pytest.raises(DeploymentError, match="BucketName failed"):
        commands.run("plan")


@pytest.mark.parametrize(
    ("command", "status", "remedy"),
    [
        ("plan", "ROLLBACK_COMPLETE", "smartcity-aws destroy --stack smartcity"),
        *[
            (command, *state)
            for command in ("plan", "deploy")
            for state in (
                ("DELETE_FAILED", "smartcity-aws destroy --stack smartcity"),
                ("UPDATE_IN_PROGRESS", "wait"),
                ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
            )
        ],
    ],
)
def test_a_state_that_allows_no_change_is_named_with_the_remedy(
    commands: Commands, command: str, status: str, remedy: str
) -> None:
    commands.there(status)
    with pytest.raises(StackStateError, match=f"in {status}: .*{remedy}"):
        commands.run(command)


@pytest.mark.parametrize("command", ["plan", "deploy", "destroy"])
def test_a_stack_that_is_not_the_lakes_is_left_alone(commands: Commands, command: str) -> None:
    commands.there("CREATE_COMPLETE", ours=False)
    with pytest.raises(StackStateError, match=r"not the lake's.*--stack"):
        commands.run(command, yes="smartcity")


def test_a_stack_under_review_can_be_destroyed(commands: Commands) -> None:
    commands.there("REVIEW_IN_PROGRESS", ours=False)
    _deleted(commands)
    assert commands.run("destroy", yes="smartcity") == "stack smartcity: deleted"


@pytest.mark.parametrize("answer", ["no", "", None])
def test_without_a_yes_nothing_is_deployed(commands: Commands, answer: str | None) -> None:
    commands.absent()
    commands.change_set("CREATE")
    commands.removed(with_stack=True)
    with pytest.raises(NotConfirmedError, match="nothing was changed"):
        commands.run("deploy", answer)


def test_a_deployment_is_followed_and_limits_redshift(commands: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = {"Bucket": "a-lake", "RedshiftWorkgroupArn": "arn:group", "RedshiftRpuHoursPerDay": "8"}
    commands.there("CREATE_COMPLETE")
    commands.change_set("UPDATE")
    commands.events(("Old", "CREATE_COMPLETE", ""))
    commands.executed()
    commands.there("CREATE_COMPLETE")  # CloudFormation has not begun yet.
    commands.events(("Old", "CREATE_COMPLETE", ""))
    commands.there("UPDATE_IN_PROGRESS")
    commands.events(("Old", "CREATE_COMPLETE", ""), ("LakeBucket", "UPDATE_IN_PROGRESS", ""))
    commands.there("UPDATE_COMPLETE", outputs)
    commands.events(("LakeBucket", "UPDATE_IN_PROGRESS", ""), ("LakeBucket", "UPDATE_COMPLETE", ""))
    commands.there("UPDATE_COMPLETE", outputs)
    redshift = commands.stubs["redshift-serverless"]
    redshift.add_response("list_usage_limits", {}, None)
    wanted = {"resourceArn": "arn:group", "usageType": "serverless-compute", "period": "daily", "amount": 8}
    redshift.add_response("create_usage_limit", {}, wanted | {"breachAction": "deactivate"})
    said = commands.run("deploy", "yes")
    assert "8 RPU-hours a day" in said
    assert "a-lake" in said
    shown = capsys.readouterr().out
    assert shown.count("LakeBucket") == 2
    assert "Old" not in shown


def test_a_failed_creation_says_why_and_leaves_nothing(commands: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    commands.absent()
    commands.change_set("CREATE")
    commands.events()
    commands.executed()
    taken, consequence = "a-lake already exists", "Resource creation cancelled"
    events = (("Database", "CREATE_FAILED", consequence), ("LakeBucket", "CREATE_FAILED", taken))
    commands.there("ROLLBACK_COMPLETE")
    commands.events(*events)
    commands.there("ROLLBACK_COMPLETE")
    commands.events(*events)
    commands.cloudformation.add_response("delete_stack", {}, {"StackName": ID})
    commands.there("DELETE_COMPLETE")
    commands.events(*events)
    with pytest.raises(
        DeploymentError, match=r"^LakeBucket \(AWS::S3::Bucket\): a-lake already exists. .*removed again"
    ):
        commands.run("deploy", yes=True)
    assert consequence in capsys.readouterr().out


def test_deploy_removes_what_a_failed_creation_left(commands: Commands) -> None:
    commands.there("ROLLBACK_COMPLETE")
    commands.events()
    commands.cloudformation.add_response("delete_stack", {}, {"StackName": ID})
    commands.there("DELETE_COMPLETE")
    commands.events()
    commands.change_set("CREATE", failed="BucketName failed to satisfy constraint")
    commands.removed(with_stack=True)
    with pytest.raises(DeploymentError, match="BucketName failed"):
        commands.run("deploy", yes=True)


def test_a_failed_update_is_rolled_back_and_stays(commands: Commands) -> None:
    commands.there("CREATE_COMPLETE")
    commands.change_set("UPDATE")
    commands.events()
    commands.executed()
    commands.there("UPDATE_ROLLBACK_COMPLETE")
    commands.events(("Workgroup", "UPDATE_FAILED", "no such engine"))
    commands.there("UPDATE_ROLLBACK_COMPLETE")
    with pytest.raises(DeploymentError, match=r"no such engine.*all is as before"):
        commands.run("deploy", yes=True)


def test_an_execution_that_does_not_begin_is_taken_back(commands: Commands) -> None:
    commands.absent()
    commands.change_set("CREATE")
    commands.events()
    commands.cloudformation.add_client_error("execute_change_set", "AccessDenied", "not authorized")
    commands.removed(with_stack=True)
    with pytest.raises(DeploymentError, match="did not begin: not authorized"):
        commands.run("deploy", yes=True)


def _held(commands: Commands) -> None:
    version = {"Key": "marts/a", "VersionId": "1", "Size": 2000}
    marker = {"Key": "marts/a", "VersionId": "2"}
    page = {"Versions": [version], "DeleteMarkers": [marker]}
    commands.stubs["s3"].add_response("list_object_versions", page, {"Bucket": "old-lake"})
    commands.stubs["glue"].add_response("get_tables", {"TableList": [{"Name": "gps"}]}, {"DatabaseName": "smartcity"})


def test_destroy_lists_the_data_and_wants_the_name(commands: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    for answer in ("yes", None):
        commands.there("CREATE_COMPLETE")
        _held(commands)
        with pytest.raises(NotConfirmedError, match="nothing was deleted"):
            commands.run("destroy", answer, yes=None)
    assert "bucket old-lake: 1 objects with their versions, 2,000 bytes; stays" in capsys.readouterr().out


def _deleted(commands: Commands) -> None:
    commands.events()
    commands.cloudformation.add_response("delete_stack", {}, {"StackName": ID})
    commands.there("DELETE_IN_PROGRESS")
    commands.events(("Workgroup", "DELETE_COMPLETE", ""))
    commands.there("DELETE_COMPLETE")
    commands.events(("Workgroup", "DELETE_COMPLETE", ""))
    commands.stubs["sts"].add_response("get_caller_identity", {"Account": "123456789012"})
    commands.stubs["s3"].add_client_error("list_objects_v2", "NoSuchBucket", "none", 404)


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "ROLLBACK_COMPLETE"])
def test_destroy_leaves_the_data(commands: Commands, status: str) -> None:
    commands.there(status)
    _held(commands)
    _deleted(commands)
    assert commands.run("destroy", "smartcity", yes=None) == "stack smartcity: deleted"


def test_destroy_with_data_empties_bucket_and_database(commands: Commands) -> None:
    commands.there("CREATE_COMPLETE")
    _held(commands)
    _deleted(commands)
    s3 = commands.stubs["s3"]
    page = {"Versions": [{"Key": "a", "VersionId": "1"}], "DeleteMarkers": [{"Key": "a", "VersionId": "2"}]}
    s3.add_response("list_object_versions", page, {"Bucket": "old-lake"})
    both = [{"Key": "a", "VersionId": "1"}, {"Key": "a", "VersionId": "2"}]
    s3.add_response("delete_objects", {}, {"Bucket": "old-lake", "Delete": {"Objects": both, "Quiet": True}})
    s3.add_response("delete_bucket", {}, {"Bucket": "old-lake"})
    commands.stubs["glue"].add_response("delete_database", {}, {"Name": "smartcity"})
    assert "2 versions and delete markers removed" in commands.run("destroy", yes="smartcity", data=True)


def test_a_stack_that_cannot_be_deleted_keeps_its_data(commands: Commands) -> None:
    commands.there("CREATE_COMPLETE")
    _held(commands)
    commands.events()
    commands.cloudformation.add_response("delete_stack", {}, {"StackName": ID})
    commands.there("DELETE_FAILED")
    commands.events(("Workgroup", "DELETE_FAILED", "in use"))
    with pytest.raises(DeploymentError, match=r"DELETE_FAILED: Workgroup .*in use"):
        commands.run("destroy", yes="smartcity", data=True)


@pytest.mark.parametrize("command", ["status", "destroy"])
def test_no_stack_is_an_error(commands: Commands, command: str) -> None:
    commands.absent()
    with pytest.raises(StackStateError, match="there is no stack smartcity"):
        commands.run(command)


def test_the_status_shows_state_and_outputs(commands: Commands) -> None:
    commands.there("CREATE_COMPLETE", {"Bucket": "old-lake"})
    assert commands.run("status") == "stack smartcity: CREATE_COMPLETE\nBucket  old-lake"
    commands.there("CREATE_COMPLETE", {"Bucket": "old-lake"})
    assert '"Bucket": "old-lake"' in commands.run("status", json=True)


@pytest.mark.parametrize("command", ["plan", "deploy", "status", "destroy"])
@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("InvalidClientTokenId", CredentialsError, "does not accept the credentials"),
        ("ExpiredToken", CredentialsError, "log in again"),
        ("AccessDenied", ServiceError, "the role lacks the permission"),
    ],
)
def test_wrong_credentials_and_missing_permissions(
    commands: Commands, command: str, code: str, kind: type[AwsError], words: str
) -> None:
    commands.cloudformation.add_client_error("describe_stacks", code, "no", 403)
    with pytest.raises(kind, match=words):
        commands.run(command)


NOWHERE = {"AWS_REGION": "ca-central-1", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
VIEWER = "arn:aws:quicksight:us-east-1:123456789012:group/default/city"
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.mark.parametrize("command", ["plan", "deploy", "status", "destroy"])
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "no usable AWS credentials"),
        ({"AWS_PROFILE": "nobody"}, "no usable AWS credentials"),
        ({**KEYS, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "http://127.0.0.1:1/ cannot be reached"),
    ],
)
def test_messages_of_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    environment: dict[str, str],
    message: str,
) -> None:
    _environment(monkeypatch, environment)
    assert main([command]) == 1
    error = capsys.readouterr().err
    assert error.startswith("smartcity-aws: ")
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("region", "more", "message"),
    [
        ("eu-nowhere-9", [], "there is no cloudformation in the region eu-nowhere-9"),
        ("nowhere", [], "no region nowhere"),
        ("me-south-1", ["--parameter", "CreateRedshift=true"], "redshift-serverless.*CreateRedshift=false"),
        ("me-south-1", ["--parameter", f"DashboardPrincipalArn={VIEWER}"], "quicksight.*DashboardPrincipalArn= *$"),
    ],
)
def test_a_region_without_a_service_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], region: str, more: list[str], message: str
) -> None:
    _environment(monkeypatch, KEYS)
    assert main(["plan", "--region", region, *more]) == 1
    error = capsys.readouterr().err
    assert re.search(message, error), error


def _environment(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", *KEYS, "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**NOWHERE, **environment}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("pair", "message"), [("Nonsense=1", "no parameter 'Nonsense'"), ("CreateRedshift", "NAME=VALUE")]
)
def test_a_wrong_parameter_is_named(pair: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        given_values([pair], SETTINGS)


def test_parameters_are_those_of_the_template() -> None:
    read = load_template(template_text())["Parameters"]
    assert template_parameters() == {
        name: None if "Default" not in each else str(each["Default"]) for name, each in read.items()
    }


def test_values_come_from_what_is_given_then_from_the_stack_then_from_the_template() -> None:
    values = effective({"BucketName": "new"}, {"BucketName": "old", "AthenaResultDays": "3"})
    assert (values["BucketName"], values["AthenaResultDays"], values["NoncurrentDays"]) == ("new", "3", "3")
    assert to_send({}, {"NoLongerThere": "x"}) == []
