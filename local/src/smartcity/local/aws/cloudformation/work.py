"""What happens to a stack: creation, update, deletion, and the way back from a failure or a kill.

Before an update begins, what the stack was is kept (`_before`); what an update replaces or drops is removed only after
all else has succeeded. So the way back always leads to resources that are there.
"""

from __future__ import annotations

import graphlib
import time
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import AwsError
from .kinds import difference
from .records import Records
from .resource import ResourceFailedError, ResourceWork
from .template import Place, Program

INTERRUPTED = "Interrupted: the local CloudFormation ended while this was in progress"
_DEFINITION = ("_template", "_parameters", "Parameters", "Outputs", "Description", "Capabilities", "Tags")


def program_of(stack: Mapping[str, Any], region: str, account: str) -> Program:
    """The stack's template with its values."""
    place = Place(account=account, region=region, stack_id=stack["StackId"], stack_name=stack["StackName"])
    return Program(stack["_template"], stack["_parameters"], place)


def begin_update(stack: dict[str, Any], resources: Mapping[str, Any]) -> None:
    """Keep what the stack is, before its definition is changed."""
    before = {key: stack[key] for key in _DEFINITION if key in stack}
    stack.update(_before={"stack": before, "resources": dict(resources)})


class StackWork:
    """One operation on one stack. Every method leads to a state of rest."""

    def __init__(self, *, records: Records, work: ResourceWork, region: str, account: str) -> None:
        self._records = records
        self._work = work
        self._stack = work.stack
        self._where = (region, account)

    def create(self) -> None:
        """From CREATE_IN_PROGRESS to CREATE_COMPLETE, or back to nothing."""
        try:
            self._forward(self._stack["_imports"])
        except ResourceFailedError as error:
            self._creation_failed(f"The following resource(s) failed to create: [{error.logical_id}]. ")
        except AwsError as error:
            self._creation_failed(f"{error.message}. ")
        else:
            self._records.set_status(self._stack, "CREATE_COMPLETE")

    def _creation_failed(self, reason: str) -> None:
        on_failure = self._stack["_on_failure"]
        if on_failure == "DO_NOTHING":
            self._records.set_status(self._stack, "CREATE_FAILED", reason)
        elif on_failure == "DELETE":
            self._records.set_status(self._stack, "DELETE_IN_PROGRESS", f"{reason}Delete requested by user.")
            self._remove("DELETE", on_create=True)
        else:
            self._records.set_status(self._stack, "ROLLBACK_IN_PROGRESS", f"{reason}Rollback requested by user.")
            self._remove("ROLLBACK", on_create=True)

    def update(self) -> None:
        """From UPDATE_IN_PROGRESS to UPDATE_COMPLETE, or back to what it was."""
        try:
            self._forward(())
        except ResourceFailedError as error:
            failed = f"The following resource(s) failed to update: [{error.logical_id}]. "
        except AwsError as error:
            failed = f"{error.message}. "
        else:
            self._records.set_status(self._stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self.clean_up()
            return
        if self._stack["_on_failure"] == "DO_NOTHING":
            self._records.set_status(self._stack, "UPDATE_FAILED", failed)
        else:
            self._records.set_status(self._stack, "UPDATE_ROLLBACK_IN_PROGRESS", failed)
            self.undo_update()

    def clean_up(self) -> None:
        """The end of an update that succeeded: remove what was replaced or dropped. A failure there is only told."""
        names = {each.logical_id for each in program_of(self._stack, *self._where).resources}
        dropped = [each for name, each in self._work.here().items() if name not in names]
        for record in in_reverse(dropped):
            self._try_delete(record, skip=record["_deletion"] != "Delete")
            self._work.forget(record["LogicalResourceId"])
        self._delete_replaced()
        self._stack.pop("_before", None)
        self._records.set_status(self._stack, "UPDATE_COMPLETE")

    def undo_update(self) -> None:
        """From UPDATE_ROLLBACK_IN_PROGRESS to UPDATE_ROLLBACK_COMPLETE; can be done again from any point of it."""
        before, operation = self._stack["_before"], self._stack["_operation"]
        program = program_of({**self._stack, **before["stack"]}, *self._where)
        try:
            for resource in program.resources:
                old, record = before["resources"][resource.logical_id], self._work.resources[resource.logical_id]
                if record.get("_operation") != operation:
                    continue
                if record["PhysicalResourceId"] == old["PhysicalResourceId"] and "_tried" in record:
                    self._work.change_back(record, old)
                    self._work.keep({**old, "ResourceStatus": "UPDATE_COMPLETE", "_operation": ""})
                else:
                    self._restore(record, old)
        except ResourceFailedError as error:
            reason = f"The following resource(s) failed to update: [{error.logical_id}]. "
            self._records.set_status(self._stack, "UPDATE_ROLLBACK_FAILED", reason)
            return
        self._records.set_status(self._stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        self.finish_undo()

    def _restore(self, record: dict[str, Any], old: dict[str, Any]) -> None:
        """The old resource is still there: it is the stack's again, and the new one is to be removed."""
        with self._records.transaction():
            name = old["LogicalResourceId"]
            kept = [each for each in self._stack["_cleanup"] if each["LogicalResourceId"] != name]
            new = {key: value for key, value in record.items() if key != "_replaces"}
            if new["PhysicalResourceId"] == old["PhysicalResourceId"]:
                new["PhysicalResourceId"] = ""
            is_there = new["PhysicalResourceId"] or "_intent" in new
            self._stack["_cleanup"] = [*kept, new] if is_there else kept
            self._records.save(self._stack)
            self._work.keep({**old, "ResourceStatus": "UPDATE_COMPLETE", "_operation": ""})

    def finish_undo(self) -> None:
        """Remove what the update that failed had made."""
        before = self._stack["_before"]
        new = [each for name, each in self._work.here().items() if name not in before["resources"]]
        for record in in_reverse(new):
            self._try_delete(record, skip=self._is_kept(record, on_create=True))
            self._work.forget(record["LogicalResourceId"])
        self._delete_replaced()
        for key in _DEFINITION:
            self._stack.pop(key, None)
        self._stack.update(before["stack"])
        self._stack.pop("_before")
        self._records.set_status(self._stack, "UPDATE_ROLLBACK_COMPLETE")

    def delete(self) -> None:
        """From DELETE_IN_PROGRESS to DELETE_COMPLETE or DELETE_FAILED."""
        self._remove("DELETE", on_create=False)

    def recover(self) -> None:
        """After a kill: what was going on fails, and goes back; what was going back goes on."""
        status = self._stack["StackStatus"]
        self._work.fail_interrupted(INTERRUPTED)
        if status == "CREATE_IN_PROGRESS":
            self._creation_failed(f"{INTERRUPTED}. ")
        elif status == "UPDATE_IN_PROGRESS":
            self._records.set_status(self._stack, "UPDATE_ROLLBACK_IN_PROGRESS", INTERRUPTED)
            self.undo_update()
        elif status == "UPDATE_ROLLBACK_IN_PROGRESS":
            self.undo_update()
        elif status == "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS":
            self.finish_undo()
        elif status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS":
            self.clean_up()
        else:
            verb = status.removesuffix("_IN_PROGRESS")
            self._remove(verb, on_create=self._stack.get("_removes_creation", verb == "ROLLBACK"))

    def _forward(self, imports: Collection[str]) -> None:
        program = program_of(self._stack, *self._where)
        here = self._work.here()
        for resource in program.resources:
            properties = program.properties(resource, self._work.reference, self._work.attribute)
            record = here.get(resource.logical_id)
            if record is None:
                self._work.create(resource, properties, imports=imports)
                continue
            changed = difference(self._work.kind(resource.kind), record["_properties"], properties)
            if changed.recreating:
                self._work.replace(resource, properties)
            elif changed.names:
                self._work.update(resource, properties)
            else:
                policies = {"_deletion": resource.deletion_policy, "_replace": resource.replace_policy}
                self._work.keep(record, _needs=list(resource.needs), **policies)
        self._stack["Outputs"] = program.output_values(self._work.reference, self._work.attribute)
        self._stack["LastUpdatedTime"] = time.time()

    def _remove(self, verb: str, *, on_create: bool) -> None:
        """Remove all, users before what they use; a resource whose user could not be removed stays."""
        self._stack["_removes_creation"] = on_create
        failed, needed = [], set[str]()
        for record in in_reverse(list(self._work.here().values())):
            name = record["LogicalResourceId"]
            if name not in needed and self._try_delete(record, skip=self._is_kept(record, on_create=on_create)):
                continue
            if name not in needed:
                failed.append(name)
            needed |= set(record["_needs"])
        if failed:
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            self._records.set_status(self._stack, f"{verb}_FAILED", reason)
            return
        self._delete_replaced()
        if verb == "DELETE":
            self._stack["DeletionTime"] = time.time()
        self._stack["Outputs"] = []
        self._records.set_status(self._stack, f"{verb}_COMPLETE")

    def _is_kept(self, record: Mapping[str, Any], *, on_create: bool) -> bool:
        if record["LogicalResourceId"] in self._stack.get("_retained", ()):
            return True
        if record.get("_imported") and on_create:
            return True
        excepted = on_create and (self._stack["_retain_except_on_create"] or record["_deletion"] != "Retain")
        return record["_deletion"] != "Delete" and not excepted

    def _delete_replaced(self) -> None:
        """What is in `_cleanup`, which is no longer, or never became, the stack's resource of that name."""
        for old in in_reverse(self._stack["_cleanup"]):
            self._try_delete({**old, "_detached": True}, skip=old["_replace"] != "Delete")
        self._stack["_cleanup"] = []

    def _try_delete(self, record: dict[str, Any], *, skip: bool) -> bool:
        try:
            self._work.delete(record, skip=skip)
        except ResourceFailedError:
            return False
        return True


def in_reverse(records: Collection[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records so that each comes before those that it needs."""
    by_name = {each["LogicalResourceId"]: each for each in records}
    graph = {name: [need for need in each["_needs"] if need in by_name] for name, each in by_name.items()}
    return [by_name[name] for name in reversed(list(graphlib.TopologicalSorter(graph).static_order()))]


def new_operation(stack: dict[str, Any], *, on_failure: str, retain_except_on_create: bool) -> None:
    """What an operation is told once, at its beginning."""
    stack.update(
        _operation=uuid.uuid4().hex,
        _on_failure=on_failure,
        _retain_except_on_create=retain_except_on_create,
        _cleanup=stack.get("_cleanup", []),
        _removes_creation=False,
    )
