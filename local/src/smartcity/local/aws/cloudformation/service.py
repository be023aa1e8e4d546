"""CloudFormation's calls on stacks. Change sets: `cloudformation_change_sets.py`; the work: `cloudformation_work.py`.

A call that was answered is on disk. Work is done by threads, one for a stack at a time; what a kill interrupted is
rolled back, or ended, at the next start.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.exceptions

from ..errors import AwsError
from ..glue.service import ACCOUNT
from ..protocol import Action, actions_of, page
from . import answers
from .intrinsics import invalid
from .kinds import Kind
from .records import GONE, REVIEW, Records
from .resource import ResourceWork
from .template import BODY_BYTES_MAX, URL_BYTES_MAX, parse
from .work import StackWork, new_operation

log = logging.getLogger(__name__)

WORKERS = 2
_PAGE_MAX = 100
_ACTIONS = (
    "DescribeStacks",
    "DescribeStackEvents",
    "DescribeStackResource",
    "DescribeStackResources",
    "ListStackResources",
    "ListStacks",
    "GetTemplate",
    "GetTemplateSummary",
    "ValidateTemplate",
    "DeleteStack",
    "ContinueUpdateRollback",
)


class _EndingError(BaseException):
    """The process ends: the work stops where it is, and goes on at the next start."""


class CloudFormation:
    """Stacks over the records. Every action takes a request and gives the response of its CloudFormation action."""

    def __init__(self, *, records: Records, kinds: Mapping[str, Kind], s3: Any, s3_url: str, region: str) -> None:
        self.records = records
        self.kinds = kinds
        self.region = region
        self._s3 = s3
        self._s3_host = urllib.parse.urlsplit(s3_url).netloc
        self._ending = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="cloudformation")

    def actions(self) -> dict[str, Action]:
        """CloudFormation's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def recover(self) -> None:
        """Bring to rest what a kill interrupted."""
        for change_set in self.records.all_change_sets():
            if change_set["Status"].endswith(("_PENDING", "_IN_PROGRESS")):
                reason = "The local CloudFormation ended before the change set was made"
                self.records.save_change_set({**change_set, "Status": "FAILED", "StatusReason": reason})
        for stack in self.records.stacks():
            if stack["StackStatus"].endswith("_IN_PROGRESS") and stack["StackStatus"] != REVIEW:
                self.submit(stack["StackId"], StackWork.recover)

    def restore(self) -> None:
        """Make again what the stacks have made in services that forget (IAM)."""
        for stack in self.records.stacks():
            try:
                self._work(stack).restore()
            except Exception:
                log.exception("stack %s: roles and policies are missing", stack["StackName"])

    def close(self) -> None:
        """Stop after the step that is being made."""
        self._ending.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def describe_stacks(self, request: dict[str, Any]) -> dict[str, Any]:
        if "StackName" in request:
            return {"Stacks": [answers.stack(self.records.find(request["StackName"]))]}
        there = [answers.stack(each) for each in self.records.stacks() if each["StackStatus"] != GONE]
        return _page("Stacks", there, request)

    def list_stacks(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request.get("StackStatusFilter")
        found = [each for each in self.records.stacks() if not wanted or each["StackStatus"] in wanted]
        return _page("StackSummaries", [answers.stack_summary(each) for each in found], request)

    def describe_stack_events(self, request: dict[str, Any]) -> dict[str, Any]:
        if "StackName" not in request:
            raise invalid("StackName must be specified")
        stack = self.records.find(request["StackName"])
        return _page("StackEvents", [answers.event(each) for each in self.records.events(stack)], request)

    def describe_stack_resource(self, request: dict[str, Any]) -> dict[str, Any]:
        stack, name = self.records.find(request["StackName"]), request["LogicalResourceId"]
        found = self.records.resources(stack).get(name)
        if found is None:
            raise invalid(f"Resource {name} does not exist for stack {stack['StackName']}")
        shown = answers.resource(stack, found)
        return {"StackResourceDetail": {**shown, "LastUpdatedTimestamp": shown.pop("Timestamp")}}

    def describe_stack_resources(self, request: dict[str, Any]) -> dict[str, Any]:
        if "StackName" not in request:
            raise invalid("DescribeStackResources by PhysicalResourceId is not served; give StackName")
        stack, name = self.records.find(request["StackName"]), request.get("LogicalResourceId")
        found = self.records.resources(stack).values()
        return {"StackResources": [answers.resource(stack, e) for e in found if name in (None, e["LogicalResourceId"])]}

    def list_stack_resources(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self.records.resources(self.records.find(request["StackName"])).values()
        return _page("StackResourceSummaries", [answers.resource_summary(each) for each in found], request)

    def get_template(self, request: dict[str, Any]) -> dict[str, Any]:
        if "ChangeSetName" in request:
            found = self.records.find_change_set(request["ChangeSetName"], request.get("StackName"))
        else:
            found = self.records.find(request.get("StackName", ""))
        return {"TemplateBody": found["_template"], "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, request: dict[str, Any]) -> dict[str, Any]:
        if "StackName" in request:
            document = parse(self.records.find(request["StackName"])["_template"])
        else:
            document = parse(self.template_of(request, None))
        kinds = sorted({each["Type"] for each in document["Resources"].values()})
        version = {"Version": document["AWSTemplateFormatVersion"]} if "AWSTemplateFormatVersion" in document else {}
        declared = _declared(document, "ParameterType", "Type")
        return {**_described(document), "Parameters": declared, "ResourceTypes": kinds, **version}

    def validate_template(self, request: dict[str, Any]) -> dict[str, Any]:
        document = parse(self.template_of(request, None))
        return {**_described(document), "Parameters": _declared(document)}

    def delete_stack(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request, "RoleARN", "DeletionMode")
        with self.records.transaction():
            try:
                stack = self.records.find(request["StackName"])
            except AwsError:
                return {}  # As in AWS, what is not there is deleted.
            if stack["StackStatus"] == GONE or stack["StackStatus"] == "DELETE_IN_PROGRESS":
                return {}
            self.check_at_rest(stack)
            if request.get("RetainResources") and stack["StackStatus"] != "DELETE_FAILED":
                raise invalid("RetainResources can only be given where the stack is in DELETE_FAILED")
            new_operation(stack, on_failure="ROLLBACK", retain_except_on_create=False)
            stack["_retained"] = request.get("RetainResources", [])
            self.records.remove_change_sets(*(each["ChangeSetId"] for each in self.records.change_sets(stack)))
            self.records.set_status(stack, "DELETE_IN_PROGRESS", "User Initiated")
        self.submit(stack["StackId"], StackWork.delete)
        return {}

    def continue_update_rollback(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse(request, "RoleARN", "ResourcesToSkip")
        with self.records.transaction():
            stack = self.records.find(request["StackName"])
            if stack["StackStatus"] != "UPDATE_ROLLBACK_FAILED":
                raise invalid(f"Stack [{stack['StackName']}] is in {stack['StackStatus']} state and cannot be "
                              "continued to roll back")  # fmt: skip
            self.records.set_status(stack, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
        self.submit(stack["StackId"], StackWork.undo_update)
        return {}

    def check_at_rest(self, stack: Mapping[str, Any]) -> None:
        """Refuse where something is at work.

        Raises:
            AwsError: ValidationError.
        """
        status = stack["StackStatus"]
        if status.endswith("_IN_PROGRESS") and status != REVIEW:
            raise invalid(f"Stack:{stack['StackId']} is in {status} state and can not be updated.")

    def submit(self, stack_id: str, step: Callable[[StackWork], None]) -> None:
        """Have a worker do it; the state that it begins in is saved before."""
        self._pool.submit(self._run, stack_id, step)

    def background(self, task: Callable[[], None]) -> None:
        """Have a worker do something else; nothing may escape it."""
        self._pool.submit(task)

    def _run(self, stack_id: str, step: Callable[[StackWork], None]) -> None:
        try:
            stack = self.records.find(stack_id)
            step(StackWork(records=self.records, work=self._work(stack), region=self.region, account=ACCOUNT))
        except _EndingError:
            log.info("stack %s: interrupted; it goes on at the next start", stack_id)
        except Exception as error:
            log.exception("stack %s", stack_id)
            stack = self.records.find(stack_id)
            status = f"{stack['StackStatus'].removesuffix('_IN_PROGRESS')}_FAILED"
            self.records.set_status(stack, status, f"Internal error: {type(error).__name__}: {error}")

    def _work(self, stack: dict[str, Any]) -> ResourceWork:
        return ResourceWork(records=self.records, kinds=self.kinds, stack=stack, proceed=self._proceed)

    def _proceed(self) -> None:
        if self._ending.is_set():
            raise _EndingError

    def template_of(self, request: Mapping[str, Any], previous: str | None) -> str:
        """The template that a request names.

        Raises:
            AwsError: ValidationError: none or several, too long, or not in S3.
        """
        given = [key for key in ("TemplateBody", "TemplateURL", "UsePreviousTemplate") if request.get(key)]
        if len(given) != 1:
            raise invalid("Either Template URL or Template Body must be specified.")
        if given == ["UsePreviousTemplate"]:
            if previous is None:
                raise invalid("There is no previous template")
            return previous
        if given == ["TemplateURL"]:
            return self._fetched(request["TemplateURL"])
        body: str = request["TemplateBody"]
        if len(body.encode()) > BODY_BYTES_MAX:
            raise invalid("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
                          f"Member must have length less than or equal to {BODY_BYTES_MAX}")  # fmt: skip
        return body

    def _fetched(self, url: str) -> str:
        parts = urllib.parse.urlsplit(url)
        path = urllib.parse.unquote(parts.path).lstrip("/")
        hosted = re.fullmatch(r"(?:(.+)\.)?s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com", parts.netloc)
        bucket, key = (hosted[1], path) if hosted and hosted[1] else path.partition("/")[::2]
        if not (hosted or parts.netloc == self._s3_host) or not bucket or not key:
            raise invalid("TemplateURL must be a supported URL.")
        try:
            size = self._s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
            if size > URL_BYTES_MAX:
                raise invalid(f"Template may not exceed {URL_BYTES_MAX} bytes in size.")
            return str(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError, ValueError) as error:
            raise invalid(f"S3 error: {error}") from None


def new_stack(name: str, region: str) -> dict[str, Any]:
    """A stack that nothing was done with."""
    if not re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", name):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
    return {
        "StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/{name}/{uuid.uuid4()}",
        "StackName": name,
        "CreationTime": time.time(),
        "Outputs": [],
        "_parameters": {},
        "_template": "",
    }


def _refuse(request: Mapping[str, Any], *options: str) -> None:
    for option in options:
        if request.get(option) and request[option] != "STANDARD":
            raise invalid(f"{option} is not served by the local AWS endpoint")


def _page(key: str, found: list[dict[str, Any]], request: Mapping[str, Any]) -> dict[str, Any]:
    some, token = page(found, request, at_most=_PAGE_MAX)
    return {key: some, **({"NextToken": token} if token else {})}


def _described(document: Mapping[str, Any]) -> dict[str, Any]:
    iam = any(each["Type"].startswith("AWS::IAM::") for each in document["Resources"].values())
    described = {"Description": document["Description"]} if "Description" in document else {}
    return {**described, **({"Capabilities": ["CAPABILITY_IAM"]} if iam else {})}


def _declared(document: Mapping[str, Any], *typed: str) -> list[dict[str, Any]]:
    found = []
    for name, each in document.get("Parameters", {}).items():
        default = {"DefaultValue": str(each["Default"])} if "Default" in each else {}
        described = {"Description": each["Description"]} if "Description" in each else {}
        kind = {typed[0]: each[typed[1]]} if typed else {}
        found.append({"ParameterKey": name, **default, **described, **kind, "NoEcho": False})
    return found
