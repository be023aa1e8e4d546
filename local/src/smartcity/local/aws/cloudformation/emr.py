"""AWS::EMRServerless::Application, which is recorded by the local EMR Serverless."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .kinds import Kind, Made, PropertyError, Wanted

_UPDATED = (
    "ReleaseLabel", "Architecture", "MaximumCapacity", "AutoStartConfiguration", "AutoStopConfiguration",
    "NetworkConfiguration",
)  # fmt: skip


class Application(Kind):
    """EMR chooses the id; the creation's token makes a repeated creation one."""

    name = "AWS::EMRServerless::Application"
    required = frozenset({"Type", "ReleaseLabel"})
    service = "emr-serverless"
    absent = ("ResourceNotFoundException",)
    properties = frozenset({"Name", "Type", "Tags", *_UPDATED})
    create_only = frozenset({"Name", "Type"})
    recorded = "Recorded by the local AWS endpoint: it runs no job"

    def identity(self, wanted: Wanted) -> str:
        return ""

    def exists(self, physical_id: str) -> bool:
        return self.is_there("GetApplication", {"ApplicationId": physical_id})

    def create(self, wanted: Wanted) -> Made:
        given = {key: value for key, value in wanted.properties.items() if key != "Tags"}
        tags = {each["Key"]: each["Value"] for each in wanted.properties.get("Tags", [])}
        made = self.call(
            "CreateApplication", {**given, **({"Tags": tags} if tags else {}), "ClientToken": wanted.token}
        )
        return self._made(made["applicationId"], made["arn"])

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        if wanted.properties.get("Tags") != before.get("Tags"):
            raise PropertyError("a change of Tags is not served by the local AWS endpoint")
        given = {key: wanted.properties[key] for key in _UPDATED if key in wanted.properties}
        arguments = {"ApplicationId": physical_id, "ClientToken": wanted.token, **given}
        return self._made(physical_id, self.call("UpdateApplication", arguments)["application"]["arn"])

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        self.remove("DeleteApplication", {"ApplicationId": physical_id})

    @staticmethod
    def _made(identity: str, arn: str) -> Made:
        return Made(physical_id=identity, attributes={"ApplicationId": identity, "Arn": arn})
