"""The commands against a CloudFormation that has a state: moto's, in this process.

moto makes no Glue, Athena, Redshift or EMR resource and says CREATE_COMPLETE all the same. So this is a test of the
commands (change sets, events, parameters, deletion), and none of the resources; of those only the bucket is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.server import ThreadedMotoServer

from smartcity.aws import stack
from smartcity.aws.main import main

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "SMARTCITY_STACK", "SMARTCITY_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(stack, "POLL_MAX_S", 0.01)
    # moto applies a bucket's policy without its conditions: it would refuse requests with TLS, too.
    monkeypatch.setattr(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
    yield address
    server.stop()


def _run(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert main(list(arguments)) == code
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return shown.out if code == 0 else shown.err


def test_from_an_empty_account_to_an_empty_account(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("--stack", "city", "--bucket", "a-lake")
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    planned = _run(capsys, 0, "plan", *names)
    assert "Add     LakeBucket " in planned
    assert "sum " in planned
    assert s3.list_buckets()["Buckets"] == []
    assert "there is no stack city" in _run(capsys, 1, "status", "--stack", "city")

    deployed = _run(capsys, 0, "deploy", *names, "--yes")
    assert "CREATE_COMPLETE       city" in deployed
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["a-lake"]
    assert "city: CREATE_COMPLETE" in _run(capsys, 0, "status", "--stack", "city")

    again = _run(capsys, 0, "plan", "--stack", "city")
    assert "nothing to change" in again
    assert "bucket a-lake" in again
    assert "nothing to change" in _run(capsys, 0, "deploy", "--stack", "city", "--yes")
    artefacts = "smartcity-artefacts-123456789012-us-east-1"
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["a-lake", artefacts]

    s3.put_object(Bucket="a-lake", Key="marts/a", Body=b"12345")
    assert "nothing was deleted" in _run(capsys, 1, "destroy", "--stack", "city", "--yes", "another")
    assert "city: CREATE_COMPLETE" in _run(capsys, 0, "status", "--stack", "city")
    destroyed = _run(capsys, 0, "destroy", "--stack", "city", "--data", "--yes", "city")
    assert "1 objects with their versions, 5 bytes; will be DELETED" in destroyed
    assert "bucket a-lake: removed" in destroyed
    assert f"bucket {artefacts}: removed" in destroyed
    assert s3.list_buckets()["Buckets"] == []
    assert "there is no stack city" in _run(capsys, 1, "destroy", "--stack", "city", "--yes", "city")


def test_a_bucket_name_that_s3_refuses_leaves_no_stack(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = _run(capsys, 1, "deploy", "--bucket", "x", "--yes")
    assert "did not begin" in said
    assert "bucket" in said
    assert "there is no stack smartcity" in _run(capsys, 1, "status")
