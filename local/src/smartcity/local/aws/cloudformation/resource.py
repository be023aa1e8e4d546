"""The work on one resource of a stack, each step with the event that says so.

What is about to be made is written down before it is made (`_intent`), so that after a kill it can be found and
removed.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

import botocore.exceptions

from ..errors import AwsError
from .intrinsics import invalid
from .kinds import Kind, Made, PropertyError, Wanted, check, code_of
from .records import Records
from .template import Resource

log = logging.getLogger(__name__)

REMOVED = ("DELETE_COMPLETE", "DELETE_SKIPPED")
_INITIATED = "Resource creation Initiated"
_REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."
_CODES = {"AlreadyExists": "AlreadyExists", "EntityAlreadyExists": "AlreadyExists", "NotFound": "NotFound"}


class ResourceFailedError(Exception):
    """A resource could not be made, changed or removed. The text is the event's reason."""

    def __init__(self, logical_id: str, reason: str) -> None:
        super().__init__(reason)
        self.logical_id = logical_id
        self.reason = reason


class ResourceWork:
    """The resources of one stack. `proceed` is called before each step, and raises where the process ends."""

    def __init__(
        self, *, records: Records, kinds: Mapping[str, Kind], stack: dict[str, Any], proceed: Callable[[], None]
    ) -> None:
        self._records = records
        self._kinds = kinds
        self._proceed = proceed
        self.stack = stack
        self.resources = records.resources(stack)

    def kind(self, name: str) -> Kind:
        """A type by its name."""
        return self._kinds[name]

    def here(self) -> dict[str, dict[str, Any]]:
        """The resources that are not removed."""
        return {name: each for name, each in self.resources.items() if each["ResourceStatus"] not in REMOVED}

    def reference(self, logical_id: str) -> Any:
        """A resource's Ref."""
        record = self.resources[logical_id]
        return record["_attributes"].get("Ref", record["PhysicalResourceId"])

    def attribute(self, logical_id: str, name: str) -> Any:
        """What GetAtt gives.

        Raises:
            AwsError: ValidationError: the type has no such attribute here.
        """
        found = self.resources[logical_id]["_attributes"]
        if name not in found:
            raise invalid(
                f"Template error: the attribute {name} of {logical_id} ({self.resources[logical_id]['ResourceType']}) "
                "is not served by the local AWS endpoint"
            )
        return found[name]

    def create(self, resource: Resource, properties: Mapping[str, Any], *, imports: Collection[str] = ()) -> None:
        """Make a resource, or take over the one of its name where it is among `imports`."""
        self._proceed()
        record = self._new_record(resource, properties)
        verb = "IMPORT" if resource.logical_id in imports else "CREATE"
        self._make(record, verb, importing=verb == "IMPORT")

    def replace(self, resource: Resource, properties: Mapping[str, Any]) -> None:
        """Make a new resource in the place of one, which is removed when the whole update has succeeded."""
        self._proceed()
        old = self.resources[resource.logical_id]
        record = {**self._new_record(resource, properties), "_replaces": old, "ResourceStatusReason": _REPLACING}
        record["PhysicalResourceId"] = old["PhysicalResourceId"]
        self._make(record, "UPDATE", importing=False)

    def update(self, resource: Resource, properties: Mapping[str, Any]) -> None:
        """Change a resource in place. What is tried is kept, for the way back."""
        self._proceed()
        record = self.resources[resource.logical_id]
        self.keep(record, _operation=self.stack["_operation"], _tried=dict(properties))
        self._change(record, self._new_record(resource, properties), record["_properties"])

    def change_back(self, record: dict[str, Any], old: Mapping[str, Any]) -> None:
        """Undo `update`."""
        self._proceed()
        self._change(record, old, record["_tried"])

    def _change(self, record: dict[str, Any], wanted: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        self._set(record, "UPDATE_IN_PROGRESS", "")

        def run() -> None:
            kind = self.kind(record["ResourceType"])
            check(kind, wanted["_properties"])
            made = kind.update(record["PhysicalResourceId"], _wanted({**record, **_defined(wanted)}), before)
            attributes = dict(made.attributes)
            self._set(record, "UPDATE_COMPLETE", _said(kind, made), _attributes=attributes, **_defined(wanted))

        self._run(record, "UPDATE_FAILED", run)

    def delete(self, record: dict[str, Any], *, skip: bool = False) -> None:
        """Remove a resource, or leave it where it is. One that is `_detached` is no longer the stack's of its name, and
        only its events are kept.
        """
        self._proceed()
        if skip:
            self._set(record, "DELETE_SKIPPED", "")
            return
        self._set(record, "DELETE_IN_PROGRESS", "")

        def run() -> None:
            kind = self.kind(record["ResourceType"])
            if not record["PhysicalResourceId"] and "_intent" in record:
                # Made or not when the process was killed: made again by the same token, it is one, and known.
                record["PhysicalResourceId"] = kind.create(_wanted(record)).physical_id
            if record["PhysicalResourceId"]:
                kind.delete(record["PhysicalResourceId"], record["_properties"])
            self._set(record, "DELETE_COMPLETE", "")

        self._run(record, "DELETE_FAILED", run)

    def keep(self, record: dict[str, Any], **changed: Any) -> None:
        """Change what is kept of a resource, without an event."""
        record.update(changed)
        self.resources[record["LogicalResourceId"]] = record
        self._records.save_resource(self.stack, record, say=False)

    def forget(self, logical_id: str) -> None:
        """Keep nothing of a resource that is no longer the stack's."""
        del self.resources[logical_id]
        self._records.forget_resource(self.stack, logical_id)

    def restore(self) -> None:
        """Make again what was in the memory of a process that ended."""
        for record in self.here().values():
            kind = self.kind(record["ResourceType"])
            if kind.in_memory and record["PhysicalResourceId"] and not kind.exists(record["PhysicalResourceId"]):
                made = kind.create(_wanted(record))
                self.keep(record, _attributes=dict(made.attributes))

    def fail_interrupted(self, reason: str) -> list[str]:
        """Mark what was in the middle of a step; returns the logical ids."""
        found = [each for each in self.resources.values() if each["ResourceStatus"].endswith("_IN_PROGRESS")]
        for each in found:
            self._set(each, each["ResourceStatus"].replace("_IN_PROGRESS", "_FAILED"), reason)
        return [each["LogicalResourceId"] for each in found]

    def _new_record(self, resource: Resource, properties: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": "",
            "ResourceType": resource.kind,
            "ResourceStatusReason": "",
            "_attributes": {},
            "_deletion": resource.deletion_policy,
            "_needs": list(resource.needs),
            "_operation": self.stack["_operation"],
            "_properties": dict(properties),
            "_replace": resource.replace_policy,
            "_token": uuid.uuid4().hex,
            "_stack": self.stack["StackName"],
        }

    def _make(self, record: dict[str, Any], verb: str, *, importing: bool) -> None:
        replaced = record.get("_replaces")
        self._set(record, f"{verb}_IN_PROGRESS", record["ResourceStatusReason"])

        def run() -> None:
            kind, wanted = self.kind(record["ResourceType"]), _wanted(record)
            check(kind, record["_properties"])
            identity = kind.identity(wanted)
            if replaced and identity == replaced["PhysicalResourceId"]:
                raise PropertyError("CloudFormation cannot update a stack when a custom-named resource requires "
                                    f"replacing. Rename {identity} and update the stack again.")  # fmt: skip
            if importing:
                made = kind.found(identity)
                self._done(record, "IMPORT_COMPLETE", made, kind, _imported=True)
                return
            if identity and kind.exists(identity):
                raise PropertyError(f"Resource of type '{kind.name}' with identifier '{identity}' already exists.")
            self._set(record, f"{verb}_IN_PROGRESS", _INITIATED, PhysicalResourceId=identity, _intent=identity)
            self._done(record, f"{verb}_COMPLETE", kind.create(wanted), kind)

        self._run(record, f"{verb}_FAILED", run)

    def _done(self, record: dict[str, Any], status: str, made: Made, kind: Kind, **more: Any) -> None:
        record.pop("_intent", None)
        with self._records.transaction():
            replaced = record.pop("_replaces", None)
            if replaced:
                self.stack["_cleanup"].append(replaced)
                self._records.save(self.stack)
            attributes = dict(made.attributes)
            said = _said(kind, made)
            self._set(record, status, said, PhysicalResourceId=made.physical_id, _attributes=attributes, **more)

    def _run(self, record: dict[str, Any], failed: str, step: Callable[[], None]) -> None:
        try:
            step()
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError, PropertyError, AwsError) as error:
            reason = _reason(error)
        except Exception as error:
            log.exception("%s of %s", record["LogicalResourceId"], self.stack["StackName"])
            reason = f"Internal error: {type(error).__name__}: {error}"
        else:
            return
        if "_intent" in record and (not record["_intent"] or "AlreadyExists)" in reason):
            del record["_intent"]  # It made nothing: it has not one step of several behind it, or met another's.
            record["PhysicalResourceId"] = ""
        self._set(record, failed, reason)
        raise ResourceFailedError(record["LogicalResourceId"], reason)

    def _set(self, record: dict[str, Any], status: str, reason: str, **changed: Any) -> None:
        record.update(changed, ResourceStatus=status, ResourceStatusReason=reason)
        if record.get("_detached"):
            self._records.event(self.stack, record)
            return
        self.resources[record["LogicalResourceId"]] = record
        self._records.save_resource(self.stack, record)


def _said(kind: Kind, made: Made) -> str:
    """What of a resource is only recorded."""
    return "; ".join(text for text in (kind.recorded, made.unserved) if text)


def _defined(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the template says of a resource."""
    return {key: record[key] for key in ("_properties", "_needs", "_deletion", "_replace")}


def _wanted(record: Mapping[str, Any]) -> Wanted:
    """The name where the template gives none: stack, logical id, and a part of the creation's token, as AWS does."""
    unique = hashlib.sha256(record["_token"].encode()).hexdigest()[:12].upper()
    name = f"{record['_stack'][:24]}-{record['LogicalResourceId'][:24]}-{unique}"
    return Wanted(properties=record["_properties"], name=name, token=record["_token"])


def _reason(error: Exception) -> str:
    if isinstance(error, botocore.exceptions.ClientError):
        code = code_of(error)
        handler = next((name for part, name in _CODES.items() if part in code), "GeneralServiceException")
        said = f"{error.response['Error'].get('Message', '')} ({error.operation_name}: {code})"
        return f'Resource handler returned message: "{said}" (HandlerErrorCode: {handler})'
    return str(error)
