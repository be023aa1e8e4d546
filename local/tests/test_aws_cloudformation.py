"""The unchanged template, deployed by `smartcity-aws` at the local CloudFormation: what it says is there, and goes."""

from __future__ import annotations

import argparse
import json
import uuid
from typing import Any

import pytest

from smartcity.aws import stack, stack_commands
from smartcity.aws.errors import DeploymentError, StackStateError
from smartcity.aws.settings import Settings

MSK = "arn:aws:kafka:us-east-1:000000000000:cluster/city/0f0e0d0c-1111-2222-3333-444455556666-1"
EVERYTHING = ("CreateRedshift=true", "CreateSparkApplication=true", f"MskClusterArn={MSK}")
MARTS = {"camera_activity", "city_hours", "incident_response", "journeys", "speed_by_km", "weather_speed"}


class Account:
    """The commands of `smartcity-aws` with names of their own, at the local endpoints."""

    def __init__(self, endpoints: Any, name: str | None = None) -> None:
        self.name = name or f"c{uuid.uuid4().hex[:8]}"
        self.settings = Settings(bucket=self.name, database=self.name, workgroup=self.name, stack=self.name)
        self.client = endpoints.client

    def run(self, command: str, *parameters: str, **options: Any) -> str:
        given: dict[str, Any] = {"parameter": list(parameters), "yes": True, "data": False, "json": False}
        given |= {"vehicles": 20, "scanned_gb": 1.0, "redshift_hours": 1.0, "crawls": 1.0, **options}
        if command == "destroy":
            given["yes"] = self.name
        run = getattr(stack_commands, command)
        return str(run(argparse.Namespace(**given), self.settings, connect=lambda name, _: self.client(name)))

    def stack(self) -> Any:
        return stack.find_stack(self.client("cloudformation"), self.name)

    def resources(self) -> dict[str, dict[str, Any]]:
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        return {each["LogicalResourceId"]: each for page in pages for each in page["StackResourceSummaries"]}

    def events(self, stack_id: str) -> list[tuple[str, str, str]]:
        pages = self.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack_id)
        found = [each for page in pages for each in page["StackEvents"]]
        return [
            (each["LogicalResourceId"], each["ResourceStatus"], each.get("ResourceStatusReason", ""))
            for each in reversed(found)
        ]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "POLL_MAX_S", 0.05)


@pytest.fixture
def account(aws_endpoints: Any) -> Account:
    return Account(aws_endpoints)


@pytest.fixture(scope="module")
def deployed(aws_endpoints: Any) -> Account:
    """A stack with everything, which the tests read and leave as it is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stack, "POLL_MAX_S", 0.05)
        found = Account(aws_endpoints)
        found.run("deploy", *EVERYTHING)
    return found


def test_the_bucket_is_closed_encrypted_versioned_and_expires(deployed: Account) -> None:
    s3, name = deployed.client("s3"), deployed.name
    blocked = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert blocked == dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    rule = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    ownership = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    rules = {each["ID"]: each for each in s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]}
    assert rules["noncurrent-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 3}
    assert rules["noncurrent-versions"]["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert rules["incomplete-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert rules["athena-results"]["Filter"] == {"Prefix": "athena-results/"}
    assert rules["athena-results"]["Expiration"] == {"Days": 7}
    assert rules["logs"]["Expiration"] == {"Days": 30}
    policy = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
    assert {each["Sid"] for each in policy["Statement"]} == {"TlsOnly", "Tls12"}
    assert policy["Statement"][0]["Resource"] == [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]


def test_catalog_and_crawler_are_there(deployed: Account) -> None:
    glue, name = deployed.client("glue"), deployed.name
    tables = {each["Name"]: each for each in glue.get_tables(DatabaseName=name)["TableList"]}
    assert set(tables) == MARTS
    journeys = tables["journeys"]
    assert journeys["StorageDescriptor"]["Location"] == f"s3://{name}/marts/journeys/"
    assert journeys["Parameters"]["EXTERNAL"] == "TRUE"
    assert journeys["PartitionKeys"] == [{"Name": "dt", "Type": "string"}]
    assert len(journeys["StorageDescriptor"]["Columns"]) == 27
    crawler = glue.get_crawler(Name=f"{name}-marts")["Crawler"]
    assert {table for each in crawler["Targets"]["CatalogTargets"] for table in each["Tables"]} == MARTS
    role = deployed.resources()["CrawlerRole"]["PhysicalResourceId"]
    assert crawler["Role"] == role
    assert deployed.client("iam").get_role(RoleName=role)["Role"]["RoleName"] == role


def test_workgroup_and_named_queries_are_there(deployed: Account) -> None:
    athena, name = deployed.client("athena"), deployed.name
    configuration = athena.get_work_group(WorkGroup=name)["WorkGroup"]["Configuration"]
    assert configuration["BytesScannedCutoffPerQuery"] == 10737418240
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["ResultConfiguration"]["OutputLocation"] == f"s3://{name}/athena-results/"
    identities = athena.list_named_queries(WorkGroup=name)["NamedQueryIds"]
    queries = athena.batch_get_named_query(NamedQueryIds=identities)["NamedQueries"]
    assert len(queries) == 13
    assert {each["Database"] for each in queries} == {name}
    by_name = {each["Name"]: each["QueryString"] for each in queries}
    assert by_name["mean_speed_per_10_km"].startswith("SELECT\n    route,")


def test_roles_have_their_policies(deployed: Account) -> None:
    iam, resources = deployed.client("iam"), deployed.resources()
    roles = {
        name: each["PhysicalResourceId"] for name, each in resources.items() if each["ResourceType"] == "AWS::IAM::Role"
    }
    assert set(roles) == {"SparkRole", "CrawlerRole", "AnalystRole", "RedshiftRole", "DashboardRole", "BridgeRole"}
    policy = iam.get_role_policy(RoleName=roles["BridgeRole"], PolicyName="produce")["PolicyDocument"]
    topics = next(each for each in policy["Statement"] if each["Sid"] == "Produce")["Resource"]
    assert topics[0] == MSK.replace(":cluster/", ":topic/") + "/gps_data"
    trust = iam.get_role(RoleName=roles["SparkRole"])["Role"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "000000000000"}}
    assert "no request is refused" in resources["SparkRole"]["ResourceStatusReason"]


def test_redshift_with_its_limit_and_spark_are_there(deployed: Account) -> None:
    redshift, name, outputs = deployed.client("redshift-serverless"), deployed.name, deployed.stack().outputs
    namespace = redshift.get_namespace(namespaceName=name)["namespace"]
    assert namespace["dbName"] == "smartcity"
    assert namespace["defaultIamRoleArn"] == outputs["RedshiftRoleArn"]
    assert outputs["RedshiftRoleArn"].startswith(f"arn:aws:iam::000000000000:role/{name}-RedshiftRole-")
    workgroup = redshift.get_workgroup(workgroupName=name)["workgroup"]
    assert workgroup["workgroupArn"] == outputs["RedshiftWorkgroupArn"]
    assert (workgroup["baseCapacity"], workgroup["maxCapacity"]) == (8, 16)
    limits = redshift.list_usage_limits(resourceArn=workgroup["workgroupArn"])["usageLimits"]
    assert [(each["amount"], each["period"], each["breachAction"]) for each in limits] == [(8, "daily", "deactivate")]
    spark = deployed.client("emr-serverless").get_application(applicationId=outputs["SparkApplicationId"])[
        "application"
    ]
    assert spark["maximumCapacity"] == {"cpu": "16 vCPU", "memory": "64 GB"}
    assert "networkConfiguration" not in spark


def test_a_second_plan_has_no_changes(deployed: Account) -> None:
    assert "nothing to change" in deployed.run("plan")
    assert deployed.stack().status == "CREATE_COMPLETE"


def test_status_shows_the_outputs(deployed: Account) -> None:
    shown = json.loads(deployed.run("status", json=True))
    assert shown["outputs"]["Bucket"] == deployed.name
    assert shown["outputs"]["Crawler"] == f"{deployed.name}-marts"


def test_events_tell_the_order_and_the_reasons(deployed: Account) -> None:
    events = deployed.events(deployed.stack().stack_id)
    assert events[0] == (deployed.name, "REVIEW_IN_PROGRESS", "User Initiated")
    assert events[1] == (deployed.name, "CREATE_IN_PROGRESS", "User Initiated")
    assert events[-1] == (deployed.name, "CREATE_COMPLETE", "")
    of_bucket = [each[1:] for each in events if each[0] == "LakeBucket"]
    assert of_bucket == [
        ("CREATE_IN_PROGRESS", ""),
        ("CREATE_IN_PROGRESS", "Resource creation Initiated"),
        ("CREATE_COMPLETE", "Recorded by the local S3: it expires nothing, and everybody on this machine may read it"),
    ]
    names = [name for name, status, _ in events if status == "CREATE_COMPLETE"]
    assert names.index("LakeBucket") < names.index("JourneysTable") < names.index("MartsCrawler")


def test_a_changed_parameter_changes_its_resource_alone(account: Account) -> None:
    account.run("deploy")
    before = account.resources()
    account.run("deploy", "AthenaResultDays=9")
    stack_id = account.stack().stack_id
    events = account.events(stack_id)
    updated = {name for name, status, _ in events if status == "UPDATE_IN_PROGRESS"} - {account.name}
    assert updated == {"LakeBucket"}
    rules = account.client("s3").get_bucket_lifecycle_configuration(Bucket=account.name)["Rules"]
    assert [each["Expiration"]["Days"] for each in rules if each["ID"] == "athena-results"] == [9]
    assert {name: each["PhysicalResourceId"] for name, each in account.resources().items()} == {
        name: each["PhysicalResourceId"] for name, each in before.items()
    }
    assert account.stack().status == "UPDATE_COMPLETE"


def test_a_condition_adds_and_removes_resources(account: Account) -> None:
    account.run("deploy")
    account.run("deploy", "CreateRedshift=true")
    redshift = account.client("redshift-serverless")
    assert redshift.get_workgroup(workgroupName=account.name)
    account.run("deploy", "CreateRedshift=false")
    assert account.name not in {each["workgroupName"] for each in redshift.list_workgroups()["workgroups"]}
    assert account.name not in {each["namespaceName"] for each in redshift.list_namespaces()["namespaces"]}
    assert "RedshiftWorkgroup" not in account.resources()
    assert "RedshiftWorkgroupArn" not in account.stack().outputs


def test_a_failed_creation_leaves_nothing(account: Account) -> None:
    athena = account.client("athena")
    athena.create_work_group(Name=account.name, Description="somebody's")
    with pytest.raises(DeploymentError, match=f"identifier '{account.name}' already exists.*removed again"):
        account.run("deploy")
    assert account.stack() is None
    assert account.name not in {each["Name"] for each in account.client("s3").list_buckets()["Buckets"]}
    assert account.name not in {each["Name"] for each in account.client("glue").get_databases()["DatabaseList"]}
    assert athena.get_work_group(WorkGroup=account.name)["WorkGroup"]["Description"] == "somebody's"
    roles = [each["RoleName"] for each in account.client("iam").list_roles()["Roles"]]
    assert not [each for each in roles if each.startswith(account.name)]


def test_a_failed_update_goes_back(account: Account) -> None:
    account.run("deploy")
    account.client("redshift-serverless").create_namespace(namespaceName=account.name)
    with pytest.raises(DeploymentError, match=r"already exists.*all is as before"):
        account.run("deploy", "CreateRedshift=true", "AthenaResultDays=9", "AthenaBytesScannedMax=20000000")
    found = account.stack()
    assert found.status == "UPDATE_ROLLBACK_COMPLETE"
    assert found.parameters["AthenaResultDays"] == "7"
    assert "RedshiftWorkgroup" not in account.resources()
    rules = account.client("s3").get_bucket_lifecycle_configuration(Bucket=account.name)["Rules"]
    assert [each["Expiration"]["Days"] for each in rules if each["ID"] == "athena-results"] == [7]
    group = account.client("athena").get_work_group(WorkGroup=account.name)["WorkGroup"]["Configuration"]
    assert group["BytesScannedCutoffPerQuery"] == 10737418240
    assert "nothing to change" in account.run("plan")


def test_a_name_that_changes_replaces_and_a_custom_name_cannot(account: Account) -> None:
    """A new workgroup's name replaces it, and the named queries in it, whose old ones are removed at the end."""
    account.run("deploy")
    before = account.resources()
    other = f"{account.name}-2"
    account.run("deploy", f"WorkgroupName={other}")
    groups = {each["Name"] for each in account.client("athena").list_work_groups()["WorkGroups"]}
    assert other in groups
    assert account.name not in groups
    assert len(account.client("athena").list_named_queries(WorkGroup=other)["NamedQueryIds"]) == 13
    after = account.resources()
    changed = {name for name in before if before[name]["PhysicalResourceId"] != after[name]["PhysicalResourceId"]}
    assert changed == {name for name, each in before.items() if each["ResourceType"].startswith("AWS::Athena::")}


def test_redshifts_limit_can_be_changed_alone(account: Account) -> None:
    """No resource of the stack changes with it, only what the stack says of itself."""
    account.run("deploy", "CreateRedshift=true")
    account.run("deploy", "RedshiftRpuHoursPerDay=5")
    assert account.stack().parameters["RedshiftRpuHoursPerDay"] == "5"
    limits = account.client("redshift-serverless").list_usage_limits()["usageLimits"]
    arn = account.stack().outputs["RedshiftWorkgroupArn"]
    assert [each["amount"] for each in limits if each["resourceArn"] == arn] == [5]


def test_destroy_keeps_the_data_and_deploy_takes_it_over(account: Account) -> None:
    account.run("deploy")
    s3 = account.client("s3")
    s3.put_object(Bucket=account.name, Key="warehouse/kept", Body=b"data")
    account.client("glue").create_table(DatabaseName=account.name, TableInput={"Name": "gps"})
    account.run("destroy")
    assert account.stack() is None
    assert s3.get_object(Bucket=account.name, Key="warehouse/kept")["Body"].read() == b"data"
    assert {each["Name"] for each in account.client("glue").get_tables(DatabaseName=account.name)["TableList"]} == {
        "gps"
    }
    account.run("deploy")
    events = account.events(account.stack().stack_id)
    taken = {name for name, status, _ in events if status == "IMPORT_COMPLETE"}
    assert taken == {"LakeBucket", "Database"}
    assert s3.get_object(Bucket=account.name, Key="warehouse/kept")["Body"].read() == b"data"
    account.run("destroy", data=True)
    assert account.name not in {each["Name"] for each in s3.list_buckets()["Buckets"]}


def test_what_was_taken_over_stays_where_the_creation_fails(account: Account) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket=account.name)
    account.client("athena").create_work_group(Name=account.name)
    with pytest.raises(DeploymentError, match="already exists"):
        account.run("deploy")
    assert account.name in {each["Name"] for each in s3.list_buckets()["Buckets"]}


def _told(account: Account) -> dict[str, Any]:
    """What the services tell of a stack's resources."""
    s3, glue, athena = (account.client(each) for each in ("s3", "glue", "athena"))
    iam, redshift, name = account.client("iam"), account.client("redshift-serverless"), account.name
    resources = account.resources()
    roles = [each["PhysicalResourceId"] for each in resources.values() if each["ResourceType"] == "AWS::IAM::Role"]
    identities = athena.list_named_queries(WorkGroup=name)["NamedQueryIds"]
    application = resources["SparkApplication"]["PhysicalResourceId"]
    told = {
        "block": s3.get_public_access_block(Bucket=name),
        "encryption": s3.get_bucket_encryption(Bucket=name),
        "lifecycle": s3.get_bucket_lifecycle_configuration(Bucket=name),
        "versioning": s3.get_bucket_versioning(Bucket=name),
        "ownership": s3.get_bucket_ownership_controls(Bucket=name),
        "policy": s3.get_bucket_policy(Bucket=name),
        "database": glue.get_database(Name=name),
        "tables": glue.get_tables(DatabaseName=name),
        "crawler": glue.get_crawler(Name=f"{name}-marts"),
        "workgroup": athena.get_work_group(WorkGroup=name),
        "queries": athena.batch_get_named_query(NamedQueryIds=identities),
        "policies": {
            role: iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            for role in roles
            for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]
        },
        "trust": {role: iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"] for role in roles},
        "redshift": redshift.get_namespace(namespaceName=name),
        "warehouse": redshift.get_workgroup(workgroupName=name),
        "limits": redshift.list_usage_limits(),
        "spark": account.client("emr-serverless").get_application(applicationId=application),
        "stack": account.client("cloudformation").describe_stacks(StackName=name),
        "resources": resources,
    }
    for each in told.values():
        each.pop("ResponseMetadata", None)
    return told


def test_everything_is_there_after_a_kill(own_endpoints: Any) -> None:
    own_endpoints.start_s3()
    own_endpoints.start_aws()
    account = Account(own_endpoints)
    account.run("deploy", *EVERYTHING)
    before = _told(account)
    assert len(before["policies"]) == len(before["trust"]) == 6
    for process in (own_endpoints.aws, own_endpoints.s3):
        process.kill()
        process.wait()
    own_endpoints.start_s3()
    own_endpoints.start_aws()
    assert _told(account) == before
    assert "nothing to change" in account.run("plan")
    account.run("destroy", data=True)
    assert account.client("iam").list_roles()["Roles"] == []


def test_a_plan_leaves_no_stack(account: Account) -> None:
    assert "LakeBucket" in account.run("plan")
    assert account.stack() is None
    with pytest.raises(StackStateError, match="there is no stack"):
        account.run("status")
