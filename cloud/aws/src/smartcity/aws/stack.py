"""A CloudFormation stack: its state, and change sets."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import botocore.exceptions

from .clients import error_code, error_message
from .errors import DeploymentError, StackStateError
from .parameters import to_send

POLL_FIRST_S = 0.2
POLL_MAX_S = 3.0
POLLS_MAX = 100
"""Of a change set: some five minutes."""
_UPDATABLE = (
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
)
NOTHING_LEFT = "ROLLBACK_COMPLETE"
"""A stack whose creation failed and was undone: all that can be done with it is to remove it."""
_NO_CHANGES = ("didn't contain changes", "no updates are to be performed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A stack as CloudFormation describes it."""

    name: str
    stack_id: str
    status: str
    reason: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def only_reviewed(self) -> bool:
        """It has no resource: a change set was made for it, and not executed."""
        return self.status == "REVIEW_IN_PROGRESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One resource of a change set. `replacement` is True, False, Conditional or empty."""

    action: str
    logical_id: str
    kind: str
    replacement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """What would be done. `creates`: there was no stack before it, not even a reviewed one."""

    name: str
    """Empty where nothing would change; without `changes`, only the stack's outputs would."""
    stack_id: str
    changes: tuple[Change, ...]
    creates: bool


def find_stack(cloudformation: Any, name: str) -> Stack | None:
    """The stack of a name or id, or None."""
    try:
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except botocore.exceptions.ClientError as error:
        message = error_message(error)
        if error_code(error) == "ValidationError" and "does not exist" in message:
            return None
        raise
    return Stack(
        name=found["StackName"],
        stack_id=found["StackId"],
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        parameters={each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])},
        outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
    )


def previous_parameters(stack: Stack | None) -> Mapping[str, str] | None:
    """What the stack has; None where there is none to keep anything of.

    Raises:
        StackStateError: it cannot be changed in its state, or is somebody else's.
    """
    if stack is None or stack.only_reviewed:
        return None
    check_ours(stack)
    if stack.status in _UPDATABLE:
        return stack.parameters
    what = f"the stack {stack.name} is in {stack.status}"
    if stack.status.endswith("_IN_PROGRESS"):
        raise StackStateError(
            f"{what}: something else is at work on it; wait until `smartcity-aws status` shows an end"
        )
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        raise StackStateError(f"{what}: mend what its events name, then `aws cloudformation continue-update-rollback`")
    raise StackStateError(
        f"{what}: its creation or deletion failed, and it can only be removed. "
        f"Run `smartcity-aws destroy --stack {stack.name}` (data stays), then deploy again"
    )


def check_ours(stack: Stack) -> None:
    """A stack of this template has a bucket's name.

    Raises:
        StackStateError: it has none, so that it is another's.
    """
    if not stack.only_reviewed and "BucketName" not in stack.parameters:
        raise StackStateError(
            f"the stack {stack.name} is not the lake's: it has no parameter BucketName. Name another with --stack"
        )


def make_change_set(
    cloudformation: Any,
    name: str,
    stack: Stack | None,
    given: Mapping[str, str],
    *,
    template_url: str,
    sleep: Callable[[float], None] = time.sleep,
) -> ChangeSet:
    """Have CloudFormation compare the template at an address with the stack. Nothing is changed, but a stack that is
    not there is listed as under review until the change set is removed or executed. No changes: they are empty, and
    the change set is gone.

    Raises:
        StackStateError: the stack cannot be changed in its state.
        DeploymentError: CloudFormation refuses the template or a parameter; what was made is removed.
    """
    previous = previous_parameters(stack)
    options: dict[str, Any] = {} if previous is not None else {"ImportExistingResources": True}
    try:
        made = cloudformation.create_change_set(
            StackName=name,
            ChangeSetName=f"smartcity-{uuid.uuid4().hex[:12]}",
            ChangeSetType="CREATE" if previous is None else "UPDATE",
            TemplateURL=template_url,
            Parameters=to_send(given, previous),
            Capabilities=["CAPABILITY_IAM"],
            **options,
        )
    except botocore.exceptions.ClientError as error:
        if stack is None or not _says_no_changes(error_message(error)):
            raise
        return ChangeSet(name="", stack_id=stack.stack_id, changes=(), creates=False)
    change_set = ChangeSet(name=made["Id"], stack_id=made["StackId"], changes=(), creates=stack is None)
    try:
        changes = _await_changes(cloudformation, change_set, sleep)
    except DeploymentError:
        remove_change_set(cloudformation, change_set)
        raise
    if changes is None:
        remove_change_set(cloudformation, change_set)
        return replace(change_set, name="")
    return replace(change_set, changes=changes)


def pauses_s() -> Iterator[float]:
    """Between looks at something that may take a moment or minutes: ever longer ones."""
    pause_s = POLL_FIRST_S
    while True:
        yield pause_s
        pause_s = min(pause_s * 1.5, POLL_MAX_S)


def _await_changes(
    cloudformation: Any, change_set: ChangeSet, sleep: Callable[[float], None]
) -> tuple[Change, ...] | None:
    """Changes of resources; None where there is nothing to do."""
    for pause_s in islice(pauses_s(), POLLS_MAX):
        pages = _pages(cloudformation, change_set)
        status, reason = pages[0]["Status"], pages[0].get("StatusReason", "")
        if status == "CREATE_COMPLETE":
            return tuple(_change(each["ResourceChange"]) for page in pages for each in page.get("Changes", []))
        if status == "FAILED":
            if _says_no_changes(reason):
                return None
            raise DeploymentError(f"CloudFormation made no change set: {reason or 'no reason given'}")
        sleep(pause_s)
    raise DeploymentError(f"CloudFormation made no change set within {POLLS_MAX * POLL_MAX_S:g} s")


def _says_no_changes(reason: str) -> bool:
    return any(words in reason.lower() for words in _NO_CHANGES)


def _pages(cloudformation: Any, change_set: ChangeSet) -> list[dict[str, Any]]:
    names = {"StackName": change_set.stack_id, "ChangeSetName": change_set.name}
    pages = [cloudformation.describe_change_set(**names)]
    while pages[-1].get("NextToken"):
        pages.append(cloudformation.describe_change_set(**names, NextToken=pages[-1]["NextToken"]))
    return pages


def _change(change: dict[str, Any]) -> Change:
    return Change(
        action=change["Action"],
        logical_id=change["LogicalResourceId"],
        kind=change["ResourceType"],
        replacement=change.get("Replacement", ""),
    )


def remove_change_set(cloudformation: Any, change_set: ChangeSet) -> None:
    """Take it back, with the empty stack that it made."""
    cloudformation.delete_change_set(StackName=change_set.stack_id, ChangeSetName=change_set.name)
    if change_set.creates:
        cloudformation.delete_stack(StackName=change_set.stack_id)
