"""What cfn-lint does not check of the template: least privilege, a closed and encrypted bucket, ids that exist, and the
contract's columns in the marts' tables. Each function returns sentences, one per finding; none is good. QuickSight's
part is in `check_data_sets` and `check_dashboard`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from smartcity.contracts.marts import MARTS, PARTITION_COLUMN, Mart
from smartcity.contracts.render.glue import glue_columns

from .check_dashboard import dashboard_findings
from .check_data_sets import data_set_findings

_NAMES = re.compile(r"\$\{([^!}][^}]*)\}")
_OWN_STATEMENTS = {"StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}}
"""Where an action knows no resource, as those on statements of Redshift's Data API: the caller's own."""
_PREFIXED = re.compile(r"\$\{LakeBucket\.Arn\}/[a-z-]+/([^*]+/)?\*")
_PUBLIC_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def findings(template: dict[str, Any], marts: Sequence[Mart] = MARTS) -> list[str]:
    """All of them."""
    return [
        *roles(template),
        *buckets(template),
        *ids(template),
        *mart_tables(template, marts),
        *data_set_findings(template, marts),
        *dashboard_findings(template),
    ]


def roles(template: dict[str, Any]) -> list[str]:
    """No role may do `*`, all of a service, or on everything, or be taken by everybody. Its policies stand with it."""
    found = [
        f"{name}: give a policy to its role in Policies, where it is checked"
        for kind in ("Policy", "RolePolicy", "ManagedPolicy")
        for name, _ in _of_type(template, f"AWS::IAM::{kind}")
    ]
    for name, role in _of_type(template, "AWS::IAM::Role"):
        for policy in _policies(role):
            for statement in _statements(policy["PolicyDocument"]):
                found += [f"{name}: {sentence}" for sentence in _excess(statement)]
        if role.get("ManagedPolicyArns"):
            found.append(f"{name}: has managed policies, whose actions nobody checks here")
        for statement in _statements(role["AssumeRolePolicyDocument"]):
            if statement.get("Principal") in ("*", {"AWS": "*"}):
                found.append(f"{name}: everybody may take this role")
    return found


def _policies(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All of a role's, whatever they are conditioned on."""
    for policy in role.get("Policies", []):
        branches = policy["Fn::If"][1:] if "Fn::If" in policy else [policy]
        yield from (each for each in branches if each != {"Ref": "AWS::NoValue"})


def _excess(statement: dict[str, Any]) -> Iterator[str]:
    if statement.get("Effect") != "Allow":
        return
    if "NotAction" in statement or "NotResource" in statement:
        yield "allows by exception (NotAction, NotResource)"
    for action in _listed(statement.get("Action", [])):
        if action == "*" or action.endswith(":*"):
            yield f"allows the action {action}"
        if action.startswith("s3:") and "Object" in action:
            yield from (f"{action} on all of {each}" for each in _unscoped(statement))
    if "*" in _listed(statement.get("Resource", [])) and statement.get("Condition") != _OWN_STATEMENTS:
        yield f"allows {', '.join(_listed(statement['Action']))} on every resource"


def _unscoped(statement: dict[str, Any]) -> list[str]:
    """Resources of object actions that have no key prefix."""
    texts = [each.get("Fn::Sub", "") if isinstance(each, dict) else each for each in _listed(statement["Resource"])]
    return [text or "a bucket" for text in texts if not _PREFIXED.fullmatch(str(text))]


def buckets(template: dict[str, Any]) -> list[str]:
    """Every bucket blocks public access, is encrypted and versioned, and refuses what comes without TLS."""
    found = []
    for name, bucket in _of_type(template, "AWS::S3::Bucket"):
        blocks = bucket.get("PublicAccessBlockConfiguration", {})
        if not all(blocks.get(each) is True for each in _PUBLIC_BLOCKS) or "AccessControl" in bucket:
            found.append(f"{name}: public access is not blocked")
        if not bucket.get("BucketEncryption"):
            found.append(f"{name}: is not encrypted")
        if bucket.get("VersioningConfiguration", {}).get("Status") != "Enabled":
            found.append(f"{name}: has no versions")
        if not any(_tls_only(policy, name) for _, policy in _of_type(template, "AWS::S3::BucketPolicy")):
            found.append(f"{name}: no policy refuses requests without TLS")
    for name, policy in _of_type(template, "AWS::S3::BucketPolicy"):
        for statement in _statements(policy["PolicyDocument"]):
            if statement["Effect"] == "Allow" and statement.get("Principal") in ("*", {"AWS": "*"}):
                found.append(f"{name}: allows everybody something")
    return found


def _tls_only(policy: dict[str, Any], bucket: str) -> bool:
    whole = [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}]
    return policy["Bucket"] == {"Ref": bucket} and any(
        statement["Effect"] == "Deny"
        and statement.get("Principal") == "*"
        and statement["Action"] == "s3:*"
        and statement["Resource"] == whole
        and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in _statements(policy["PolicyDocument"])
    )


def ids(template: dict[str, Any]) -> list[str]:
    """Every Ref, GetAtt, Sub, If and Condition names something that is there."""
    resources, conditions = template["Resources"], template.get("Conditions", {})
    known = {*resources, *template.get("Parameters", {})}
    found = []
    for place in ("Conditions", "Resources", "Outputs"):
        for name, part in template.get(place, {}).items():
            for kind, target in _references(part):
                if kind == "condition" and target not in conditions:
                    found.append(f"{name}: there is no condition {target}")
                if kind == "id" and not target.startswith("AWS::") and target not in known:
                    found.append(f"{name}: there is no parameter or resource {target}")
                if kind == "attribute" and target not in resources:
                    found.append(f"{name}: there is no resource {target}")
    return found


def _references(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _references(each)
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key == "Ref":
            yield "id", inner
        elif key == "Fn::GetAtt":
            yield "attribute", inner[0]
        elif key == "Fn::Sub":
            yield from _substituted(inner)
        else:
            if key == "Fn::If":
                yield "condition", inner[0]
            if key == "Condition" and isinstance(inner, str):
                yield "condition", inner
            if key == "DependsOn":
                yield from (("attribute", each) for each in _listed(inner))
            yield from _references(inner)


def _substituted(value: Any) -> Iterator[tuple[str, str]]:
    text, own = (value, {}) if isinstance(value, str) else value
    for name in _NAMES.findall(text):
        if name not in own:
            yield ("attribute", name.split(".")[0]) if "." in name else ("id", name)
    yield from _references(own)


def mart_tables(template: dict[str, Any], marts: Sequence[Mart] = MARTS) -> list[str]:
    """Every mart has a table with the contract's columns and types, under its prefix, and the crawler visits it."""
    tables = {table["TableInput"]["Name"]: (name, table) for name, table in _of_type(template, "AWS::Glue::Table")}
    visited = [
        each
        for _, crawler in _of_type(template, "AWS::Glue::Crawler")
        for target in crawler["Targets"].get("CatalogTargets", [])
        for each in target["Tables"]
    ]
    found = [f"{name}: no mart of the contract" for name in tables.keys() - {mart.name for mart in marts}]
    for mart in marts:
        if mart.name not in tables:
            found.append(f"the mart {mart.name} has no table")
            continue
        name, table = tables[mart.name]
        storage = table["TableInput"]["StorageDescriptor"]
        there = {each["Name"]: each["Type"] for each in storage["Columns"]}
        wanted = {each["Name"]: each["Type"] for each in glue_columns(mart.columns)}
        found += [f"{name}: lacks the column {each} of the contract" for each in wanted.keys() - there.keys()]
        found += [f"{name}: the contract has no column {each}" for each in there.keys() - wanted.keys()]
        found += [
            f"{name}: {each} is {there[each]}, in the contract {wanted[each]}"
            for each in wanted.keys() & there.keys()
            if wanted[each] != there[each]
        ]
        if [each["Name"] for each in table["TableInput"]["PartitionKeys"]] != [PARTITION_COLUMN]:
            found.append(f"{name}: is not partitioned by {PARTITION_COLUMN}")
        if storage["Location"] != {"Fn::Sub": f"s3://${{LakeBucket}}/{mart.prefix}"}:
            found.append(f"{name}: lies elsewhere than under {mart.prefix}")
        if {"Ref": name} not in visited:
            found.append(f"{name}: no crawler visits it")
    return found


def _of_type(template: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield name, resource.get("Properties", {})


def _statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    return _listed(document["Statement"])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
