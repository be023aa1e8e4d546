"""Carries a change set out, and leaves nothing half done where it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import botocore.exceptions

from .clients import client, explained
from .errors import DeploymentError
from .progress import GONE, follow, seen_events
from .settings import Settings
from .stack import ChangeSet, Stack, find_stack, remove_change_set

_DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")


def execute(
    cloudformation: Any,
    change_set: ChangeSet,
    say: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Stack:
    """The stack, when all is done.

    Raises:
        DeploymentError: with the first reason. CloudFormation has rolled back what it did; a stack that was to be new
            is deleted, its bucket and database with it.
    """
    seen = seen_events(cloudformation, change_set.stack_id)
    try:
        cloudformation.execute_change_set(
            StackName=change_set.stack_id, ChangeSetName=change_set.name, RetainExceptOnCreate=True
        )
    except botocore.exceptions.ClientError as error:
        remove_change_set(cloudformation, change_set)
        raise DeploymentError(
            f"CloudFormation did not begin: {error.response['Error'].get('Message', error)}. Nothing was changed"
        ) from None
    outcome = follow(cloudformation, change_set.stack_id, seen, say, sleep=sleep)
    stack = find_stack(cloudformation, change_set.stack_id)
    if stack is not None and outcome.status in _DONE:
        return stack
    reason = outcome.failures[0] if outcome.failures else (stack.reason if stack else "") or "no reason given"
    raise DeploymentError(f"{reason}. {_after(cloudformation, change_set, outcome.status, say, sleep)}")


def _after(
    cloudformation: Any, change_set: ChangeSet, status: str, say: Callable[[str], None], sleep: Callable[[float], None]
) -> str:
    """What is left, after the empty stack of a failed creation is removed."""
    if status != "ROLLBACK_COMPLETE":
        known = "all is as before" if status == "UPDATE_ROLLBACK_COMPLETE" else "see `smartcity-aws status`"
        return f"The stack is in {status}: {known}"
    seen = seen_events(cloudformation, change_set.stack_id)
    cloudformation.delete_stack(StackName=change_set.stack_id)
    ended = follow(cloudformation, change_set.stack_id, seen, say, sleep=sleep).status
    return "What had been created is removed again" if ended == GONE else f"The stack is in {ended}"


def limit_redshift(stack: Stack, settings: Settings, *, connect: Callable[[str, Settings], Any] = client) -> str | None:
    """Set the workgroup's usage limit, for which CloudFormation has no resource type; None where there is no workgroup.

    Raises:
        CredentialsError, EndpointError, ServiceError: see `errors.py`.
    """
    if "RedshiftWorkgroupArn" not in stack.outputs:
        return None
    arn, hours = stack.outputs["RedshiftWorkgroupArn"], int(stack.outputs["RedshiftRpuHoursPerDay"])
    with explained():
        redshift = connect("redshift-serverless", settings)
        limits = redshift.list_usage_limits(resourceArn=arn, usageType="serverless-compute").get("usageLimits", [])
        daily = [each for each in limits if each["period"] == "daily"]
        if daily:
            redshift.update_usage_limit(usageLimitId=daily[0]["usageLimitId"], amount=hours, breachAction="deactivate")
        else:
            redshift.create_usage_limit(
                resourceArn=arn, usageType="serverless-compute", period="daily", amount=hours, breachAction="deactivate"
            )
    return f"Redshift refuses queries after {hours} RPU-hours a day"
