"""The local AWS as a service of the stack: what its finishing step says when it cannot finish."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from smartcity.local.errors import ServiceError
from smartcity.local.layout import Layout
from smartcity.local.services import aws
from smartcity.local.services.service import Place


def test_a_deployment_that_hangs_is_an_error_of_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Anything else would end the supervisor, which calls this after each revival.
    def hang(command: list[str], **options: object) -> None:
        raise subprocess.TimeoutExpired(command, aws.DEPLOY_TIMEOUT_S)

    monkeypatch.setattr(subprocess, "run", hang)
    place = Place(layout=Layout(var=tmp_path), ports={"aws": 4566, "s3": 4567})
    with pytest.raises(ServiceError, match="deploy took longer than 120 s"):
        aws.AWS.finish(place)
