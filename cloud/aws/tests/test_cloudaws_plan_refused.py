"""`smartcity-aws plan` where it cannot work, as a process of its own: one line, within seconds, and nothing else.

The credentials are refused by an emulator that checks signatures, tokens and policies (`refusing_aws`), not by a stub.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

ACCOUNT = "111122229999"
TIMEOUT_S = 60
"""In which it must have ended, on a busy machine too; docs/aws.md has what it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A home without credentials, and variables."""

    home: Path
    variables: dict[str, str]

    def plan(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "smartcity.aws.main", "plan", *arguments],
            env=self.variables | {"HOME": str(self.home)} | variables,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def says(self, *arguments: str, **variables: str) -> str:
        """The one line of a plan that fails."""
        ended = self.plan(*arguments, **variables)
        assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
        [line] = ended.stderr.splitlines()
        assert line.startswith("smartcity-aws: ")
        return line


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Nothing of AWS comes from outside: no variable, no file, no instance's role, no proxy."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "PYTHONPATH", "LANG")}
    return Place(home=tmp_path, variables={**kept, "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "us-east-1"})


def _keys(access: str = "AKIAIOSFODNN7EXAMPLE", secret: str = "wrong", token: str = "") -> dict[str, str]:
    keys = {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}
    return keys | ({"AWS_SESSION_TOKEN": token} if token else {})


# ---- An account that cannot be reached.


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent() -> Iterator[str]:
    """Connects, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_closed_port(place: Place) -> None:
    address = f"http://127.0.0.1:{_closed_port()}"
    said = place.says(AWS_ENDPOINT_URL=address, **_keys())
    assert f"the endpoint {address}/ cannot be reached (EndpointConnectionError)" in said
    assert "unset AWS_ENDPOINT_URL" in said


def test_a_name_that_nobody_knows(place: Place) -> None:
    said = place.says(AWS_ENDPOINT_URL="http://lake.invalid", **_keys())
    assert "the endpoint http://lake.invalid/ cannot be reached" in said


def test_an_endpoint_that_never_answers_is_given_up(place: Place, silent: str) -> None:
    began = time.monotonic()
    said = place.says(AWS_ENDPOINT_URL=silent, **_keys())
    assert f"the endpoint {silent}/ cannot be reached (ReadTimeoutError)" in said
    assert time.monotonic() - began > 10


def test_aws_itself_behind_a_proxy_that_is_down(place: Place) -> None:
    proxy = f"http://127.0.0.1:{_closed_port()}"
    said = place.says(HTTPS_PROXY=proxy, **_keys())
    assert f"the proxy {proxy}" in said
    assert "check HTTPS_PROXY" in said


def test_aws_itself_without_a_way_there(place: Place) -> None:
    """Its name leads nowhere: as without a network, but for the name's resolution."""
    hosts = """
import socket
real = socket.getaddrinfo
def nowhere(host, *rest, **more):
    if "amazonaws" in str(host):
        raise socket.gaierror(-3, "Temporary failure in name resolution")
    return real(host, *rest, **more)
socket.getaddrinfo = nowhere
"""
    (place.home / "sitecustomize.py").write_text(hosts)
    path = os.pathsep.join(filter(None, [str(place.home), place.variables.get("PYTHONPATH")]))
    said = place.says(PYTHONPATH=path, **_keys())
    assert "the endpoint https://cloudformation.us-east-1.amazonaws.com/ cannot be reached" in said
    assert "Check the network" in said
    assert "local stack" not in said


# ---- Credentials that are missing or refused.


def test_no_credentials(place: Place) -> None:
    said = place.says()
    assert "no usable AWS credentials: Unable to locate credentials" in said
    assert "aws sso login" in said


def test_half_of_a_key(place: Place) -> None:
    assert "no usable AWS credentials: Partial credentials" in place.says(AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE")


def test_a_profile_that_is_not_there(place: Place) -> None:
    said = place.says(AWS_PROFILE="city")
    assert "no usable AWS credentials: The config profile (city) could not be found" in said


def test_a_profile_that_was_never_logged_in(place: Place) -> None:
    (place.home / ".aws").mkdir()
    (place.home / ".aws" / "config").write_text(
        "[profile city]\nsso_session = city\nsso_account_id = 111122223333\nsso_role_name = deploy\n"
        "[sso-session city]\nsso_region = us-east-1\nsso_start_url = https://city.awsapps.com/start\n"
    )
    said = place.says(AWS_PROFILE="city")
    assert "no usable AWS credentials" in said
    assert "aws sso login" in said


def test_a_configuration_that_cannot_be_read(place: Place) -> None:
    (place.home / ".aws").mkdir()
    (place.home / ".aws" / "config").write_text("[profile city\nregion us-east-1\n")
    said = place.says()
    assert "no usable AWS credentials: Unable to parse config file" in said
    assert str(place.home / ".aws" / "config") in said


def test_a_key_that_nobody_has(place: Place, refusing_aws: str) -> None:
    said = place.says(AWS_ENDPOINT_URL=refusing_aws, **_keys())
    assert "AWS does not accept the credentials (InvalidClientTokenId: " in said
    assert "Check AWS_ACCESS_KEY_ID" in said


@pytest.fixture
def deployer(refusing_aws: str) -> dict[str, str]:
    """Keys of somebody who may do nothing yet."""
    iam = boto3.client(
        "iam",
        endpoint_url=refusing_aws,
        region_name="us-east-1",
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="root",
    )
    name = f"deployer-{time.monotonic_ns()}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return _keys(key["AccessKeyId"], key["SecretAccessKey"])


def test_a_key_with_another_secret(place: Place, refusing_aws: str, deployer: dict[str, str]) -> None:
    said = place.says(AWS_ENDPOINT_URL=refusing_aws, **(deployer | {"AWS_SECRET_ACCESS_KEY": "another"}))
    assert "AWS does not accept the credentials (SignatureDoesNotMatch: " in said


def test_no_permission(place: Place, refusing_aws: str, deployer: dict[str, str]) -> None:
    said = place.says(AWS_ENDPOINT_URL=refusing_aws, **deployer)
    assert "DescribeStacks is not allowed (AccessDenied: " in said
    assert "not authorized to perform: cloudformation:DescribeStacks" in said
    assert "the role lacks the permission" in said


def test_a_token_that_has_expired(place: Place, refusing_aws: str) -> None:
    sts = boto3.client(
        "sts",
        endpoint_url=refusing_aws,
        region_name="us-east-1",
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="root",
        config=boto3.session.Config(parameter_validation=False),
    )
    given = sts.get_session_token(DurationSeconds=1)["Credentials"]
    keys = _keys(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    time.sleep(1.1)  # Its life, which the emulator gives shorter than AWS would.
    said = place.says(AWS_ENDPOINT_URL=refusing_aws, **keys)
    assert "the credentials have expired (ExpiredToken" in said
    assert "log in again" in said


def test_a_token_of_another_key(place: Place, refusing_aws: str, deployer: dict[str, str]) -> None:
    said = place.says(AWS_ENDPOINT_URL=refusing_aws, AWS_SESSION_TOKEN="another", **deployer)
    assert "AWS does not accept the credentials" in said


# ---- Regions.


def test_no_region(place: Place) -> None:
    said = place.says(AWS_REGION="", **_keys())
    assert "no AWS region is set: set AWS_REGION" in said


@pytest.mark.parametrize(
    ("region", "words"),
    [("mars-1", "no region mars-1"), ("us_east_1", "us_east_1"), ("us-iso-west-1", "us-iso-west-1")],
)
def test_a_region_that_is_none_or_lacks_what_is_needed(place: Place, region: str, words: str) -> None:
    said = place.says("--region", region, **_keys())
    assert words in said


def test_a_region_without_a_service_that_was_asked_for(place: Place) -> None:
    lacking = sorted(_all_regions("cloudformation") - _all_regions("redshift-serverless"))
    said = place.says("--region", lacking[0], "--parameter", "CreateRedshift=true", **_keys())
    assert f"there is no redshift-serverless in the region {lacking[0]}" in said
    assert "--parameter CreateRedshift=false" in said


def _all_regions(service: str) -> set[str]:
    return set(boto3.Session().get_available_regions(service))
