"""Each resource type at its service: made, changed in place, and removed; what is not served is refused by name."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.exceptions
import pytest

ACCOUNT = "000000000000"
TIMEOUT_S = 60.0
CAPABILITIES = ["CAPABILITY_NAMED_IAM"]


@dataclass(frozen=True)
class Case:
    """`name` stands for a name of the test's own. `seen` gives what the service tells; it raises where nothing is."""

    kind: str
    first: dict[str, Any]
    second: dict[str, Any]
    seen: Callable[[Any, str], Any]
    told: tuple[Any, Any]
    beside: dict[str, Any]


def statement(action: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::b/*"}],
    }


TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ROLE = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "name", "AssumeRolePolicyDocument": TRUST}}
DATABASE = {
    "Type": "AWS::Glue::Database",
    "Properties": {"CatalogId": ACCOUNT, "DatabaseInput": {"Name": "name"}},
}


def _bucket(client: Any, name: str) -> Any:
    s3 = client("s3")
    s3.head_bucket(Bucket=name)
    try:
        return [each["ID"] for each in s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]]
    except botocore.exceptions.ClientError:
        return s3.get_bucket_versioning(Bucket=name)["Status"]


def _bucket_policy(client: Any, name: str) -> Any:
    return json.loads(client("s3").get_bucket_policy(Bucket=name)["Policy"])["Statement"][0]["Action"]


def _policies(client: Any, name: str) -> Any:
    iam = client("iam")
    found = {}
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        found[policy] = document["Statement"][0]["Action"]
    return found


def _role(client: Any, name: str) -> Any:
    role = client("iam").get_role(RoleName=name)["Role"]
    return role["Description"], role["MaxSessionDuration"], _policies(client, name)


def _policy(client: Any, name: str) -> Any:
    found = _policies(client, name)
    if not found:
        raise LookupError(name)
    return found


def _application(client: Any, name: str) -> Any:
    emr = client("emr-serverless")
    identity = next(each["id"] for each in emr.list_applications()["applications"] if each["name"] == name)
    found = emr.get_application(applicationId=identity)["application"]
    return found["releaseLabel"], found["maximumCapacity"]["cpu"]


def _dashboard(client: Any, name: str) -> Any:
    quicksight = client("quicksight")
    place = {"AwsAccountId": ACCOUNT, "DashboardId": name}
    found = quicksight.describe_dashboard(**place)["Dashboard"]
    sheets = quicksight.describe_dashboard_definition(**place)["Definition"]["Sheets"]
    held = quicksight.describe_dashboard_permissions(**place)["Permissions"]
    return found["Version"]["VersionNumber"], sheets[0]["Name"], {each["Principal"]: each["Actions"] for each in held}


def _dashboard_of(sheet: str, principal: str, actions: list[str]) -> dict[str, Any]:
    declared = {"Identifier": "d", "DataSetArn": f"arn:aws:quicksight:us-east-1:{ACCOUNT}:dataset/x"}
    return {
        "AwsAccountId": ACCOUNT,
        "DashboardId": "name",
        "Name": "n",
        "Definition": {"DataSetIdentifierDeclarations": [declared], "Sheets": [{"SheetId": "s", "Name": sheet}]},
        "Permissions": [{"Principal": principal, "Actions": actions}],
    }


def _data_set_of(column: str) -> dict[str, Any]:
    arn = f"arn:aws:quicksight:us-east-1:{ACCOUNT}:datasource/x"
    table = {"DataSourceArn": arn, "Name": "t", "InputColumns": [{"Name": column, "Type": "STRING"}]}
    place = {"AwsAccountId": ACCOUNT, "DataSetId": "name", "Name": "n", "ImportMode": "DIRECT_QUERY"}
    return {**place, "PhysicalTableMap": {"t": {"RelationalTable": table}}}


def _table_of(parameters: dict[str, Any]) -> dict[str, Any]:
    given = {"Name": "t", "Parameters": parameters}
    return {"CatalogId": ACCOUNT, "DatabaseName": {"Ref": "D"}, "TableInput": given}


def _application_of(release: str, cpu: str) -> dict[str, Any]:
    most = {"Cpu": cpu, "Memory": "8 GB"}
    return {"Name": "name", "Type": "SPARK", "ReleaseLabel": release, "MaximumCapacity": most}


def _columns(client: Any, name: str) -> Any:
    found = client("quicksight").describe_data_set(AwsAccountId=ACCOUNT, DataSetId=name)["DataSet"]
    return found["PhysicalTableMap"]["t"]["RelationalTable"]["InputColumns"][0]["Name"]


def _workgroup(client: Any, name: str) -> Any:
    found = client("athena").get_work_group(WorkGroup=name)["WorkGroup"]
    configuration = found["Configuration"]
    place = configuration["ResultConfiguration"].get("OutputLocation")
    return found["State"], configuration.get("BytesScannedCutoffPerQuery"), place


CASES = (
    Case(
        kind="AWS::S3::Bucket",
        first={
            "BucketName": "name",
            "VersioningConfiguration": {"Status": "Enabled"},
            "LifecycleConfiguration": {"Rules": [{"Id": "a", "Status": "Enabled", "ExpirationInDays": "3"}]},
        },
        second={"BucketName": "name"},
        seen=_bucket,
        told=(["a"], "Suspended"),
        beside={},
    ),
    Case(
        kind="AWS::S3::BucketPolicy",
        first={"Bucket": {"Ref": "B"}, "PolicyDocument": statement("s3:GetObject")},
        second={"Bucket": {"Ref": "B"}, "PolicyDocument": statement("s3:PutObject")},
        seen=_bucket_policy,
        told=("s3:GetObject", "s3:PutObject"),
        beside={"B": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "name"}}},
    ),
    Case(
        kind="AWS::Glue::Table",
        first=_table_of({"a": True}),
        second=_table_of({"a": 2}),
        seen=lambda client, name: client("glue").get_table(DatabaseName=name, Name="t")["Table"]["Parameters"],
        told=({"a": "true"}, {"a": "2"}),
        beside={"D": DATABASE},
    ),
    Case(
        kind="AWS::Glue::Crawler",
        first={"Name": "name", "Role": "r", "DatabaseName": "d", "Targets": {"S3Targets": [{"Path": "s3://bucket/x"}]}},
        second={"Name": "name", "Role": "r", "DatabaseName": "d", "Targets": {"S3Targets": [{"Path": "s3://bucket/y"}]}},
        seen=lambda client, name: client("glue").get_crawler(Name=name)["Crawler"]["Targets"]["S3Targets"][0]["Path"],
        told=("s3://bucket/x", "s3://bucket/y"),
        beside={},
    ),
    Case(
        kind="AWS::Athena::WorkGroup",
        first={
            "Name": "name",
            "WorkGroupConfiguration": {
                "BytesScannedCutoffPerQuery": "20000000",
                "ResultConfiguration": {"OutputLocation": "s3://b/"},
            },
        },
        second={"Name": "name", "State": "DISABLED", "WorkGroupConfiguration": {}},
        seen=_workgroup,
        told=(("ENABLED", 20000000, "s3://b/"), ("DISABLED", None, None)),
        beside={},
    ),
    Case(
        kind="AWS::IAM::Role",
        first={
            "RoleName": "name",
            "Description": "one",
            "AssumeRolePolicyDocument": TRUST,
            "Policies": [
                {"PolicyName": "a", "PolicyDocument": statement("s3:GetObject")},
                {"PolicyName": "b", "PolicyDocument": statement("s3:GetObject")},
            ],
        },
        second={
            "RoleName": "name",
            "Description": "two",
            "MaxSessionDuration": "7200",
            "AssumeRolePolicyDocument": TRUST,
            "Policies": [{"PolicyName": "b", "PolicyDocument": statement("s3:PutObject")}],
        },
        seen=_role,
        told=(("one", 3600, {"a": "s3:GetObject", "b": "s3:GetObject"}), ("two", 7200, {"b": "s3:PutObject"})),
        beside={},
    ),
    Case(
        kind="AWS::IAM::Policy",
        first={"PolicyName": "p", "Roles": [{"Ref": "R"}], "PolicyDocument": statement("s3:GetObject")},
        second={"PolicyName": "q", "Roles": [{"Ref": "R"}], "PolicyDocument": statement("s3:PutObject")},
        seen=_policy,
        told=({"p": "s3:GetObject"}, {"q": "s3:PutObject"}),
        beside={"R": ROLE},
    ),
    Case(
        kind="AWS::RedshiftServerless::Namespace",
        first={"NamespaceName": "name", "DbName": "d", "LogExports": ["userlog"]},
        second={"NamespaceName": "name", "DbName": "d", "IamRoles": ["arn:aws:iam::000000000000:role/r"]},
        seen=lambda client, name: [
            client("redshift-serverless").get_namespace(namespaceName=name)["namespace"].get(key)
            for key in ("logExports", "iamRoles")
        ],
        told=([["userlog"], None], [[], ["arn:aws:iam::000000000000:role/r"]]),
        beside={},
    ),
    Case(
        kind="AWS::RedshiftServerless::Workgroup",
        first={"WorkgroupName": "name", "NamespaceName": {"Ref": "N"}, "BaseCapacity": "8"},
        second={"WorkgroupName": "name", "NamespaceName": {"Ref": "N"}, "BaseCapacity": "16"},
        seen=lambda client, name: client("redshift-serverless").get_workgroup(workgroupName=name)["workgroup"][
            "baseCapacity"
        ],
        told=(8, 16),
        beside={"N": {"Type": "AWS::RedshiftServerless::Namespace", "Properties": {"NamespaceName": "name"}}},
    ),
    Case(
        kind="AWS::EMRServerless::Application",
        first=_application_of("emr-7.0.0", "4 vCPU"),
        second=_application_of("emr-7.1.0", "8 vCPU"),
        seen=_application,
        told=(("emr-7.0.0", "4 vCPU"), ("emr-7.1.0", "8 vCPU")),
        beside={},
    ),
    Case(
        kind="AWS::QuickSight::DataSource",
        first={"AwsAccountId": ACCOUNT, "DataSourceId": "name", "Name": "one", "Type": "ATHENA"},
        second={"AwsAccountId": ACCOUNT, "DataSourceId": "name", "Name": "two", "Type": "ATHENA"},
        seen=lambda client, name: client("quicksight").describe_data_source(AwsAccountId=ACCOUNT, DataSourceId=name)[
            "DataSource"
        ]["Name"],
        told=("one", "two"),
        beside={},
    ),
    Case(
        kind="AWS::QuickSight::DataSet",
        first=_data_set_of("a"),
        second=_data_set_of("b"),
        seen=_columns,
        told=("a", "b"),
        beside={},
    ),
    Case(
        kind="AWS::QuickSight::Theme",
        first={"AwsAccountId": ACCOUNT, "ThemeId": "name", "Name": "one", "BaseThemeId": "A", "Configuration": {}},
        second={"AwsAccountId": ACCOUNT, "ThemeId": "name", "Name": "two", "BaseThemeId": "A", "Configuration": {}},
        seen=lambda client, name: client("quicksight").describe_theme(AwsAccountId=ACCOUNT, ThemeId=name)["Theme"][
            "Name"
        ],
        told=("one", "two"),
        beside={},
    ),
    Case(
        kind="AWS::QuickSight::Dashboard",
        first=_dashboard_of("one", "arn:a", ["quicksight:DescribeDashboard", "quicksight:QueryDashboard"]),
        second=_dashboard_of("two", "arn:a", ["quicksight:DescribeDashboard"]),
        seen=_dashboard,
        told=(
            (1, "one", {"arn:a": ["quicksight:DescribeDashboard", "quicksight:QueryDashboard"]}),
            (2, "two", {"arn:a": ["quicksight:DescribeDashboard"]}),
        ),
        beside={},
    ),
)  # fmt: skip


class Stack:
    def __init__(self, endpoints: Any) -> None:
        self.client = endpoints.client
        self.cfn = endpoints.client("cloudformation")
        self.name = f"t{uuid.uuid4().hex[:8]}"

    def body(self, kind: str, properties: dict[str, Any], beside: dict[str, Any]) -> str:
        resources = {**beside, "X": {"Type": kind, "Properties": properties}}
        return json.dumps({"Resources": resources}).replace('"name"', f'"{self.name}"')

    def rest(self, stack_id: str) -> str:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            found = self.cfn.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
            if not found.endswith("_IN_PROGRESS"):
                return str(found)
            time.sleep(0.02)
        raise AssertionError(f"{stack_id} is still at work")

    def reasons(self, stack_id: str) -> str:
        events = self.cfn.describe_stack_events(StackName=stack_id)["StackEvents"]
        return "\n".join(each.get("ResourceStatusReason", "") for each in events)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_a_type_is_made_changed_in_place_and_removed(aws_endpoints: Any, case: Case) -> None:
    stack = Stack(aws_endpoints)
    given = {"StackName": stack.name, "Capabilities": CAPABILITIES}
    first = stack.body(case.kind, case.first, case.beside)
    stack_id = stack.cfn.create_stack(**given, TemplateBody=first)["StackId"]
    assert stack.rest(stack_id) == "CREATE_COMPLETE", stack.reasons(stack_id)
    assert case.seen(stack.client, stack.name) == case.told[0]
    stack.cfn.update_stack(**given, TemplateBody=stack.body(case.kind, case.second, case.beside))
    assert stack.rest(stack_id) == "UPDATE_COMPLETE", stack.reasons(stack_id)
    assert case.seen(stack.client, stack.name) == case.told[1]
    events = stack.cfn.describe_stack_events(StackName=stack_id)["StackEvents"]
    assert "DELETE_IN_PROGRESS" not in {each["ResourceStatus"] for each in events}
    assert [each["LogicalResourceId"] for each in events if each["ResourceStatus"] == "UPDATE_IN_PROGRESS"] == [
        "X",
        stack.name,
    ]
    stack.cfn.delete_stack(StackName=stack.name)
    assert stack.rest(stack_id) == "DELETE_COMPLETE", stack.reasons(stack_id)
    with pytest.raises((botocore.exceptions.ClientError, StopIteration, LookupError)):
        case.seen(stack.client, stack.name)


@pytest.mark.parametrize(
    ("kind", "properties", "said"),
    [
        (
            "AWS::S3::Bucket",
            {"BucketName": "name", "LifecycleConfiguration": {"Rules": [{"Status": "Enabled", "Transitions": []}]}},
            "LifecycleConfiguration: Transitions is not served",
        ),
        (
            "AWS::S3::Bucket",
            {"BucketName": "name", "PublicAccessBlockConfiguration": {"BlockAll": True}},
            r"#/PublicAccessBlockConfiguration: extraneous key [BlockAll] is not permitted",
        ),
        (
            "AWS::Athena::WorkGroup",
            {"Name": "name", "WorkGroupConfiguration": {"EngineVersion": {"Version": "3"}}},
            "extraneous key [Version] is not permitted",
        ),
        (
            "AWS::IAM::Policy",
            {"PolicyName": "p", "PolicyDocument": statement("s3:GetObject")},
            "policies of users and groups are not served",
        ),
        (
            "AWS::QuickSight::Theme",
            {"AwsAccountId": "111111111111", "ThemeId": "name", "Name": "n", "BaseThemeId": "C", "Configuration": {}},
            "There is no account 111111111111 here",
        ),
    ],
)  # fmt: skip
def test_a_property_that_is_not_served_fails_the_resource(
    aws_endpoints: Any, kind: str, properties: dict[str, Any], said: str
) -> None:
    stack = Stack(aws_endpoints)
    body = stack.body(kind, properties, {})
    stack_id = stack.cfn.create_stack(StackName=stack.name, TemplateBody=body, Capabilities=CAPABILITIES)["StackId"]
    assert stack.rest(stack_id) == "ROLLBACK_COMPLETE"
    assert said in stack.reasons(stack_id)
    assert stack.name not in {each["Name"] for each in stack.client("s3").list_buckets()["Buckets"]}
