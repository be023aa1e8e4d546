"""An engine that answers, and images of ours that are up to date, once for all tests of this folder."""

from __future__ import annotations

import pytest

from .project import build, engine_complaint


@pytest.fixture(scope="session", autouse=True)
def _images() -> None:
    if complaint := engine_complaint():
        pytest.exit(f"make compose-test needs a container engine with Compose: {complaint}", returncode=1)
    build()
