"""An emulator that checks signatures, evaluates policies and refuses: MiniStack with `AUTH=true`, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

READY_TIMEOUT_S = 120


@pytest.fixture(scope="session")
def refusing_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL. Twelve digits as access key, with the secret `root`, are the root of that account."""
    folder = tmp_path_factory.mktemp("refusing")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")} | {
        "AUTH": "true",
        "AWS_SECRET_ACCESS_KEY": "root",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "SERVICES": "s3,iam,sts,glue,athena,logs,cloudformation",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
    }
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "ministack"], stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not _answers(f"{address}/_ministack/health"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def _answers(page: str) -> bool:
    try:
        with urllib.request.urlopen(page, timeout=2):
            return True
    except OSError:
        return False
