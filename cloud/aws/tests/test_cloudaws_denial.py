"""Each role of the template at an emulator that evaluates policies: what its work needs is answered, the rest refused.

The unchanged template's policies are put at MiniStack, each role is assumed, and real calls are made. MiniStack finds
its own resources for them: S3's buckets and keys with conditions and bucket policy, Glue's database (no table), the
workgroup that a call names. Where it looks at less than AWS does, or has no such service, the same documents are
evaluated by its SimulatePrincipalPolicy for one action and resource. A service as principal is nobody here:
the roles are tried through copies that the account's root may assume.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest

from smartcity.aws.template.load import load_template
from smartcity.aws.template.resolve import Account, resolve
from smartcity.aws.template.text import template_text

Template = dict[str, Any]

TEMPLATE = load_template(template_text())
ROLES = ("Spark", "Crawler", "Analyst", "Redshift", "Dashboard", "Bridge")
REGION = "us-east-1"
CLUSTER = "arn:aws:kafka:us-east-1:{account}:cluster/city/0a1b-2"
WORKGROUP = "arn:aws:redshift-serverless:us-east-1:{account}:workgroup/0a1b-3"
_SESSION = boto3.Session(region_name=REGION)
_ACCOUNTS = itertools.count(111_122_220_000)

# g: GetObject, p: PutObject, d: DeleteObject, l: ListObjectsV2 with this prefix. What is not there is refused.
OBJECTS = """
              warehouse warehouse/smartcity.db/gps warehouse/smartcity.db/vehicle frames marts checkpoints dead-letters
    Spark     gpdl      gpdl                       gpdl                           gpdl   gpdl  gpdl        gpdl
    Crawler   -         -                          -                              -      gl    -           -
    Analyst   gl        gl                         gl                             gl     gl    -           -
    Redshift  gl        gl                         gl                             -      gl    -           -
    Dashboard -         gl                         -                              -      gl    -           -
    Bridge    -         -                          -                              -      -     -           -

              code logs athena-results warehouse-other
    Spark     gl   gpl  -              -
    Crawler   -    -    -              -
    Analyst   -    -    gpl            -
    Redshift  -    -    -              -
    Dashboard -    -    gpl            -
    Bridge    -    -    -              -
"""

# What a role is answered besides: a real call, or (with a colon) an action that is simulated on a resource.
MAY = {
    "Spark": (
        ("s3.head_bucket", {}),
        ("s3.get_bucket_location", {}),
        ("s3.list_multipart_uploads", {}),
        ("s3.create_multipart_upload", {"Key": "warehouse/x"}),
        ("glue.get_tables", {"DatabaseName": "smartcity"}),
        ("glue.create_table", {"DatabaseName": "smartcity", "TableInput": {"Name": "obd"}}),
        ("glue.update_table", {"DatabaseName": "smartcity", "TableInput": {"Name": "gps"}}),
        ("glue:UpdateTable", "glue:{region}:{account}:table/smartcity/gps"),
        ("glue:GetDatabase", "glue:{region}:{account}:database/smartcity"),
    ),
    "Crawler": (
        ("s3.get_bucket_location", {}),
        ("glue.get_table", {"DatabaseName": "smartcity", "Name": "city_hours"}),
        ("glue.get_partitions", {"DatabaseName": "smartcity", "TableName": "city_hours"}),
        (
            "glue.batch_create_partition",
            {
                "DatabaseName": "smartcity",
                "TableName": "city_hours",
                "PartitionInputList": [{"Values": ["2026-11-21"]}],
            },
        ),
        ("glue:BatchCreatePartition", "glue:{region}:{account}:table/smartcity/city_hours"),
        ("logs.create_log_group", {"logGroupName": "/aws-glue/crawlers"}),
        ("logs.create_log_stream", {"logGroupName": "/aws-glue/crawlers", "logStreamName": "marts"}),
    ),
    "Analyst": (
        ("s3.get_bucket_location", {}),
        ("athena.get_work_group", {"WorkGroup": "smartcity"}),
        ("athena.start_query_execution", {"WorkGroup": "smartcity", "QueryString": "SELECT 1"}),
        ("athena.list_named_queries", {"WorkGroup": "smartcity"}),
        ("athena:GetQueryResults", "athena:{region}:{account}:workgroup/smartcity"),
        ("glue.get_table", {"DatabaseName": "smartcity", "Name": "gps"}),
        ("glue:GetTable", "glue:{region}:{account}:table/smartcity/gps"),
        ("redshift-data:ExecuteStatement", "{workgroup}"),
        ("redshift-serverless:GetCredentials", "{workgroup}"),
    ),
    "Redshift": (
        ("s3.get_bucket_location", {}),
        ("glue.get_partitions", {"DatabaseName": "smartcity", "TableName": "city_hours"}),
        ("glue:GetTable", "glue:{region}:{account}:table/smartcity/gps"),
    ),
    "Dashboard": (
        ("s3.get_bucket_location", {}),
        ("athena.start_query_execution", {"WorkGroup": "smartcity", "QueryString": "SELECT 1"}),
        ("athena:GetQueryResults", "athena:{region}:{account}:workgroup/smartcity"),
        ("glue:GetTable", "glue:{region}:{account}:table/smartcity/city_hours"),
        ("glue:GetTable", "glue:{region}:{account}:table/smartcity/gps"),
    ),
    "Bridge": (
        ("kafka-cluster:Connect", "{cluster}"),
        ("kafka-cluster:WriteDataIdempotently", "{cluster}"),
        ("kafka-cluster:WriteData", "{topic}/gps_data"),
        ("kafka-cluster:WriteData", "{topic}/dead_letters"),
    ),
}

# What nobody is answered, who is not named in the third place.
MAY_NOT: tuple[tuple[str, Any, str], ...] = (
    ("s3.put_bucket_policy", {"Policy": '{"Version": "2012-10-17", "Statement": []}'}, ""),
    ("s3.delete_bucket_policy", {}, ""),
    ("s3.delete_public_access_block", {}, ""),
    ("s3.put_bucket_acl", {"ACL": "private"}, ""),
    ("s3.put_object_acl", {"Key": "marts/x", "ACL": "private"}, ""),
    ("s3.put_bucket_versioning", {"VersioningConfiguration": {"Status": "Suspended"}}, ""),
    ("s3.put_bucket_lifecycle_configuration", {"LifecycleConfiguration": {"Rules": []}}, ""),
    ("s3.delete_bucket", {}, ""),
    ("s3.delete_object", {"Key": "marts/x", "VersionId": "1"}, ""),
    ("s3.list_object_versions", {"Prefix": "marts/"}, ""),
    ("s3.list_objects_v2", {}, "Spark"),
    ("s3.list_buckets", {}, ""),
    ("s3.get_object", {"Bucket": "{bucket}-other", "Key": "marts/x"}, ""),
    ("s3.copy_object", {"Key": "marts/x", "CopySource": "{bucket}-other/marts/x"}, ""),
    ("iam.create_user", {"UserName": "me"}, ""),
    ("iam.put_role_policy", {"RoleName": "{role}", "PolicyName": "more", "PolicyDocument": "{}"}, ""),
    ("iam.update_assume_role_policy", {"RoleName": "{role}", "PolicyDocument": "{}"}, ""),
    ("iam:PassRole", "iam::{account}:role/{role}", ""),
    ("sts.assume_role", {"RoleArn": "arn:aws:iam::{account}:role/Analyst", "RoleSessionName": "me"}, "Analyst"),
    ("sts.assume_role", {"RoleArn": "arn:aws:iam::{account}:role/Spark", "RoleSessionName": "me"}, ""),
    ("cloudformation.delete_stack", {"StackName": "smartcity"}, ""),
    ("glue.create_table", {"DatabaseName": "smartcity", "TableInput": {"Name": "mine"}}, "Spark"),
    ("glue.update_table", {"DatabaseName": "smartcity", "TableInput": {"Name": "gps"}}, "Spark Crawler"),
    ("glue:UpdateTable", "glue:{region}:{account}:table/smartcity/gps", "Spark"),
    ("glue:GetTable", "glue:{region}:{account}:table/smartcity/gps", "Spark Analyst Redshift Dashboard"),
    ("glue:GetTable", "glue:{region}:{account}:table/smartcity/vehicle", "Spark Analyst Redshift"),
    ("glue:GetTable", "glue:{region}:{account}:table/smartcity_other/gps", ""),
    ("glue:BatchCreatePartition", "glue:{region}:{account}:table/smartcity/city_hours", "Crawler"),
    ("glue.get_tables", {"DatabaseName": "smartcity_other"}, ""),
    ("athena.start_query_execution", {"WorkGroup": "other", "QueryString": "SELECT 1"}, ""),
    ("athena.start_query_execution", {"WorkGroup": "smartcity", "QueryString": "SELECT 1"}, "Analyst Dashboard"),
    ("athena.update_work_group", {"WorkGroup": "smartcity", "Description": "mine"}, ""),
    ("athena:CreateNamedQuery", "athena:{region}:{account}:workgroup/smartcity", ""),
    ("logs.create_log_group", {"logGroupName": "/aws-other/x"}, ""),
    ("redshift-data:ExecuteStatement", "{workgroup}", "Analyst"),
    ("redshift-data:ExecuteStatement", "{workgroup}-other", ""),
    ("redshift-data:BatchExecuteStatement", "{workgroup}", ""),
    ("redshift-data:GetStatementResult", "*", ""),
    ("redshift-serverless:UpdateWorkgroup", "{workgroup}", ""),
    ("kafka-cluster:WriteData", "{topic}/gps_data", "Bridge"),
    ("kafka-cluster:WriteData", "{topic}/others", ""),
    ("kafka-cluster:ReadData", "{topic}/gps_data", ""),
    ("kafka-cluster:DeleteTopic", "{topic}/gps_data", ""),
    ("quicksight:UpdateDashboard", "quicksight:{region}:{account}:dashboard/smartcity", ""),
    ("emr-serverless:StartJobRun", "emr-serverless:{region}:{account}:/applications/1", ""),
    ("glue.delete_table", {"DatabaseName": "smartcity", "Name": "gps"}, ""),
    ("glue.delete_database", {"Name": "smartcity"}, ""),
    ("athena.delete_work_group", {"WorkGroup": "smartcity"}, ""),
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An account of its own at the emulator, with a template's bucket, tables, workgroup and roles."""

    address: str
    template: Template
    analyst: str = ""
    account: str = field(default_factory=lambda: str(next(_ACCOUNTS)))

    @property
    def words(self) -> dict[str, str]:
        cluster = CLUSTER.format(account=self.account)
        return {
            "account": self.account,
            "region": REGION,
            "bucket": f"lake-{self.account}",
            "cluster": cluster,
            "topic": cluster.replace(":cluster/", ":topic/"),
            "workgroup": WORKGROUP.format(account=self.account),
        }

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        words = self.words
        known = {
            "LakeBucket": words["bucket"],
            "LakeBucket.Arn": f"arn:aws:s3:::{words['bucket']}",
            "Database": "smartcity",
            "Workgroup": "smartcity",
            "RedshiftWorkgroup.Workgroup.WorkgroupArn": words["workgroup"],
        }
        parameters = {
            "BucketName": words["bucket"],
            "MskClusterArn": words["cluster"],
            "CreateRedshift": "true",
            "AnalystPrincipalArn": self.analyst,
        }
        account = Account(account=self.account, region=REGION, parameters=parameters, known=known)
        wanted = ("AWS::IAM::Role", "AWS::S3::Bucket", "AWS::S3::BucketPolicy")
        chosen = {name: each for name, each in self.template["Resources"].items() if each["Type"] in wanted}
        return resolve({**self.template, "Resources": chosen}, account)

    def role(self, name: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.resources[f"{name}Role"]["Properties"]
        return properties

    @cached_property
    def root(self) -> Callable[[str], Any]:
        return self._clients({"aws_access_key_id": self.account, "aws_secret_access_key": "root"})

    def _clients(self, keys: dict[str, str], *, tls: bool = True) -> Callable[[str], Any]:
        made: dict[str, Any] = {}

        def client(service: str) -> Any:
            if service not in made:
                config = botocore.config.Config(
                    retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=30
                )
                made[service] = _SESSION.client(service, endpoint_url=self.address, config=config, **keys)
                if tls:  # As a proxy that ends TLS says it: the bucket's policy refuses what came without.
                    made[service].meta.events.register("before-sign.*.*", _came_by_tls)
            return made[service]

        return client

    def build(self) -> Stage:
        bucket, s3 = self.words["bucket"], self.root("s3")
        for name in (bucket, f"{bucket}-other"):
            s3.create_bucket(Bucket=name)
            s3.put_object(Bucket=name, Key="marts/x", Body=b"1")
        for prefix in _objects()["Spark"]:
            s3.put_object(Bucket=bucket, Key=f"{prefix}/x", Body=b"1")
        policy = self.resources["LakeBucketPolicy"]["Properties"]["PolicyDocument"]
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        blocked = self.resources["LakeBucket"]["Properties"]["PublicAccessBlockConfiguration"]
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=blocked)
        glue = self.root("glue")
        for database in ("smartcity", "smartcity_other"):
            glue.create_database(DatabaseInput={"Name": database})
        for table in ("gps", "city_hours"):
            keys = [{"Name": "dt", "Type": "string"}]
            glue.create_table(DatabaseName="smartcity", TableInput={"Name": table, "PartitionKeys": keys})
        place = {"ResultConfiguration": {"OutputLocation": f"s3://{bucket}/athena-results/"}}
        for group in ("smartcity", "other"):
            self.root("athena").create_work_group(Name=group, Configuration=place)
        iam = self.root("iam")
        for name in ROLES:
            trust = self.role(name)["AssumeRolePolicyDocument"]
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
            tried = _statement("sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::{self.account}:root"})
            iam.create_role(RoleName=f"{name}-tried", AssumeRolePolicyDocument=json.dumps(tried))
            for policy in self.role(name)["Policies"]:
                document = json.dumps(policy["PolicyDocument"])
                iam.put_role_policy(RoleName=f"{name}-tried", PolicyName=policy["PolicyName"], PolicyDocument=document)
        return self

    def assume(self, role: str, *, tls: bool = True) -> Callable[[str], Any]:
        arn = f"arn:aws:iam::{self.account}:role/{role}-tried"
        given = self.root("sts").assume_role(RoleArn=arn, RoleSessionName="tried")["Credentials"]
        return self._clients(_keys(given), tls=tls)

    def user(self, name: str, *, policy: dict[str, Any] | None = None) -> Callable[[str], Any]:
        iam = self.root("iam")
        iam.create_user(UserName=name)
        if policy:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
        return self._clients(_keys(iam.create_access_key(UserName=name)["AccessKey"]))

    def is_answered(self, role: str, clients: Callable[[str], Any], call: str, given: Any) -> bool:
        words = {**self.words, "role": f"{role}-tried"}
        if ":" in call:
            resource = _filled(given, words)
            resource = resource if resource.startswith(("arn:", "*")) else f"arn:aws:{resource}"
            source = f"arn:aws:iam::{self.account}:role/{role}-tried"
            simulate = self.root("iam").simulate_principal_policy
            found = simulate(PolicySourceArn=source, ActionNames=[call], ResourceArns=[resource])
            return bool(found["EvaluationResults"][0]["EvalDecision"] == "allowed")
        service, operation = call.split(".")
        arguments = {key: _filled(value, words) for key, value in given.items()}
        if service == "s3" and operation != "list_buckets":
            arguments.setdefault("Bucket", words["bucket"])
        return _is_answered(getattr(clients(service), operation), arguments)


_ALLOWED_ALL_THE_SAME = (
    "AccessControlListNotSupported",
    "BucketNotEmpty",
    "MalformedXML",
    "MalformedPolicyDocument",
    "NoSuchVersion",
)
"""What is answered to who may, where the call is one that nobody should be able to make."""


def _came_by_tls(request: Any, **_: Any) -> None:
    request.headers["x-forwarded-proto"] = "https"


def _filled(value: Any, words: dict[str, str]) -> Any:
    """The words in braces replaced; other braces stay."""
    return re.sub(r"\{(\w+)\}", lambda found: words[found[1]], value) if isinstance(value, str) else value


def _keys(given: dict[str, Any]) -> dict[str, str]:
    keys = {"aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"]}
    return {**keys, "aws_session_token": given["SessionToken"]} if "SessionToken" in given else keys


def _is_answered(call: Callable[..., Any], arguments: dict[str, Any]) -> bool:
    """False for AccessDenied; another error that was not foreseen is the test's."""
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("AccessDenied", "AccessDeniedException") or (code == "403" and call.__name__.startswith("head")):
            return False
        if code not in _ALLOWED_ALL_THE_SAME:
            raise
    return True


def _public_policy() -> dict[str, Any]:
    return _statement("s3:GetObject", Principal="*", Resource="arn:aws:s3:::BUCKET/*")


def _statement(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), **more}]}


def _objects() -> dict[str, dict[str, str]]:
    """The tables of objects: role, prefix, letters."""
    found: dict[str, dict[str, str]] = {role: {} for role in ROLES}
    for part in OBJECTS.split("\n\n"):
        head, *lines = (line.split() for line in part.strip().splitlines())
        for role, *cells in lines:
            found[role] |= dict(zip(head, cells, strict=True))
    return found


def _letters(stage: Stage, role: str, clients: Callable[[str], Any], prefix: str) -> str:
    """What is answered under a prefix; the object stays."""
    calls = {
        "g": ("s3.get_object", {"Key": f"{prefix}/x"}),
        "p": ("s3.put_object", {"Key": f"{prefix}/x", "Body": b"2"}),
        "d": ("s3.delete_object", {"Key": f"{prefix}/gone"}),
        "l": ("s3.list_objects_v2", {"Prefix": f"{prefix}/"}),
    }
    found = [letter for letter, call in calls.items() if stage.is_answered(role, clients, *call)]
    return "".join(found) or "-"


def differences(stage: Stage, role: str) -> Iterator[str]:
    """Where a role is answered or refused otherwise than the tables say."""
    clients = stage.assume(role)
    for prefix, wanted in _objects()[role].items():
        found = _letters(stage, role, clients, prefix)
        if found != wanted:
            yield f"{role}: {found} under {prefix}/, not {wanted}"
    for call, given in MAY[role]:
        if not stage.is_answered(role, clients, call, given):
            yield f"{role}: is refused {call} {given}"
    for call, given, others in MAY_NOT:
        if role not in others.split() and stage.is_answered(role, clients, call, given):
            yield f"{role}: is answered {call} {given}"


@pytest.fixture(scope="module")
def stage(refusing_aws: str) -> Stage:
    return Stage(address=refusing_aws, template=TEMPLATE).build()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_its_work_and_nothing_else(stage: Stage, role: str) -> None:
    assert list(differences(stage, role)) == []


def test_the_bucket_refuses_every_role_without_tls(stage: Stage) -> None:
    """Bucket policy. The emulator knows no TLS version, so that the second statement decides nothing here."""
    for role in ROLES:
        clients = stage.assume(role, tls=False)
        assert {_letters(stage, role, clients, prefix) for prefix in _objects()[role]} == {"-"}


PUBLIC = {
    "a public policy": ("put_bucket_policy", {"Policy": json.dumps(_public_policy())}),
    "a public list": ("put_bucket_acl", {"ACL": "public-read"}),
    "a public object": ("put_object_acl", {"Key": "marts/x", "ACL": "public-read"}),
}


@pytest.mark.parametrize("what", PUBLIC)
def test_nobody_makes_the_bucket_public_not_even_the_root(stage: Stage, what: str) -> None:
    assert not _made_public(stage, what)


def _made_public(stage: Stage, what: str) -> bool:
    call, given = PUBLIC[what]
    given = json.loads(json.dumps(given).replace("BUCKET", stage.words["bucket"]))
    return _is_answered(getattr(stage.root("s3"), call), {"Bucket": stage.words["bucket"], **given})


def test_an_analyst_follows_only_statements_of_redshift_that_are_hers(stage: Stage) -> None:
    """The emulator knows no owner of a statement: with the condition it refuses, without it would allow all."""
    own = next(each for each in stage.role("Analyst")["Policies"] if each["PolicyName"] == "ask-redshift")
    followed = own["PolicyDocument"]["Statement"][1]
    assert followed["Condition"] == {
        "StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"},
    }
    unconditioned = {key: value for key, value in followed.items() if key != "Condition"}
    for statement, decision in ((followed, "implicitDeny"), (unconditioned, "allowed")):
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        found = stage.root("iam").simulate_custom_policy(
            PolicyInputList=[document], ActionNames=list(followed["Action"]), ResourceArns=["*"]
        )
        assert {each["EvalDecision"] for each in found["EvaluationResults"]} == {decision}


# ---- Who may assume which role.

SERVICES = {
    "Spark": {"emr-serverless.amazonaws.com": True},
    "Crawler": {"glue.amazonaws.com": False},
    "Redshift": {"redshift.amazonaws.com": False, "redshift-serverless.amazonaws.com": False},
    "Dashboard": {"quicksight.amazonaws.com": False},
    "Bridge": {"ec2.amazonaws.com": False, "ecs-tasks.amazonaws.com": True},
}
"""And whether for this account's resources only (`aws:SourceAccount`): where AWS documents that the service says it."""


@pytest.mark.parametrize("role", SERVICES)
def test_a_service_s_role_trusts_that_service_alone(stage: Stage, role: str) -> None:
    found = {}
    for statement in stage.role(role)["AssumeRolePolicyDocument"]["Statement"]:
        assert (statement["Effect"], statement["Action"], list(statement["Principal"])) == (
            "Allow",
            "sts:AssumeRole",
            ["Service"],
        )
        services = statement["Principal"]["Service"]
        own = statement.get("Condition") == {"StringEquals": {"aws:SourceAccount": stage.account}}
        assert own or "Condition" not in statement
        found |= dict.fromkeys([services] if isinstance(services, str) else services, own)
    assert found == SERVICES[role]


def _assumed(clients: Callable[[str], Any], account: str) -> set[str]:
    call = clients("sts").assume_role
    return {
        role
        for role in ROLES
        if _is_answered(call, {"RoleArn": f"arn:aws:iam::{account}:role/{role}", "RoleSessionName": "me"})
    }


def test_people_may_take_the_analysts_role_only_and_need_leave_for_it(stage: Stage, refusing_aws: str) -> None:
    allowed = _statement("sts:AssumeRole", Resource="*")
    other = Stage(address=refusing_aws, template=TEMPLATE)
    assert _assumed(stage.user("with-leave", policy=allowed), stage.account) == {"Analyst"}
    assert _assumed(stage.user("without-leave"), stage.account) == set()
    assert _assumed(other.user("of-another-account", policy=allowed), stage.account) == set()


def test_a_named_analyst_is_the_only_one(refusing_aws: str) -> None:
    allowed = _statement("sts:AssumeRole", Resource="*")
    account = str(next(_ACCOUNTS))
    named = f"arn:aws:iam::{account}:user/ada"
    stage = Stage(address=refusing_aws, template=TEMPLATE, account=account, analyst=named).build()
    assert _assumed(stage.user("ada", policy=allowed), account) == {"Analyst"}
    assert _assumed(stage.user("eve", policy=allowed), account) == set()


# ---- Seeded mistakes: each changes one statement, and is seen as what somebody may do then.


def _find(template: Template, role: str, sid: str) -> dict[str, Any]:
    for policy in template["Resources"][f"{role}Role"]["Properties"]["Policies"]:
        for each in policy.get("Fn::If", [None, policy])[1]["PolicyDocument"]["Statement"]:
            if each["Sid"] == sid:
                found: dict[str, Any] = each
                return found
    raise AssertionError(f"{role} has no statement {sid}")


def _widen(role: str, sid: str, resource: str) -> Callable[[Template], None]:
    return lambda template: _find(template, role, sid).update(Resource={"Fn::Sub": resource})


def _actions(role: str, sid: str, *actions: str) -> Callable[[Template], None]:
    return lambda template: _find(template, role, sid).update(Action=list(actions))


SEEDED: dict[str, tuple[str, Callable[[Template], Any], set[str]]] = {
    "a resource widened to the bucket": (
        "Dashboard",
        _widen("Dashboard", "ReadMartsAndStreams", "${LakeBucket.Arn}/*"),
        {f"under {each}/" for each, letters in _objects()["Dashboard"].items() if letters == "-"},
    ),
    "a prefix without its slash": (
        "Spark",
        lambda template: _find(template, "Spark", "WriteTheLake")["Resource"].append(
            {"Fn::Sub": "${LakeBucket.Arn}/warehouse*"}
        ),
        {"Spark: gpd under warehouse-other/"},
    ),
    "a table of all": (
        "Dashboard",
        _widen("Dashboard", "ReadTheCatalog", "arn:aws:glue:us-east-1:${AWS::AccountId}:*"),
        {"is answered glue:GetTable", "is answered glue.get_tables"},
    ),
    "an extra action on objects": (
        "Crawler",
        _actions("Crawler", "ReadMarts", "s3:GetObject", "s3:PutObject"),
        {"Crawler: gpl under marts/"},
    ),
    "an extra action on the bucket": (
        "Analyst",
        _actions("Analyst", "FindTheBucket", "s3:GetBucketLocation", "s3:PutBucketAcl", "s3:PutBucketPolicy"),
        {"is answered s3.put_bucket_acl", "is answered s3.put_bucket_policy"},
    ),
    "an extra action on topics": (
        "Bridge",
        _actions(
            "Bridge", "Produce", "kafka-cluster:DescribeTopic", "kafka-cluster:WriteData", "kafka-cluster:ReadData"
        ),
        {"is answered kafka-cluster:ReadData"},
    ),
    "a missing action on objects": (
        "Spark",
        _actions("Spark", "WriteTheLake", "s3:GetObject", "s3:PutObject"),
        {f"Spark: gpl under {each}/" for each, letters in _objects()["Spark"].items() if letters == "gpdl"},
    ),
    "a missing action on tables": (
        "Spark",
        _actions("Spark", "CommitTables", "glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:CreateTable"),
        {"is refused glue.update_table", "is refused glue:UpdateTable"},
    ),
    "a list without its condition": (
        "Redshift",
        lambda template: _find(template, "Redshift", "ListTheLake").pop("Condition"),
        {f"Redshift: l under {each}/" for each, letters in _objects()["Redshift"].items() if letters == "-"}
        | {"is answered s3.list_objects_v2"},
    ),
    "a role that may do anything": (
        "Bridge",
        lambda template: _find(template, "Bridge", "Connect").update(Action="*", Resource="*"),
        {f"is answered {call}" for call, _, _ in MAY_NOT} | {"under "},
    ),
    "statements of others": (
        "Analyst",
        lambda template: _find(template, "Analyst", "FollowItsOwn").pop("Condition"),
        {"is answered redshift-data:GetStatementResult"},
    ),
}


def _unexplained(found: Iterable[str], parts: set[str]) -> tuple[list[str], list[str]]:
    """Differences that no part explains, and parts that no difference has."""
    listed = list(found)
    return (
        [each for each in listed if not any(part in each for part in parts)],
        [part for part in parts if not any(part in each for each in listed)],
    )


@pytest.mark.parametrize("mistake", SEEDED)
def test_a_seeded_mistake_is_seen(refusing_aws: str, mistake: str) -> None:
    role, seed, parts = SEEDED[mistake]
    template = copy.deepcopy(TEMPLATE)
    seed(template)
    stage = Stage(address=refusing_aws, template=template).build()
    assert _unexplained(differences(stage, role), parts) == ([], [])


def test_a_role_for_everybody_is_seen(refusing_aws: str) -> None:
    template = copy.deepcopy(TEMPLATE)
    trust = template["Resources"]["DashboardRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    trust["Principal"] = {"AWS": "*"}
    stage = Stage(address=refusing_aws, template=template).build()
    anybody = stage.user("anybody", policy=_statement("sts:AssumeRole", Resource="*"))
    assert _assumed(anybody, stage.account) == {"Analyst", "Dashboard"}


def test_a_bucket_without_its_policy_is_seen(refusing_aws: str) -> None:
    template = copy.deepcopy(TEMPLATE)
    template["Resources"]["LakeBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"].pop(0)
    stage = Stage(address=refusing_aws, template=template).build()
    assert _letters(stage, "Analyst", stage.assume("Analyst", tls=False), "marts") == "gl"


@pytest.mark.parametrize("what", PUBLIC)
def test_a_bucket_that_may_be_made_public_is_seen(refusing_aws: str, what: str) -> None:
    template = copy.deepcopy(TEMPLATE)
    properties = template["Resources"]["LakeBucket"]["Properties"]
    properties["PublicAccessBlockConfiguration"] |= {"BlockPublicPolicy": False, "BlockPublicAcls": False}
    assert _made_public(Stage(address=refusing_aws, template=template).build(), what)
