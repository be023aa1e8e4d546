"""AWS::IAM::Role and Policy, which moto keeps: recorded and not enforced. After a restart they are made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import botocore.exceptions

from .kinds import Kind, Made, PropertyError, Wanted, code_of

_RECORDED = "Recorded by the local AWS endpoint: no request is refused for lack of a permission"


class _OfIam(Kind):
    service = "iam"
    absent = ("NoSuchEntity",)
    in_memory = True
    recorded = _RECORDED


class Role(_OfIam):
    """Its inline policies and attached managed policies are those of the template, and no others."""

    name = "AWS::IAM::Role"
    required = frozenset({"AssumeRolePolicyDocument"})
    properties = frozenset(
        {
            "AssumeRolePolicyDocument", "Description", "ManagedPolicyArns", "MaxSessionDuration", "Path", "Policies",
            "RoleName", "Tags",
        }
    )  # fmt: skip
    create_only = frozenset({"Path", "RoleName"})

    def identity(self, wanted: Wanted) -> str:
        return str(wanted.properties.get("RoleName") or wanted.name)

    def exists(self, physical_id: str) -> bool:
        return self.is_there("GetRole", {"RoleName": physical_id})

    def create(self, wanted: Wanted) -> Made:
        name = self.identity(wanted)
        kept = ("Description", "MaxSessionDuration", "Path", "Tags")
        given = {key: wanted.properties[key] for key in kept if key in wanted.properties}
        document = json.dumps(wanted.properties["AssumeRolePolicyDocument"])
        self.call("CreateRole", {**given, "RoleName": name, "AssumeRolePolicyDocument": document})
        return self._with_policies(name, wanted.properties)

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        document = json.dumps(wanted.properties["AssumeRolePolicyDocument"])
        self.call("UpdateAssumeRolePolicy", {"RoleName": physical_id, "PolicyDocument": document})
        description = wanted.properties.get("Description", "")
        duration = wanted.properties.get("MaxSessionDuration", 3600)
        self.call("UpdateRole", {"RoleName": physical_id, "Description": description, "MaxSessionDuration": duration})
        tags = {each["Key"] for each in wanted.properties.get("Tags", [])}
        gone = [each["Key"] for each in before.get("Tags", []) if each["Key"] not in tags]
        if gone:
            self.call("UntagRole", {"RoleName": physical_id, "TagKeys": gone})
        if tags:
            self.call("TagRole", {"RoleName": physical_id, "Tags": wanted.properties["Tags"]})
        return self._with_policies(physical_id, wanted.properties)

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        if self.exists(physical_id):
            self._with_policies(physical_id, {})
            self.remove("DeleteRole", {"RoleName": physical_id})

    def _with_policies(self, name: str, properties: Mapping[str, Any]) -> Made:
        wanted = {each["PolicyName"]: each["PolicyDocument"] for each in properties.get("Policies", [])}
        for policy in self.client.list_role_policies(RoleName=name)["PolicyNames"]:
            if policy not in wanted:
                self.client.delete_role_policy(RoleName=name, PolicyName=policy)
        for policy, document in wanted.items():
            self.client.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
        arns = set(properties.get("ManagedPolicyArns", []))
        attached = self.client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        for arn in {each["PolicyArn"] for each in attached} - arns:
            self.client.detach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in sorted(arns):
            self.client.attach_role_policy(RoleName=name, PolicyArn=arn)
        role = self.client.get_role(RoleName=name)["Role"]
        return Made(physical_id=name, attributes={"Arn": role["Arn"], "RoleId": role["RoleId"]})


class Policy(_OfIam):
    """An inline policy of roles; its id is its name and its roles'."""

    name = "AWS::IAM::Policy"
    required = frozenset({"PolicyName", "PolicyDocument"})
    properties = frozenset({"PolicyName", "PolicyDocument", "Roles"})

    def identity(self, wanted: Wanted) -> str:
        roles = wanted.properties.get("Roles")
        if not roles:
            raise PropertyError(
                "Roles is missing: policies of users and groups are not served by the local AWS endpoint"
            )
        return f"{wanted.properties['PolicyName']}|{','.join(roles)}"

    def exists(self, physical_id: str) -> bool:
        policy, roles = _parts(physical_id)
        return any(self.is_there("GetRolePolicy", {"RoleName": role, "PolicyName": policy}) for role in roles)

    def create(self, wanted: Wanted) -> Made:
        return self.update("", wanted, {})

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        new = self.identity(wanted)
        policy, roles = _parts(new)
        for role in roles:
            document = json.dumps(wanted.properties["PolicyDocument"])
            self.client.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)
        if physical_id and physical_id != new:
            old, had = _parts(physical_id)
            self.delete(
                f"{old}|{','.join(role for role in had if (old, role) not in {(policy, r) for r in roles})}", {}
            )
        return Made(physical_id=new, attributes={"Id": new, "Ref": policy})

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        policy, roles = _parts(physical_id)
        for role in roles:
            try:
                self.client.delete_role_policy(RoleName=role, PolicyName=policy)
            except botocore.exceptions.ClientError as error:
                if code_of(error) not in self.absent:
                    raise


def _parts(physical_id: str) -> tuple[str, list[str]]:
    policy, roles = physical_id.split("|", 1)
    return policy, [each for each in roles.split(",") if each]
