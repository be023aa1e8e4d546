"""Preparing AWS through stubs, and the command's messages to someone whose AWS cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from smartcity.aws.errors import ConflictError
from smartcity.aws.main import main
from smartcity.aws.prepare import prepare
from smartcity.aws.saved import saved_names, saved_query
from smartcity.aws.settings import Settings, from_environment

SETTINGS = Settings(bucket="a-lake", region="ca-central-1")


@pytest.fixture
def clients() -> dict[str, Any]:
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "ca-central-1"}
    return {name: boto3.client(name, **keys) for name in ("s3", "glue", "athena")}


@pytest.fixture
def stubs(clients: dict[str, Any]) -> Iterator[dict[str, Stubber]]:
    with ExitStack() as stack:
        stubs = {name: stack.enter_context(Stubber(client)) for name, client in clients.items()}
        yield stubs
        for stub in stubs.values():
            stub.assert_no_pending_responses()


def _protect(s3: Stubber) -> None:
    s3.add_response("put_public_access_block", {}, {"Bucket": "a-lake", "PublicAccessBlockConfiguration": ANY})
    s3.add_response("put_bucket_encryption", {}, {"Bucket": "a-lake", "ServerSideEncryptionConfiguration": ANY})


def test_all_is_created_where_nothing_is(clients: dict[str, Any], stubs: dict[str, Stubber]) -> None:
    stubs["s3"].add_client_error("head_bucket", service_error_code="404", http_status_code=404)
    place = {"LocationConstraint": "ca-central-1"}
    stubs["s3"].add_response("create_bucket", {}, {"Bucket": "a-lake", "CreateBucketConfiguration": place})
    _protect(stubs["s3"])
    stubs["glue"].add_response("create_database", {}, {"DatabaseInput": ANY})
    stubs["athena"].add_client_error("get_work_group", service_error_code="InvalidRequestException")
    configuration = {
        "ResultConfiguration": {"OutputLocation": "s3://a-lake/athena-results/"},
        "EnforceWorkGroupConfiguration": True,
    }
    stubs["athena"].add_response(
        "create_work_group", {}, {"Name": "smartcity", "Description": ANY, "Configuration": configuration}
    )
    lines = prepare(SETTINGS, **clients)
    assert sum(": created" in line for line in lines) == 3


def test_nothing_is_created_twice(clients: dict[str, Any], stubs: dict[str, Stubber]) -> None:
    stubs["s3"].add_response("head_bucket", {}, {"Bucket": "a-lake"})
    _protect(stubs["s3"])
    stubs["glue"].add_client_error("create_database", service_error_code="AlreadyExistsException")
    results = {"ResultConfiguration": {"OutputLocation": "s3://a-lake/athena-results"}}
    group = {"WorkGroup": {"Name": "smartcity", "Configuration": results}}
    stubs["athena"].add_response("get_work_group", group, {"WorkGroup": "smartcity"})
    assert not any("created" in line for line in prepare(SETTINGS, **clients))


def test_an_endpoint_without_encryption_is_named(clients: dict[str, Any], stubs: dict[str, Stubber]) -> None:
    stubs["s3"].add_response("head_bucket", {}, {"Bucket": "a-lake"})
    stubs["s3"].add_client_error("put_public_access_block", service_error_code="NotImplemented")
    stubs["s3"].add_response("put_bucket_encryption", {}, None)
    stubs["glue"].add_client_error("create_database", service_error_code="AlreadyExistsException")
    results = {"ResultConfiguration": {"OutputLocation": SETTINGS.results}}
    stubs["athena"].add_response("get_work_group", {"WorkGroup": {"Name": "x", "Configuration": results}}, None)
    lines = prepare(SETTINGS, **clients)
    assert any("not public access blocked" in line and "PutPublicAccessBlock" in line for line in lines)


def test_a_foreign_bucket_and_a_foreign_workgroup_are_conflicts(
    clients: dict[str, Any], stubs: dict[str, Stubber]
) -> None:
    stubs["s3"].add_client_error("head_bucket", service_error_code="403", http_status_code=403)
    with pytest.raises(ConflictError, match="SMARTCITY_BUCKET"):
        prepare(SETTINGS, **clients)
    stubs["s3"].add_response("head_bucket", {}, {"Bucket": "a-lake"})
    _protect(stubs["s3"])
    stubs["glue"].add_response("create_database", {}, {"DatabaseInput": ANY})
    elsewhere = {"ResultConfiguration": {"OutputLocation": "s3://elsewhere/"}}
    stubs["athena"].add_response("get_work_group", {"WorkGroup": {"Name": "x", "Configuration": elsewhere}}, None)
    with pytest.raises(ConflictError, match="s3://elsewhere/"):
        prepare(SETTINGS, **clients)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "http://127.0.0.1:1"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, "AWS_ENDPOINT_URL"),
        ({"AWS_ACCESS_KEY_ID": None}, "no usable AWS credentials"),
        ({"AWS_PROFILE": "absent", "AWS_ACCESS_KEY_ID": None}, "absent"),
        ({"AWS_REGION": None}, "AWS_REGION"),
    ],
)
def test_the_command_says_what_is_wrong_with_aws(
    environment: dict[str, str | None],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Any,
) -> None:
    base = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": None,
        "AWS_PROFILE": None,
        "AWS_ENDPOINT_URL": None,
        "AWS_ENDPOINT_URL_ATHENA": None,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    given = {**base, **environment}
    if given["AWS_ACCESS_KEY_ID"] is None:
        given["AWS_SECRET_ACCESS_KEY"] = None
    for key, value in given.items():
        if value is None:
            monkeypatch.delenv(key, raising=False)
        else:
            monkeypatch.setenv(key, value)
    assert main(["query", "SELECT 1"]) == 1
    message = capsys.readouterr().err
    assert says in message
    assert "Traceback" not in message


def test_settings_come_from_the_environment() -> None:
    given = {"AWS_REGION": "eu-west-2", "SMARTCITY_BUCKET": "b", "SMARTCITY_DATABASE": "d", "SMARTCITY_WORKGROUP": "w"}
    settings = from_environment(given)
    assert (settings.region, settings.results) == ("eu-west-2", "s3://b/athena-results/")
    assert (settings.database, settings.workgroup) == ("d", "w")


def test_saved_queries_are_installed() -> None:
    assert {"mean_speed_per_10_km", "frames_per_camera", "incidents_by_type_and_status"} <= set(saved_names())
    assert "SELECT" in saved_query("frames_per_camera")
    assert main(["query", "--saved", "absent"]) == 1
