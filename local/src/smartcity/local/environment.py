"""The environment in which every part of the stack runs: AWS's own variables, so that boto3, Spark and pyiceberg
reach the local endpoints unchanged, and nothing of the caller's AWS account."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

REGION = "us-east-1"
BUCKET = "smartcity-lake"
LOCAL_KEY = "test"
"""The local endpoints take any key; this one says that it is none."""

FORBIDDEN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
"""Variables that would lead a part of the local stack to a real account."""


def endpoints(*, aws_url: str, s3_url: str) -> dict[str, str]:
    """Where AWS's libraries find the local AWS."""
    return {"AWS_ENDPOINT_URL": aws_url, "AWS_ENDPOINT_URL_S3": s3_url}


def stack_environment(*, var: Path) -> dict[str, str]:
    """What the stack adds to the environment of each of its processes."""
    return {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": LOCAL_KEY,
        "AWS_SECRET_ACCESS_KEY": LOCAL_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        # A profile of the caller's could name another endpoint or region.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SMARTCITY_VAR": str(var),
        "SMARTCITY_BUCKET": BUCKET,
        "NO_PROXY": _no_proxy(),
        "no_proxy": _no_proxy(),
        "PYTHONUNBUFFERED": "1",
        "PYSPARK_PYTHON": sys.executable,
    }


def child_environment(additions: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without what leads to a real AWS account, with the additions on top."""
    kept = {name: value for name, value in os.environ.items() if name not in FORBIDDEN}
    return {**kept, **additions}


def _no_proxy() -> str:
    """A caller's HTTP proxy must not be asked for our own loopback addresses."""
    named = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    parts = [part for part in named.split(",") if part]
    return ",".join(dict.fromkeys([*parts, "127.0.0.1", "localhost"]))
