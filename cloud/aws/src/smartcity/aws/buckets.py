"""What every bucket of ours is: made where the region's rule allows, closed to the public, and encrypted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.exceptions

from .clients import error_code

MISSING = ("404", "NoSuchBucket", "NotFound")
"""Codes with which S3 says that a bucket is not there."""
_UNSERVED = ("NotImplemented", "VersioningNotConfigured", "MethodNotAllowed", "UnknownOperationException")
"""Codes with which an S3 that is not Amazon's says that it does not know a setting of buckets."""
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def create_bucket(s3: Any, name: str) -> None:
    """In the client's region; botocore's ClientError where S3 refuses."""
    region = s3.meta.region_name
    # us-east-1 is the one region that must not be named.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **place)


def block_public_access(s3: Any, name: str, **owner: str) -> None:
    """All four blocks. `owner`: ExpectedBucketOwner, where another's bucket of the name must not be touched."""
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(_BLOCKS, True), **owner)


def encrypt(s3: Any, name: str, **owner: str) -> None:
    """SSE-S3 for what is written from now on; `owner` as above."""
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]}, **owner)


def unserved(put: Callable[[], object]) -> str:
    """Make a call that sets something of a bucket. The operation's name where the endpoint does not serve it, else
    nothing; botocore's ClientError for any other refusal.
    """
    try:
        put()
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in _UNSERVED:
            raise
        return str(error.operation_name)
    return ""
