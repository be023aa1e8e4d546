"""The bucket through which the template goes to CloudFormation, which takes none above 51,200 bytes in a call.

One per account and region, made when it is missing: public access blocked, encrypted, TLS only, its objects gone after
a day. A template is removed again as soon as its change set is made. An S3 endpoint of one's own may not know some of
these settings: that is said, and the template holds no secret.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import botocore.exceptions

from .buckets import MISSING, block_public_access, create_bucket, encrypt, unserved
from .clients import error_code, error_message
from .errors import ConflictError, ServiceError

EXPIRY_DAYS = 1
CREATE_ATTEMPTS_MAX = 10
CREATE_WAIT_S = 3.0
"""S3 needs a moment before it gives the name of a bucket that was just removed to a new one."""
_DENIED = ("403", "AccessDenied", "Forbidden")


def artefact_bucket(account: str, region: str) -> str:
    """Its name."""
    return f"smartcity-artefacts-{account}-{region}"


@contextlib.contextmanager
def uploaded(
    text: str,
    *,
    s3: Any,
    sts: Any,
    keep_bucket: bool,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """The address of a template for `TemplateURL`, as long as the context lasts. A bucket that was made for it goes
    with it unless it is to be kept; what cannot be removed is said.

    Raises:
        ConflictError: the bucket's name is another account's, or not free yet.
        ServiceError: these credentials may not make it, or write to it.
    """
    account, region = sts.get_caller_identity()["Account"], s3.meta.region_name
    name = artefact_bucket(account, region)
    made = _ensure(s3, name, account, sleep)
    key = f"templates/{uuid.uuid4().hex}.yaml"
    try:
        with _explained(name):
            _protect(s3, name, account, say)
            s3.put_object(Bucket=name, Key=key, Body=text.encode(), ExpectedBucketOwner=account)
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        yield f"https://{name}.s3.{region}.{suffix}/{key}"
    finally:
        try:
            s3.delete_object(Bucket=name, Key=key, ExpectedBucketOwner=account)
            if made and not keep_bucket:
                s3.delete_bucket(Bucket=name, ExpectedBucketOwner=account)
        except botocore.exceptions.ClientError as error:
            say(f"bucket {name}: stays, with the template for a day: {_reason(error)}")


def remove_artefacts(*, s3: Any, sts: Any) -> list[str]:
    """Remove the bucket with what it holds: a line that says so, or why it stays; none where there was no bucket."""
    account = sts.get_caller_identity()["Account"]
    name = artefact_bucket(account, s3.meta.region_name)
    owner = {"Bucket": name, "ExpectedBucketOwner": account}
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(**owner):
            keys = [{"Key": each["Key"]} for each in page.get("Contents", [])]
            if keys:
                s3.delete_objects(**owner, Delete={"Objects": keys, "Quiet": True})
        s3.delete_bucket(**owner)
    except botocore.exceptions.ClientError as error:
        return [] if error_code(error) in MISSING else [f"bucket {name}: stays: {_reason(error)}"]
    return [f"bucket {name}: removed"]


def _ensure(s3: Any, name: str, account: str, sleep: Callable[[float], None]) -> bool:
    """Whether it was missing, and is made."""
    try:
        s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
        return False
    except botocore.exceptions.ClientError as error:
        if error_code(error) in _DENIED:
            raise ConflictError(
                f"the bucket {name}, through which the template goes to CloudFormation, is another account's, or these "
                "credentials may not see it (s3:ListBucket)"
            ) from None
        if error_code(error) not in MISSING:
            raise
    for _ in range(CREATE_ATTEMPTS_MAX):
        try:
            with _explained(name):
                create_bucket(s3, name)
            return True
        except botocore.exceptions.ClientError as error:
            if error_code(error) == "BucketAlreadyOwnedByYou":
                return False
            if error_code(error) == "BucketAlreadyExists":
                raise ConflictError(
                    f"the bucket name {name} is taken by another account, and the template goes to CloudFormation "
                    "through a bucket of this name: use another region or account, and ask AWS's support about the name"
                ) from None
            if error_code(error) != "OperationAborted":
                raise
        sleep(CREATE_WAIT_S)
    raise ConflictError(f"S3 is still removing an earlier bucket {name}: wait some minutes, and try again")


def _protect(s3: Any, name: str, account: str, say: Callable[[str], None]) -> None:
    """Its settings, written each time: who made it may have been stopped half way. Those that the endpoint does not
    serve are named.
    """
    owner = {"Bucket": name, "ExpectedBucketOwner": account}
    partition = s3.meta.partition
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:{partition}:s3:::{name}", f"arn:{partition}:s3:::{name}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    lifecycle = {
        "ID": "all",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Days": EXPIRY_DAYS},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": EXPIRY_DAYS},
    }
    settings: tuple[Callable[[], object], ...] = (
        lambda: block_public_access(s3, name, ExpectedBucketOwner=account),
        lambda: encrypt(s3, name, ExpectedBucketOwner=account),
        lambda: s3.put_bucket_policy(**owner, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})),
        lambda: s3.put_bucket_lifecycle_configuration(**owner, LifecycleConfiguration={"Rules": [lifecycle]}),
    )
    missing = [operation for put in settings if (operation := unserved(put))]
    if missing:
        say(f"bucket {name}: this S3 endpoint does not serve {', '.join(missing)}")


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in _DENIED:
            raise
        raise ServiceError(
            f"the template is longer than CloudFormation takes in a call, and goes through the bucket {name}: "
            f"{error.operation_name} is not allowed ({_reason(error)}). docs/aws.md lists the rights that it takes"
        ) from None


def _reason(error: Any) -> str:
    return f"{error_code(error)}: {error_message(error)}"
