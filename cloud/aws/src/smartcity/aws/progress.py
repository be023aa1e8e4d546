"""Follows a stack's operation through its events."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.exceptions

from .clients import error_message
from .errors import DeploymentError
from .stack import find_stack, pauses_s

OPERATION_TIMEOUT_S = 3600.0
BEGIN_TIMEOUT_S = 60.0
"""Until the first event, a stack may still show the state that it rested in before."""
GONE = "DELETE_COMPLETE"
"""Also where CloudFormation no longer knows the stack."""
_CONSEQUENCE = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it ended, and each failure that is not the consequence of another."""

    status: str
    failures: tuple[str, ...]


def seen_events(cloudformation: Any, stack_id: str) -> set[str]:
    """Ids of the events so far; an operation's own come after them."""
    return {each["EventId"] for each in _events(cloudformation, stack_id)}


def follow(
    cloudformation: Any,
    stack_id: str,
    seen: set[str],
    say: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Say each event once, as it comes, until the stack rests. `stack_id` is the id: a name no longer finds a stack
    that is deleted.

    Raises:
        DeploymentError: it does not rest within `OPERATION_TIMEOUT_S`; it goes on at AWS.
    """
    begin, failures, known = clock(), [], set(seen)
    pauses = pauses_s()
    while True:
        stack = find_stack(cloudformation, stack_id)
        for event in reversed(_events(cloudformation, stack_id)):
            if event["EventId"] in known:
                continue
            known.add(event["EventId"])
            say(_line(event))
            failures += _failure(event)
        status = GONE if stack is None else stack.status
        begun = status == GONE or known != seen or clock() >= begin + BEGIN_TIMEOUT_S
        if begun and not status.endswith("_IN_PROGRESS"):
            return Outcome(status=status, failures=tuple(failures))
        if clock() >= begin + OPERATION_TIMEOUT_S:
            raise DeploymentError(
                f"the stack is still in {status} after {OPERATION_TIMEOUT_S:g} s; it goes on at AWS: "
                "`smartcity-aws status` shows how it ends"
            )
        sleep(next(pauses))


def _events(cloudformation: Any, stack_id: str) -> list[dict[str, Any]]:
    """Newest first."""
    try:
        pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        return [event for page in pages for event in page["StackEvents"]]
    except botocore.exceptions.ClientError as error:
        if "does not exist" in error_message(error):
            return []
        raise


def _line(event: dict[str, Any]) -> str:
    reason = f"  {event['ResourceStatusReason']}" if event.get("ResourceStatusReason") else ""
    at = event["Timestamp"].strftime("%H:%M:%S")
    return f"{at}  {event['ResourceStatus']:<20}  {event['LogicalResourceId']}{reason}"


def _failure(event: dict[str, Any]) -> list[str]:
    reason = event.get("ResourceStatusReason", "no reason given")
    if not event["ResourceStatus"].endswith("_FAILED") or _CONSEQUENCE in reason.lower():
        return []
    return [f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}"]
