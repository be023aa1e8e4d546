"""The local AWS and S3 endpoints as processes, for the tests that speak to them through boto3."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import pytest

READY_TIMEOUT_S = 120
CREDENTIALS = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "us-east-1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Endpoints:
    """Both processes over one folder. They can be killed, and started again on the same data."""

    folder: Path
    s3_port: int = field(default_factory=free_port)
    aws_port: int = field(default_factory=free_port)
    s3: subprocess.Popen[bytes] | None = None
    aws: subprocess.Popen[bytes] | None = None

    @property
    def s3_url(self) -> str:
        return f"http://127.0.0.1:{self.s3_port}"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"

    def start_s3(self) -> None:
        arguments = ["--listen", f"127.0.0.1:{self.s3_port}", "--data", str(self.folder / "s3")]
        self.s3 = self._start("s3", arguments, f"{self.s3_url}/_ministack/health")

    def start_aws(self) -> None:
        listen = f"127.0.0.1:{self.aws_port}"
        arguments = ["--listen", listen, "--data", str(self.folder / "aws"), "--s3", self.s3_url]
        self.aws = self._start("server", arguments, f"{self.aws_url}/healthz")

    def _start(self, module: str, arguments: list[str], page: str) -> subprocess.Popen[bytes]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        with (self.folder / f"{module}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"smartcity.local.aws.{module}", *arguments],
                stdout=log,
                stderr=log,
                env=environment,
            )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with urllib.request.urlopen(page, timeout=2):
                    return process
            except OSError:
                time.sleep(0.05)
        process.kill()
        raise AssertionError((self.folder / f"{module}.log").read_text())

    def stop(self) -> None:
        for process in (self.s3, self.aws):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()

    def client(self, service: str, **config: Any) -> Any:
        url = self.s3_url if service == "s3" else self.aws_url
        settings = botocore.config.Config(
            **{"retries": {"total_max_attempts": 1}, "max_pool_connections": 30, "read_timeout": 30, **config}
        )
        return boto3.client(service, endpoint_url=url, config=settings, **CREDENTIALS)

    def iceberg_properties(self) -> dict[str, str]:
        return {
            "warehouse": "s3://smartcity-lake/warehouse",
            "glue.endpoint": self.aws_url,
            "glue.region": "us-east-1",
            "glue.access-key-id": "local",
            "glue.secret-access-key": "local",
            "s3.endpoint": self.s3_url,
            "s3.region": "us-east-1",
            "s3.access-key-id": "local",
            "s3.secret-access-key": "local",
        }


@pytest.fixture(scope="session")
def aws_endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """Both endpoints, shared by all tests, with the lake's bucket and database."""
    endpoints = Endpoints(folder=tmp_path_factory.mktemp("aws"))
    try:
        endpoints.start_s3()
        endpoints.start_aws()
        endpoints.client("s3").create_bucket(Bucket="smartcity-lake")
        endpoints.client("glue").create_database(DatabaseInput={"Name": "smartcity"})
        yield endpoints
    finally:
        endpoints.stop()


@pytest.fixture
def own_endpoints(tmp_path: Path) -> Iterator[Endpoints]:
    """Endpoints of one test, which starts and kills them."""
    endpoints = Endpoints(folder=tmp_path)
    yield endpoints
    endpoints.stop()
