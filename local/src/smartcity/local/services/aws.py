"""The local AWS endpoint (`smartcity.local.aws.server`): its Glue and Athena execute. And what the lake needs in it."""

from __future__ import annotations

import os
import subprocess
import sys

from ..environment import child_environment
from ..errors import ServiceError
from .service import Place, Service, console_script, http_probe

PREPARE_TIMEOUT_S = 60


def _command(place: Place) -> list[str]:
    data = str(place.layout.data("aws"))
    command = [sys.executable, "-m", "smartcity.local.aws.server", "--listen", place.address("aws"), "--data", data]
    return [*command, "--s3", place.url("s3")]


def _probe(place: Place) -> str | None:
    return http_probe(f"{place.url('aws')}/healthz")


def _prepare_account(place: Place) -> None:
    """Bucket, Glue database and Athena workgroup, through the same command that prepares a real account."""
    try:
        run = subprocess.run(
            [console_script("smartcity-aws"), "prepare"],
            env=child_environment(place.environment()),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PREPARE_TIMEOUT_S,
            check=False,
            cwd=os.fspath(place.layout.var),
        )
    except subprocess.TimeoutExpired as error:
        # S3 hangs, say. The supervisor survives a ServiceError and tries again.
        raise ServiceError(f"aws: smartcity-aws prepare took longer than {PREPARE_TIMEOUT_S} s") from error
    if run.returncode != 0:
        raise ServiceError(f"aws: smartcity-aws prepare failed: {(run.stderr or run.stdout).strip()[-800:]}")


AWS = Service(
    name="aws",
    needs=("s3",),
    ports={"aws": 4566},
    command=_command,
    probe=_probe,
    finish=_prepare_account,
    start_timeout_s=120,
    keeps_data=True,
)
