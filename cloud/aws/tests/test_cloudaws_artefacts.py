"""The bucket that the template goes through: made closed, removed again, and each refusal with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from smartcity.aws import artefacts
from smartcity.aws.artefacts import artefact_bucket, remove_artefacts, uploaded
from smartcity.aws.errors import ConflictError, ServiceError

ACCOUNT, REGION = "123456789012", "ca-central-1"
NAME = artefact_bucket(ACCOUNT, REGION)
OWNED = {"Bucket": NAME, "ExpectedBucketOwner": ACCOUNT}
KEYS = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": REGION}


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    # moto applies a bucket's policy without its conditions: it would refuse requests with TLS, too.
    monkeypatch.setattr(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
    with mock_aws():
        yield {name: boto3.client(name, **KEYS) for name in ("s3", "sts")}


def _names(clients: dict[str, Any]) -> list[str]:
    return [each["Name"] for each in clients["s3"].list_buckets()["Buckets"]]


def test_the_bucket_is_closed_and_its_objects_go(clients: dict[str, Any]) -> None:
    s3, said = clients["s3"], []
    with uploaded("a template", **clients, keep_bucket=True, say=said.append) as address:
        key = address.removeprefix(f"https://{NAME}.s3.{REGION}.amazonaws.com/")
        assert s3.get_object(Bucket=NAME, Key=key)["Body"].read() == b"a template"
        assert all(s3.get_public_access_block(Bucket=NAME)["PublicAccessBlockConfiguration"].values())
        rule = s3.get_bucket_encryption(Bucket=NAME)["ServerSideEncryptionConfiguration"]["Rules"][0]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        statement = json.loads(s3.get_bucket_policy(Bucket=NAME)["Policy"])["Statement"][0]
        assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
        assert s3.get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"][0]["Expiration"]["Days"] == 1
    assert s3.list_objects_v2(Bucket=NAME)["KeyCount"] == 0
    assert _names(clients) == [NAME]
    assert said == []


@pytest.mark.parametrize("there_before", [True, False])
def test_what_was_made_for_a_template_goes_with_it(clients: dict[str, Any], there_before: bool) -> None:
    if there_before:
        clients["s3"].create_bucket(Bucket=NAME, CreateBucketConfiguration={"LocationConstraint": REGION})
    with (
        pytest.raises(RuntimeError, match="in between"),
        uploaded("a template", **clients, keep_bucket=False, say=print),
    ):
        raise RuntimeError("in between")
    assert _names(clients) == ([NAME] if there_before else [])


def test_destroy_removes_what_an_interrupted_run_left(clients: dict[str, Any]) -> None:
    assert remove_artefacts(**clients) == []
    with uploaded("a template", **clients, keep_bucket=True, say=print):
        pass
    clients["s3"].put_object(Bucket=NAME, Key="templates/left.yaml", Body=b"x")
    assert remove_artefacts(**clients) == [f"bucket {NAME}: removed"]
    assert _names(clients) == []


@pytest.fixture
def stubs() -> Iterator[tuple[dict[str, Any], Stubber]]:
    clients = {name: boto3.client(name, **KEYS) for name in ("s3", "sts")}
    with Stubber(clients["s3"]) as s3, Stubber(clients["sts"]) as sts:
        sts.add_response("get_caller_identity", {"Account": ACCOUNT})
        yield clients, s3
        s3.assert_no_pending_responses()


def _upload(clients: dict[str, Any], said: list[str] | None = None, *, keep: bool = False) -> str:
    say = [].append if said is None else said.append
    with uploaded("a template", **clients, keep_bucket=keep, say=say, sleep=lambda _: None) as address:
        return address


def _protected(s3: Stubber) -> None:
    for call in (
        "put_public_access_block",
        "put_bucket_encryption",
        "put_bucket_policy",
        "put_bucket_lifecycle_configuration",
    ):
        parameters = {"put_public_access_block": "PublicAccessBlockConfiguration", "put_bucket_policy": "Policy"}
        parameters |= {"put_bucket_encryption": "ServerSideEncryptionConfiguration"}
        what = parameters.get(call, "LifecycleConfiguration")
        s3.add_response(call, {}, {**OWNED, what: ANY})


def test_a_name_of_another_account_is_named(stubs: tuple[dict[str, Any], Stubber]) -> None:
    clients, s3 = stubs
    s3.add_client_error("head_bucket", "403", "Forbidden", 403, expected_params=OWNED)
    with pytest.raises(ConflictError, match=rf"{NAME}, .*another account's, or these credentials may not see it"):
        _upload(clients)


def test_a_name_that_is_taken_meanwhile_is_named(stubs: tuple[dict[str, Any], Stubber]) -> None:
    clients, s3 = stubs
    s3.add_client_error("head_bucket", "404", "Not Found", 404)
    s3.add_client_error("create_bucket", "BucketAlreadyExists", "taken", 409)
    with pytest.raises(ConflictError, match=rf"{NAME} is taken by another account"):
        _upload(clients)


def test_no_right_to_make_the_bucket_is_named(stubs: tuple[dict[str, Any], Stubber]) -> None:
    clients, s3 = stubs
    s3.add_client_error("head_bucket", "404", "Not Found", 404)
    s3.add_client_error("create_bucket", "AccessDenied", "no", 403)
    with pytest.raises(ServiceError, match=rf"{NAME}: CreateBucket is not allowed \(AccessDenied: no\)"):
        _upload(clients)


def test_a_name_that_s3_has_not_freed_yet_is_waited_for(stubs: tuple[dict[str, Any], Stubber]) -> None:
    clients, s3 = stubs
    s3.add_client_error("head_bucket", "404", "Not Found", 404)
    for _ in range(artefacts.CREATE_ATTEMPTS_MAX):
        s3.add_client_error("create_bucket", "OperationAborted", "in progress", 409)
    with pytest.raises(ConflictError, match="still removing an earlier bucket"):
        _upload(clients)


def test_no_right_to_write_is_named_and_a_bucket_made_for_it_goes(stubs: tuple[dict[str, Any], Stubber]) -> None:
    clients, s3 = stubs
    s3.add_client_error("head_bucket", "404", "Not Found", 404)
    s3.add_response("create_bucket", {})
    _protected(s3)
    s3.add_client_error("put_object", "AccessDenied", "no", 403)
    s3.add_response("delete_object", {}, {**OWNED, "Key": ANY})
    s3.add_response("delete_bucket", {}, OWNED)
    with pytest.raises(ServiceError, match="PutObject is not allowed"):
        _upload(clients)


def test_what_cannot_be_removed_is_said(stubs: tuple[dict[str, Any], Stubber]) -> None:
    clients, s3 = stubs
    s3.add_response("head_bucket", {}, OWNED)
    _protected(s3)
    s3.add_response("put_object", {}, {**OWNED, "Key": ANY, "Body": b"a template"})
    s3.add_client_error("delete_object", "AccessDenied", "no", 403)
    said: list[str] = []
    assert _upload(clients, said).startswith(f"https://{NAME}.s3.{REGION}.amazonaws.com/templates/")
    assert said == [f"bucket {NAME}: stays, with the template for a day: AccessDenied: no"]


def test_another_failure_of_s3_is_not_hidden(stubs: tuple[dict[str, Any], Stubber]) -> None:
    clients, s3 = stubs
    s3.add_client_error("head_bucket", "500", "Internal", 500)
    with pytest.raises(botocore.exceptions.ClientError, match="500"):
        _upload(clients)


def test_what_an_endpoint_of_ones_own_does_not_serve_is_named(stubs: tuple[dict[str, Any], Stubber]) -> None:
    clients, s3 = stubs
    s3.add_response("head_bucket", {}, OWNED)
    s3.add_client_error("put_public_access_block", "NotImplemented", http_status_code=501)
    s3.add_client_error("put_bucket_encryption", "NotImplemented", http_status_code=501)
    s3.add_response("put_bucket_policy", {}, {**OWNED, "Policy": ANY})
    s3.add_client_error("put_bucket_lifecycle_configuration", "NotImplemented", http_status_code=501)
    s3.add_response("put_object", {}, {**OWNED, "Key": ANY, "Body": b"a template"})
    s3.add_response("delete_object", {}, {**OWNED, "Key": ANY})
    said: list[str] = []
    _upload(clients, said)
    unserved = "PutPublicAccessBlock, PutBucketEncryption, PutBucketLifecycleConfiguration"
    assert said == [f"bucket {NAME}: this S3 endpoint does not serve {unserved}"]
