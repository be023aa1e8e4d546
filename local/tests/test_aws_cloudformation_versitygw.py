"""Buckets of a stack at an S3 endpoint that does not know every setting, with the answers of versitygw 1.8.0."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.stub import ANY, Stubber

from smartcity.local.aws.cloudformation.kinds import Wanted
from smartcity.local.aws.cloudformation.s3 import Bucket, BucketPolicy

NAME = "a-lake"
UNKNOWN_KEY = "Policy has an invalid condition key"


@pytest.fixture
def s3() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def wanted(**properties: Any) -> Wanted:
    return Wanted(properties={"BucketName": NAME, "Bucket": NAME, **properties}, name=NAME, token="t")


def statement(sid: str, key: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Deny", "Principal": "*", "Condition": {"Bool": {key: "false"}}}


def test_a_bucket_is_made_with_what_the_endpoint_serves_and_the_rest_is_named(s3: tuple[Any, Stubber]) -> None:
    client, stub = s3
    stub.add_response("create_bucket", {}, {"Bucket": NAME})
    stub.add_client_error("put_bucket_encryption", "NotImplemented", http_status_code=501)
    stub.add_client_error("put_bucket_lifecycle_configuration", "NotImplemented", http_status_code=501)
    stub.add_response("put_bucket_tagging", {}, {"Bucket": NAME, "Tagging": ANY})
    stub.add_client_error("put_bucket_versioning", "VersioningNotConfigured", http_status_code=501)
    made = Bucket(lambda _: client).create(
        wanted(
            BucketEncryption={"ServerSideEncryptionConfiguration": []},
            LifecycleConfiguration={"Rules": []},
            Tags=[{"Key": "a", "Value": "b"}],
            VersioningConfiguration={"Status": "Enabled"},
        )
    )
    assert made.physical_id == NAME
    assert made.unserved == (
        "this S3 endpoint does not serve PutBucketEncryption, PutBucketLifecycleConfiguration, PutBucketVersioning"
    )


def test_any_other_refusal_of_a_setting_fails(s3: tuple[Any, Stubber]) -> None:
    client, stub = s3
    for code in ("NoSuchBucket", "AccessDenied"):
        stub.add_client_error("put_bucket_tagging", code)
        with pytest.raises(botocore.exceptions.ClientError, match=code):
            Bucket(lambda _: client).update(NAME, wanted(Tags=[]), {})


def test_a_policy_loses_the_statements_whose_condition_is_unknown(s3: tuple[Any, Stubber]) -> None:
    client, stub = s3
    tls, version = statement("TlsOnly", "aws:SecureTransport"), statement("Tls12", "s3:TlsVersion")
    document = {"Version": "2012-10-17", "Statement": [tls, version]}
    rest = {"Version": "2012-10-17", "Statement": [tls]}
    stub.add_client_error("put_bucket_policy", "MalformedPolicy", UNKNOWN_KEY, http_status_code=400)
    stub.add_response("put_bucket_policy", {}, {"Bucket": NAME, "Policy": json.dumps(rest)})
    made = BucketPolicy(lambda _: client).update(NAME, wanted(PolicyDocument=document), {})
    assert made.unserved == "this S3 endpoint does not serve s3:TlsVersion"


@pytest.mark.parametrize(
    ("text", "keys"), [("Policies must be valid JSON", ("s3:TlsVersion", "a:b")), (UNKNOWN_KEY, ("s3:TlsVersion",))]
)
def test_a_policy_that_is_wrong_otherwise_or_of_which_nothing_stays_fails(
    s3: tuple[Any, Stubber], text: str, keys: tuple[str, ...]
) -> None:
    client, stub = s3
    stub.add_client_error("put_bucket_policy", "MalformedPolicy", text, http_status_code=400)
    document = {"Version": "2012-10-17", "Statement": [statement(key, key) for key in keys]}
    with pytest.raises(botocore.exceptions.ClientError, match=text):
        BucketPolicy(lambda _: client).update(NAME, wanted(PolicyDocument=document), {})
