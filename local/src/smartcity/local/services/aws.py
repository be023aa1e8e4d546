"""The local AWS endpoint (`smartcity.local.aws.server`), and in it the stack that an account would have."""

from __future__ import annotations

import os
import subprocess
import sys

from ..environment import child_environment
from ..errors import ServiceError
from .service import Place, Service, console_script, http_probe

DEPLOY_TIMEOUT_S = 120


def _command(place: Place) -> list[str]:
    data = str(place.layout.data("aws"))
    command = [sys.executable, "-m", "smartcity.local.aws.server", "--listen", place.address("aws"), "--data", data]
    return [*command, "--s3", place.url("s3")]


def _probe(place: Place) -> str | None:
    return http_probe(f"{place.url('aws')}/healthz")


def _deploy(place: Place) -> None:
    """All of the template, warehouse included, through the command that deploys it to a real account. Repeatable."""
    try:
        run = subprocess.run(
            [console_script("smartcity-aws"), "deploy", "--yes", "--parameter", "CreateRedshift=true"],
            env=child_environment(place.environment()),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEPLOY_TIMEOUT_S,
            check=False,
            cwd=os.fspath(place.layout.var),
        )
    except subprocess.TimeoutExpired as error:
        # S3 hangs, say. The supervisor survives a ServiceError and tries again.
        raise ServiceError(f"aws: smartcity-aws deploy took longer than {DEPLOY_TIMEOUT_S} s") from error
    if run.returncode != 0:
        raise ServiceError(f"aws: smartcity-aws deploy failed: {(run.stderr or run.stdout).strip()[-800:]}")


AWS = Service(
    name="aws",
    needs=("s3",),
    ports={"aws": 4566},
    command=_command,
    probe=_probe,
    finish=_deploy,
    start_timeout_s=120,
    keeps_data=True,
)
