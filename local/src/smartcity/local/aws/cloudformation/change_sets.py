"""CloudFormation's calls on change sets: made by a worker, described, and carried out once."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import AwsError
from ..glue.service import ACCOUNT
from ..protocol import Action, actions_of, page
from . import answers
from .intrinsics import invalid
from .parameters import values_of
from .plan import Plan, known_kinds, needed_capabilities
from .records import GONE, REVIEW
from .service import CloudFormation, new_stack
from .template import Place, Program, parse
from .work import StackWork, begin_update, new_operation, program_of

log = logging.getLogger(__name__)

CHANGES_PAGE_MAX = 25
CHANGE_SETS_MAX = 100
_NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
_UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
_ON_FAILURE = ("ROLLBACK", "DO_NOTHING", "DELETE")
_ACTIONS = (
    "CreateChangeSet",
    "DescribeChangeSet",
    "ExecuteChangeSet",
    "DeleteChangeSet",
    "ListChangeSets",
    "CreateStack",
    "UpdateStack",
)
_REFUSED = (
    "RoleARN", "ResourceTypes", "RollbackConfiguration", "NotificationARNs", "ResourcesToImport", "IncludeNestedStacks",
    "StackPolicyBody", "StackPolicyURL", "StackPolicyDuringUpdateBody", "EnableTerminationProtection", "DeploymentMode",
)  # fmt: skip


class ChangeSets:
    """Every action takes a request and gives the response of its CloudFormation action."""

    def __init__(self, stacks: CloudFormation) -> None:
        self._stacks = stacks
        self._records = stacks.records

    def actions(self) -> dict[str, Action]:
        """CloudFormation's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def create_change_set(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request)
        name, creates = request["ChangeSetName"], request.get("ChangeSetType", "UPDATE") == "CREATE"
        if request.get("ChangeSetType", "UPDATE") not in ("CREATE", "UPDATE"):
            raise invalid(f"ChangeSetType {request['ChangeSetType']} is not served by the local AWS endpoint")
        if not re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", name):
            raise invalid(
                f"1 validation error detected: Value '{name}' at 'changeSetName' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
            )
        with self._records.transaction():
            stack = self._stack_of_new(request, name) if creates else self._stack_of_update(request["StackName"])
            known = self._records.change_sets(stack)
            if any(each["ChangeSetName"] == name for each in known):
                raise AwsError("AlreadyExistsException", f"ChangeSet {name} already exists")
            if len(known) >= CHANGE_SETS_MAX:
                raise AwsError("LimitExceededException", f"There are {len(known)} change sets of this stack.")
            change_set = self._document(request, stack, creates=creates)
            if creates and "StackStatus" not in stack:
                self._records.add({**stack, "StackStatus": REVIEW})
                self._records.set_status(stack, REVIEW, "User Initiated")
            self._records.save_change_set(change_set)
        self._stacks.background(lambda: self._make(change_set["ChangeSetId"]))
        return {"Id": change_set["ChangeSetId"], "StackId": stack["StackId"]}

    def describe_change_set(self, request: dict[str, Any]) -> dict[str, Any]:
        change_set = self._found(request)
        changes = [{"Type": "Resource", "ResourceChange": each} for each in change_set["_changes"]]
        some, token = page(changes, request, at_most=CHANGES_PAGE_MAX)
        return {**answers.change_set(change_set), "Changes": some, **({"NextToken": token} if token else {})}

    def list_change_sets(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self._records.change_sets(self._records.find(request["StackName"]))
        some, token = page([answers.change_set_summary(each) for each in found], request, at_most=CHANGES_PAGE_MAX)
        return {"Summaries": some, **({"NextToken": token} if token else {})}

    def delete_change_set(self, request: dict[str, Any]) -> dict[str, Any]:
        change_set = self._found(request)
        if change_set["Status"].endswith("_IN_PROGRESS") or change_set["ExecutionStatus"].startswith("EXECUTE_"):
            raise _wrong_status(change_set, "deleted")
        self._records.remove_change_sets(change_set["ChangeSetId"])
        return {}

    def execute_change_set(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._records.transaction():
            change_set = self._found(request)
            if change_set["ExecutionStatus"] != "AVAILABLE":
                raise _wrong_status(change_set, "executed")
            stack = self._records.find(change_set["StackId"])
            self._stacks.check_at_rest(stack)
            on_failure = "DO_NOTHING" if request.get("DisableRollback") else change_set["OnStackFailure"]
            others = [each["ChangeSetId"] for each in self._records.change_sets(stack)]
            self._records.remove_change_sets(*(each for each in others if each != change_set["ChangeSetId"]))
            self._records.save_change_set({**change_set, "ExecutionStatus": "EXECUTE_COMPLETE"})
            retain_except = request.get("RetainExceptOnCreate", False)
            step = self._begin(stack, change_set, on_failure=on_failure, retain_except_on_create=retain_except)
        self._stacks.submit(stack["StackId"], step)
        return {}

    def create_stack(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._at_once(request, creates=True)

    def update_stack(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._at_once(request, creates=False)

    def _at_once(self, request: dict[str, Any], *, creates: bool) -> dict[str, Any]:
        """A change set that nobody looks at."""
        _refuse(request)
        own = {"ChangeSetName": f"a{uuid.uuid4().hex}"}
        with self._records.transaction():
            stack = self._stack_of_new(request, "") if creates else self._stack_of_update(request["StackName"])
            change_set = self._document({**own, **request}, stack, creates=creates)
            plan = self._plan(change_set, stack)
            if not creates and not plan.changes and not plan.changes_outputs:
                raise invalid("No updates are to be performed.")
            if creates and "StackStatus" not in stack:
                self._records.add({**stack, "StackStatus": REVIEW})
            on_failure = "DO_NOTHING" if request.get("DisableRollback") else request.get("OnFailure", "ROLLBACK")
            retain_except = request.get("RetainExceptOnCreate", False)
            step = self._begin(stack, change_set, on_failure=on_failure, retain_except_on_create=retain_except)
        self._stacks.submit(stack["StackId"], step)
        return {"StackId": stack["StackId"]}

    def _begin(
        self, stack: dict[str, Any], change_set: Mapping[str, Any], *, on_failure: str, retain_except_on_create: bool
    ) -> Callable[[StackWork], None]:
        """Give the stack its new definition, and the state in which the work begins."""
        creates = change_set["_creates"]
        if not creates:
            begin_update(stack, self._records.resources(stack))
        new_operation(stack, on_failure=on_failure, retain_except_on_create=retain_except_on_create)
        stack.update(
            {key: change_set[key] for key in ("_template", "_parameters", "Capabilities", "Tags", "ChangeSetId")},
            Description=change_set["_description"],
            _imports=change_set.get("_imports", []),
        )
        self._records.set_status(stack, "CREATE_IN_PROGRESS" if creates else "UPDATE_IN_PROGRESS", "User Initiated")
        return StackWork.create if creates else StackWork.update

    def _stack_of_new(self, request: Mapping[str, Any], change_set: str) -> dict[str, Any]:
        try:
            stack = self._records.find(request["StackName"])
        except AwsError:
            return new_stack(request["StackName"], self._stacks.region)
        if stack["StackStatus"] not in (REVIEW, GONE):
            if not change_set:
                raise AwsError("AlreadyExistsException", f"Stack [{stack['StackName']}] already exists")
            raise invalid(f"Stack [{stack['StackName']}] already exists and cannot be created again with the changeSet "
                          f"[{change_set}].")  # fmt: skip
        return stack

    def _stack_of_update(self, name: str) -> dict[str, Any]:
        try:
            stack = self._records.find(name)
        except AwsError:
            raise invalid(f"Stack [{name}] does not exist") from None
        if stack["StackStatus"] not in _UPDATABLE:
            raise invalid(f"Stack:{stack['StackId']} is in {stack['StackStatus']} state and can not be updated.")
        return stack

    def _document(self, request: Mapping[str, Any], stack: Mapping[str, Any], *, creates: bool) -> dict[str, Any]:
        """A change set that is to be made, everything checked that can be without looking at the resources."""
        on_failure = request.get("OnStackFailure", "ROLLBACK")
        if on_failure not in _ON_FAILURE or (on_failure == "DELETE" and not creates):
            raise invalid(f"OnStackFailure {on_failure} is not possible here")
        body = self._stacks.template_of(request, stack["_template"] or None)
        document = parse(body)
        previous = None if creates else stack["_parameters"]
        values = values_of(document.get("Parameters", {}), request.get("Parameters", []), previous)
        place = Place(
            account=ACCOUNT, region=self._stacks.region, stack_id=stack["StackId"], stack_name=stack["StackName"]
        )
        program = Program(body, values, place)
        refusal = known_kinds(program, self._stacks.kinds)
        if refusal:
            raise refusal
        capabilities = set(request.get("Capabilities", []))
        needed = needed_capabilities(program)
        if needed and not capabilities & (needed | {"CAPABILITY_NAMED_IAM"}):
            raise AwsError("InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(needed)}]")
        name, identity = request["ChangeSetName"], uuid.uuid4()
        return {
            "ChangeSetId": f"arn:aws:cloudformation:{self._stacks.region}:{ACCOUNT}:changeSet/{name}/{identity}",
            "ChangeSetName": name,
            "StackId": stack["StackId"],
            "StackName": stack["StackName"],
            "Description": request.get("Description", ""),
            "CreationTime": time.time(),
            "Status": "CREATE_PENDING",
            "ExecutionStatus": "UNAVAILABLE",
            "Capabilities": sorted(capabilities),
            "Tags": request.get("Tags", []),
            "OnStackFailure": on_failure,
            "ImportExistingResources": request.get("ImportExistingResources", False),
            "IncludeNestedStacks": False,
            "_changes": [],
            "_creates": creates,
            "_description": document.get("Description", ""),
            "_parameters": values,
            "_template": body,
        }

    def _plan(self, change_set: Mapping[str, Any], stack: Mapping[str, Any]) -> Plan:
        return Plan(
            program_of({**stack, **change_set}, self._stacks.region, ACCOUNT),
            kinds=self._stacks.kinds,
            resources=self._records.resources(stack),
            outputs=stack["Outputs"],
            imports=change_set["ImportExistingResources"],
        )

    def _make(self, identity: str) -> None:
        """From CREATE_PENDING to CREATE_COMPLETE or FAILED. Runs in a worker; nothing escapes."""
        try:
            change_set = self._records.find_change_set(identity, None)
            self._records.save_change_set({**change_set, "Status": "CREATE_IN_PROGRESS"})
            try:
                plan = self._plan(change_set, self._records.find(change_set["StackId"]))
            except AwsError as error:
                made: dict[str, Any] = {"Status": "FAILED", "StatusReason": error.message}
            except Exception as error:
                log.exception("change set %s", identity)
                made = {"Status": "FAILED", "StatusReason": f"Internal error: {type(error).__name__}: {error}"}
            else:
                made = {"Status": "CREATE_COMPLETE", "ExecutionStatus": "AVAILABLE", "_imports": plan.imported}
                if not plan.changes and not plan.changes_outputs:
                    made = {"Status": "FAILED", "StatusReason": _NO_CHANGES}
                made["_changes"] = plan.changes
            self._records.save_change_set({**change_set, **made})
        except Exception:
            log.exception("change set %s", identity)

    def _found(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._records.find_change_set(request["ChangeSetName"], request.get("StackName"))


def _wrong_status(change_set: Mapping[str, Any], what: str) -> AwsError:
    status = change_set["Status"] if change_set["ExecutionStatus"] == "UNAVAILABLE" else change_set["ExecutionStatus"]
    message = f"ChangeSet [{change_set['ChangeSetId']}] cannot be {what} in its current status of [{status}]"
    return AwsError("InvalidChangeSetStatus", message)


def _refuse(request: Mapping[str, Any]) -> None:
    for option in _REFUSED:
        if request.get(option):
            raise invalid(f"{option} is not served by the local AWS endpoint")
