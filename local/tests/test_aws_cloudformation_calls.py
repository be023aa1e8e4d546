"""CloudFormation's calls one by one, with small templates: parameters, refusals, failures, kills."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.exceptions
import pytest

TIMEOUT_S = 60.0


def await_(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} was not true within {TIMEOUT_S} s")


class Stacks:
    """CloudFormation at the local endpoint, and stacks with names of their own."""

    def __init__(self, endpoints: Any) -> None:
        self.client = endpoints.client
        self.cfn = endpoints.client("cloudformation")
        self.name = f"c{uuid.uuid4().hex[:8]}"

    def create(self, resources: dict[str, Any], *, wait: bool = True, **options: Any) -> str:
        body = options.pop("TemplateBody", None) or json.dumps({"Resources": resources, **options.pop("more", {})})
        made = self.cfn.create_stack(StackName=self.name, TemplateBody=body, **options)["StackId"]
        return self.rest(made) if wait else made

    def update(self, resources: dict[str, Any], **options: Any) -> str:
        body = json.dumps({"Resources": resources, **options.pop("more", {})})
        return self.rest(self.cfn.update_stack(StackName=self.name, TemplateBody=body, **options)["StackId"])

    def rest(self, name: str = "") -> str:
        return str(await_(lambda: self.at_rest(name or self.name)))

    def at_rest(self, name: str) -> str | None:
        status = self.describe(name)["StackStatus"]
        return None if status.endswith("_IN_PROGRESS") else status

    def describe(self, name: str = "") -> Any:
        return self.cfn.describe_stacks(StackName=name or self.name)["Stacks"][0]

    def change_set(self, resources: dict[str, Any], **options: Any) -> Any:
        body = json.dumps({"Resources": resources, **options.pop("more", {})})
        given = {"StackName": self.name, "ChangeSetName": "one", "TemplateBody": body, "ChangeSetType": "CREATE"}
        made = self.cfn.create_change_set(**given | options)["Id"]
        return await_(lambda: self._made(made))

    def _made(self, identity: str) -> Any:
        found = self.cfn.describe_change_set(ChangeSetName=identity)
        return found if found["Status"] in ("CREATE_COMPLETE", "FAILED") else None

    def reasons(self, stack_id: str = "") -> list[str]:
        events = self.cfn.describe_stack_events(StackName=stack_id or self.name)["StackEvents"]
        return [each.get("ResourceStatusReason", "") for each in events]


@pytest.fixture
def stacks(aws_endpoints: Any) -> Stacks:
    return Stacks(aws_endpoints)


def database(name: str, **attributes: Any) -> dict[str, Any]:
    properties = {"CatalogId": "000000000000", "DatabaseInput": {"Name": name}}
    return {"Type": "AWS::Glue::Database", "Properties": properties, **attributes}


def bucket(name: str, **attributes: Any) -> dict[str, Any]:
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}, **attributes}


PARAMETERS = {
    "Parameters": {
        "Name": {"Type": "String", "AllowedPattern": "[a-z0-9-]+"},
        "Days": {"Type": "Number", "Default": 3, "MinValue": 1, "MaxValue": 9},
        "Kind": {"Type": "String", "Default": "a", "AllowedValues": ["a", "b"]},
        "Told": {
            "Type": "String",
            "Default": "xx",
            "MinLength": 2,
            "MaxLength": 3,
            "ConstraintDescription": "two or three",
        },
    }
}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, r"Parameters: \[Name\] must have values"),
        ({"Name": "x", "Other": "1", "Third": "2"}, r"Parameters: \[Other, Third\] do not exist in the template"),
        ({"Name": "X"}, r"Parameter 'Name' must match pattern \[a-z0-9-\]\+"),
        ({"Name": "x", "Kind": "c"}, "Parameter 'Kind' must be one of AllowedValues"),
        ({"Name": "x", "Days": "many"}, "Parameter 'Days' must be a number"),
        ({"Name": "x", "Days": "0"}, "Parameter 'Days' must be a number not less than 1"),
        ({"Name": "x", "Days": "10"}, "Parameter 'Days' must be a number not greater than 9"),
        ({"Name": "x", "Told": "long one"}, "Parameter Told failed to satisfy constraint: two or three"),
    ],
)
def test_parameters_are_refused_as_aws_does(stacks: Stacks, given: dict[str, str], said: str) -> None:
    values = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
    with pytest.raises(botocore.exceptions.ClientError, match=said) as refused:
        stacks.change_set({"D": database("x")}, Parameters=values, more=PARAMETERS)
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(botocore.exceptions.ClientError, match="does not exist"):
        stacks.describe()


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"Q": {"Type": "AWS::SQS::Queue"}}, r"Unrecognized resource types: \[AWS::SQS::Queue\]"),
        ({"D": database("x", UpdatePolicy={})}, "UpdatePolicy of the resource D is not served"),
        ({"D": {"Type": "AWS::Glue::Database", "Properties": {"CatalogId": {"Ref": "No"}}}}, r"dependencies \[No\]"),
        ({"D": database("x", DependsOn="E"), "E": database("y", DependsOn="D")}, r"Circular dependency .*\[D, E\]"),
        ({"D": database("x", Condition="No")}, "condition dependency No"),
        (
            {"D": {"Type": "AWS::Glue::Database", "Properties": {"CatalogId": {"Fn::ImportValue": "x"}}}},
            "Fn::ImportValue",
        ),
        ({}, "At least one Resources member"),
    ],
)
def test_what_is_not_served_is_refused_by_name(stacks: Stacks, resources: dict[str, Any], said: str) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match=said):
        stacks.change_set(resources)


def test_a_property_that_is_not_served_or_missing_fails_the_change_set(stacks: Stacks) -> None:
    with_cors = bucket(stacks.name)
    with_cors["Properties"]["CorsConfiguration"] = {"CorsRules": []}
    made = stacks.change_set({"B": with_cors})
    assert made["Status"] == "FAILED"
    assert "B (AWS::S3::Bucket): Encountered unsupported property CorsConfiguration" in made["StatusReason"]
    group = {"Type": "AWS::Athena::WorkGroup", "Properties": {"State": "ENABLED"}}
    made = stacks.change_set({"W": group}, ChangeSetName="two")
    assert made["StatusReason"].endswith("required key [Name] not found)")


def test_calls_that_are_not_served_are_refused_by_name(stacks: Stacks) -> None:
    with pytest.raises(
        botocore.exceptions.ClientError, match=r"cloudformation\.CreateStackSet is not served"
    ) as refused:
        stacks.cfn.create_stack_set(StackSetName="x")
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"


def test_iam_needs_to_be_acknowledged(stacks: Stacks) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": []}}}
    with pytest.raises(botocore.exceptions.ClientError, match=r"Requires capabilities : \[CAPABILITY_IAM\]"):
        stacks.change_set({"R": role})


def test_the_same_again_is_a_change_set_without_changes(stacks: Stacks) -> None:
    assert stacks.create({"D": database(stacks.name)}) == "CREATE_COMPLETE"
    made = stacks.change_set({"D": database(stacks.name)}, ChangeSetType="UPDATE")
    assert made["Status"] == "FAILED"
    assert made["StatusReason"].startswith("The submitted information didn't contain changes.")
    with pytest.raises(botocore.exceptions.ClientError, match="No updates are to be performed"):
        stacks.update({"D": database(stacks.name)})
    with pytest.raises(botocore.exceptions.ClientError, match=r"in its current status of \[FAILED\]"):
        stacks.cfn.execute_change_set(StackName=stacks.name, ChangeSetName="one")


def test_an_output_alone_is_a_change_without_resources(stacks: Stacks) -> None:
    stacks.create({"D": database(stacks.name)})
    made = stacks.change_set(
        {"D": database(stacks.name)}, more={"Outputs": {"O": {"Value": "new"}}}, ChangeSetType="UPDATE"
    )
    assert (made["Status"], made["Changes"]) == ("CREATE_COMPLETE", [])
    stacks.cfn.execute_change_set(ChangeSetName=made["ChangeSetId"])
    assert stacks.rest() == "UPDATE_COMPLETE"
    assert stacks.describe()["Outputs"] == [{"OutputKey": "O", "OutputValue": "new"}]


def test_changes_are_paged(stacks: Stacks) -> None:
    made = stacks.change_set({f"D{number}": database(f"{stacks.name}{number}") for number in range(60)})
    found = [each["ResourceChange"]["LogicalResourceId"] for each in made["Changes"]]
    while made.get("NextToken"):
        made = stacks.cfn.describe_change_set(ChangeSetName=made["ChangeSetId"], NextToken=made["NextToken"])
        found += [each["ResourceChange"]["LogicalResourceId"] for each in made["Changes"]]
    assert len(found) > 25
    assert sorted(found) == sorted(f"D{number}" for number in range(60))


def test_a_change_set_tells_what_would_be_replaced(stacks: Stacks) -> None:
    stacks.create({"D": database(stacks.name), "B": bucket(stacks.name), "E": database(f"{stacks.name}e")})
    renamed, described = database(f"{stacks.name}2"), bucket(stacks.name)
    renamed["Properties"]["DatabaseName"] = f"{stacks.name}2"
    described["Properties"]["Tags"] = [{"Key": "a", "Value": "b"}]
    made = stacks.change_set({"D": renamed, "B": described}, ChangeSetType="UPDATE")
    found = {each["ResourceChange"]["LogicalResourceId"]: each["ResourceChange"] for each in made["Changes"]}
    assert (found["D"]["Action"], found["D"]["Replacement"]) == ("Modify", "True")
    assert (found["B"]["Action"], found["B"]["Replacement"]) == ("Modify", "False")
    assert found["B"]["Details"][0]["Target"]["Name"] == "Tags"
    assert found["E"]["Action"] == "Remove"
    assert stacks.cfn.list_change_sets(StackName=stacks.name)["Summaries"][0]["Status"] == "CREATE_COMPLETE"
    stacks.cfn.delete_change_set(ChangeSetName=made["ChangeSetId"])
    with pytest.raises(stacks.cfn.exceptions.ChangeSetNotFoundException):
        stacks.cfn.describe_change_set(ChangeSetName=made["ChangeSetId"])


def test_a_template_from_the_bucket(stacks: Stacks, aws_endpoints: Any) -> None:
    body = json.dumps({"Resources": {"D": database(stacks.name)}, "Description": "from S3"})
    stacks.client("s3").put_object(Bucket="smartcity-lake", Key="templates/one.json", Body=body.encode())
    for url in (
        f"{aws_endpoints.s3_url}/smartcity-lake/templates/one.json",
        "https://smartcity-lake.s3.us-east-1.amazonaws.com/templates/one.json",
        "https://s3.amazonaws.com/smartcity-lake/templates/one.json",
    ):
        assert stacks.cfn.validate_template(TemplateURL=url)["Description"] == "from S3"
    for url in ("https://example.org/smartcity-lake/templates/one.json", f"{aws_endpoints.s3_url}/smartcity-lake/no"):
        with pytest.raises(botocore.exceptions.ClientError, match=r"supported URL|S3 error"):
            stacks.cfn.validate_template(TemplateURL=url)


def test_a_long_template_needs_a_bucket(stacks: Stacks) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match="less than or equal to 51200"):
        stacks.change_set({"D": database(stacks.name, Metadata={"x": "y" * 52_000})})


def test_templates_are_given_back_and_summed_up(stacks: Stacks) -> None:
    stacks.create({"D": database(stacks.name)}, more=PARAMETERS, Parameters=[_given("Name", "x")])
    assert stacks.cfn.get_template(StackName=stacks.name)["TemplateBody"]["Resources"].keys() == {"D"}
    summary = stacks.cfn.get_template_summary(StackName=stacks.name)
    assert summary["ResourceTypes"] == ["AWS::Glue::Database"]
    assert {each["ParameterKey"]: each["ParameterType"] for each in summary["Parameters"]}["Days"] == "Number"
    assert stacks.describe()["Parameters"][0] == _given("Days", "3")


def _given(name: str, value: str) -> dict[str, str]:
    return {"ParameterKey": name, "ParameterValue": value}


def test_values_are_kept_and_only_where_there_are_any(stacks: Stacks) -> None:
    stacks.create({"D": database(stacks.name)}, more=PARAMETERS, Parameters=[_given("Name", "x"), _given("Days", "5")])
    kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in ("Name", "Days")]
    other = database(stacks.name)
    other["Properties"]["DatabaseInput"]["Description"] = {"Ref": "Days"}
    assert stacks.update({"D": other}, more=PARAMETERS, Parameters=kept) == "UPDATE_COMPLETE"
    assert stacks.client("glue").get_database(Name=stacks.name)["Database"]["Description"] == "5"
    more = {"Parameters": {**PARAMETERS["Parameters"], "New": {"Type": "String"}}}
    with pytest.raises(botocore.exceptions.ClientError, match="usePreviousValue"):
        stacks.update({"D": other}, more=more, Parameters=[*kept, {"ParameterKey": "New", "UsePreviousValue": True}])


def test_a_bucket_that_is_not_empty_cannot_be_deleted(stacks: Stacks) -> None:
    stacks.create({"B": bucket(stacks.name), "D": database(stacks.name)})
    stacks.client("s3").put_object(Bucket=stacks.name, Key="k", Body=b"x")
    stack_id = stacks.describe()["StackId"]
    stacks.cfn.delete_stack(StackName=stacks.name)
    assert stacks.rest(stack_id) == "DELETE_FAILED"
    assert stacks.describe()["StackStatusReason"].startswith("The following resource(s) failed to delete: [B]")
    assert any("not empty" in each for each in stacks.reasons())
    stacks.client("s3").delete_object(Bucket=stacks.name, Key="k")
    stacks.cfn.delete_stack(StackName=stacks.name)
    assert stacks.rest(stack_id) == "DELETE_COMPLETE"
    with pytest.raises(botocore.exceptions.ClientError, match=f"Stack with id {stacks.name} does not exist"):
        stacks.describe()


def test_what_uses_goes_before_what_is_used(stacks: Stacks) -> None:
    stacks.create({"A": database(f"{stacks.name}a", DependsOn=["C"]), "C": database(f"{stacks.name}c")})
    stack_id = stacks.describe()["StackId"]
    stacks.cfn.delete_stack(StackName=stacks.name)
    assert stacks.rest(stack_id) == "DELETE_COMPLETE"
    events = stacks.cfn.describe_stack_events(StackName=stack_id)["StackEvents"]
    gone = [each["LogicalResourceId"] for each in reversed(events) if each["ResourceStatus"] == "DELETE_COMPLETE"]
    assert gone == ["A", "C", stacks.name]


@pytest.mark.parametrize(("excepted", "stays"), [(False, True), (True, False)])
def test_retain_keeps_a_failed_creations_resource_unless_excepted(stacks: Stacks, excepted: bool, stays: bool) -> None:
    taken = f"{stacks.name}taken"
    stacks.client("glue").create_database(DatabaseInput={"Name": taken})
    resources = {
        "B": bucket(stacks.name, DeletionPolicy="Retain"),
        "D": database(taken, DependsOn="B"),
    }
    assert stacks.create(resources, RetainExceptOnCreate=excepted) == "ROLLBACK_COMPLETE"
    assert (stacks.name in {each["Name"] for each in stacks.client("s3").list_buckets()["Buckets"]}) == stays
    assert "Rollback requested by user." in " ".join(stacks.reasons())
    with pytest.raises(botocore.exceptions.ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        stacks.update(resources)


def test_a_bucket_that_is_there_is_neither_taken_nor_removed(stacks: Stacks) -> None:
    """CreateBucket of one's own bucket is answered as done in us-east-1; CloudFormation asks before."""
    s3 = stacks.client("s3")
    s3.create_bucket(Bucket=stacks.name)
    tagged = bucket(stacks.name)
    tagged["Properties"]["Tags"] = [{"Key": "a", "Value": "b"}]
    assert stacks.create({"B": tagged}) == "ROLLBACK_COMPLETE"
    assert f"Resource of type 'AWS::S3::Bucket' with identifier '{stacks.name}' already exists." in stacks.reasons()
    assert stacks.name in {each["Name"] for each in s3.list_buckets()["Buckets"]}
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=stacks.name)


@pytest.mark.parametrize(("on_failure", "status"), [("DO_NOTHING", "CREATE_FAILED"), ("DELETE", "DELETE_COMPLETE")])
def test_a_failed_creation_ends_as_it_was_asked_to(stacks: Stacks, on_failure: str, status: str) -> None:
    stacks.client("glue").create_database(DatabaseInput={"Name": f"{stacks.name}taken"})
    resources = {"A": database(stacks.name), "D": database(f"{stacks.name}taken", DependsOn="A")}
    assert stacks.create(resources, OnFailure=on_failure) == status
    there = {each["Name"] for each in stacks.client("glue").get_databases()["DatabaseList"]}
    assert (stacks.name in there) == (on_failure == "DO_NOTHING")


def test_a_custom_name_cannot_be_replaced_by_itself(stacks: Stacks) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": []}}}
    role["Properties"] |= {"RoleName": stacks.name}
    named = {"Capabilities": ["CAPABILITY_NAMED_IAM"]}
    assert stacks.create({"R": role}, **named) == "CREATE_COMPLETE"
    moved = {**role, "Properties": {**role["Properties"], "Path": "/other/"}}
    assert stacks.update({"R": moved}, **named) == "UPDATE_ROLLBACK_COMPLETE"
    assert any("cannot update a stack when a custom-named resource requires replacing" in e for e in stacks.reasons())
    assert stacks.client("iam").get_role(RoleName=stacks.name)["Role"]["Path"] == "/"


def test_stacks_survive_a_kill_and_roles_are_made_again(own_endpoints: Any) -> None:
    own_endpoints.start_s3()
    own_endpoints.start_aws()
    stacks = Stacks(own_endpoints)
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
    policy = {"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": {"Statement": []}, "Policies": [policy]},
    }
    made = {"R": role, "B": bucket(stacks.name)}
    assert stacks.create(made, Capabilities=["CAPABILITY_IAM"]) == "CREATE_COMPLETE"
    before, events = stacks.describe(), stacks.reasons()
    name = stacks.cfn.describe_stack_resource(StackName=stacks.name, LogicalResourceId="R")
    own_endpoints.aws.kill()
    own_endpoints.aws.wait()
    own_endpoints.start_aws()
    assert stacks.describe() | {"ResponseMetadata": 0} == before | {"ResponseMetadata": 0}
    assert stacks.reasons() == events
    role_name = name["StackResourceDetail"]["PhysicalResourceId"]
    assert stacks.client("iam").list_role_policies(RoleName=role_name)["PolicyNames"] == ["p"]
    stacks.cfn.delete_stack(StackName=stacks.name)
    assert stacks.rest(before["StackId"]) == "DELETE_COMPLETE"


class HoldingProxy(ThreadingHTTPServer):
    """Before the S3 endpoint: it hands everything on, and keeps back the answers to PUTs of a bucket while `holds`."""

    daemon_threads = True

    def __init__(self, s3_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.s3_port = s3_port
        self.holds = True
        self.held, self.released = threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Forward(BaseHTTPRequestHandler):
    server: HoldingProxy

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        s3 = http.client.HTTPConnection("127.0.0.1", self.server.s3_port, timeout=30)
        s3.request(self.command, self.path, body, dict(self.headers.items()))
        answer = s3.getresponse()
        content = answer.read()
        if self.server.holds and self.command == "PUT" and "?" not in self.path:
            self.server.held.set()
            self.server.released.wait(TIMEOUT_S)
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _forward  # noqa: N815 - the names are http.server's

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def test_a_creation_that_a_kill_interrupted_is_rolled_back(own_endpoints: Any) -> None:
    """The kill comes when the bucket is made, and the stack was not told yet."""
    own_endpoints.start_s3()
    proxy = HoldingProxy(own_endpoints.s3_port)
    own_endpoints.s3_port = proxy.server_port
    own_endpoints.start_aws()
    stacks = Stacks(own_endpoints)
    s3 = stacks.client("s3")
    own_endpoints.client("glue").create_database(DatabaseInput={"Name": "others"})
    resources = {"D": database(stacks.name), "B": bucket(stacks.name, DependsOn="D"), "E": database("e", DependsOn="B")}
    stack_id = stacks.create(resources, wait=False)
    assert proxy.held.wait(TIMEOUT_S)
    own_endpoints.aws.kill()
    own_endpoints.aws.wait()
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == [stacks.name]
    proxy.holds = False
    proxy.released.set()
    own_endpoints.start_aws()
    assert stacks.rest(stack_id) == "ROLLBACK_COMPLETE"
    assert any(each.startswith("Interrupted") for each in stacks.reasons())
    assert [each["Name"] for each in own_endpoints.client("glue").get_databases()["DatabaseList"]] == ["others"]
    assert s3.list_buckets()["Buckets"] == []
    stacks.cfn.delete_stack(StackName=stacks.name)
    assert stacks.rest(stack_id) == "DELETE_COMPLETE"


def test_an_update_that_a_kill_interrupted_goes_back(own_endpoints: Any) -> None:
    own_endpoints.start_s3()
    own_endpoints.start_aws()
    stacks = Stacks(own_endpoints)
    stacks.create({"D": database(stacks.name), "B": bucket(stacks.name, DependsOn="D")})
    stack_id = stacks.describe()["StackId"]
    described, tagged = database(stacks.name), bucket(stacks.name, DependsOn="D")
    described["Properties"]["DatabaseInput"]["Description"] = "new"
    tagged["Properties"]["Tags"] = [{"Key": "new", "Value": "1"}]
    own_endpoints.s3.send_signal(signal.SIGSTOP)
    body = json.dumps({"Resources": {"D": described, "B": tagged, "E": database("e")}})
    stacks.cfn.update_stack(StackName=stacks.name, TemplateBody=body)

    def at_the_bucket() -> bool:
        found = stacks.cfn.describe_stack_resource(StackName=stacks.name, LogicalResourceId="B")
        return bool(found["StackResourceDetail"]["ResourceStatus"] == "UPDATE_IN_PROGRESS")

    await_(at_the_bucket)
    own_endpoints.aws.kill()
    own_endpoints.aws.wait()
    own_endpoints.s3.send_signal(signal.SIGCONT)
    own_endpoints.start_aws()
    assert stacks.rest(stack_id) == "UPDATE_ROLLBACK_COMPLETE"
    glue = own_endpoints.client("glue")
    assert "Description" not in glue.get_database(Name=stacks.name)["Database"]
    assert [each["Name"] for each in glue.get_databases()["DatabaseList"]] == [stacks.name]
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchTagSet"):
        stacks.client("s3").get_bucket_tagging(Bucket=stacks.name)


def test_first_calls_of_all_protocols_at_once_are_answered(own_endpoints: Any) -> None:
    """moto's modules, from which three of the protocols are read, are not fit to be imported by several threads."""
    own_endpoints.start_s3()
    own_endpoints.start_aws()
    calls = [
        ("cloudformation", "list_stacks", {}),
        ("iam", "list_roles", {}),
        ("emr-serverless", "list_applications", {}),
        ("quicksight", "list_themes", {"AwsAccountId": "000000000000"}),
        ("sts", "get_caller_identity", {}),
    ]
    clients = {service: own_endpoints.client(service) for service, _, _ in calls}
    barrier = threading.Barrier(len(calls))

    def call(service: str, name: str, arguments: dict[str, str]) -> int:
        barrier.wait()
        return int(getattr(clients[service], name)(**arguments)["ResponseMetadata"]["HTTPStatusCode"])

    with ThreadPoolExecutor(len(calls)) as pool:
        assert [each.result() for each in [pool.submit(call, *each) for each in calls]] == [200] * len(calls)
