"""Settings of the lake's processes: flags over the environment over defaults, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

DEFAULT_BUCKET = "smartcity-lake"
DEFAULT_REGION = "us-east-1"

SUBMITTED = "submitted"
"""As a master: `spark-submit` started us (EMR, Kubernetes), and has said master, jars, memory and Python already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where the lake lies, and how AWS is reached. Credentials stay in the environment, where AWS's libraries look."""

    bucket: str
    region: str
    endpoint: str | None = None
    """AWS_ENDPOINT_URL: the local AWS; None means AWS itself."""
    s3_endpoint: str | None = None
    """AWS_ENDPOINT_URL_S3, or `endpoint`."""

    @property
    def warehouse(self) -> str:
        return f"s3://{self.bucket}/warehouse"

    @property
    def checkpoint(self) -> str:
        return f"s3a://{self.bucket}/{self.checkpoint_prefix}"

    @property
    def checkpoint_prefix(self) -> str:
        """Key prefix of the checkpoint's objects, without a slash at its end."""
        return "checkpoints/stream"

    def pyiceberg(self) -> dict[str, Any]:
        """Where Glue and S3 are, in pyiceberg's names."""
        wanted = {"client.region": self.region, "glue.endpoint": self.endpoint, "s3.endpoint": self.s3_endpoint}
        return {name: value for name, value in wanted.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Executors:
    """Those that a standalone master starts for us. Under `local[N]` the driver does their work in its own memory."""

    memory: str = "700m"
    """Heap of each; its Python workers, which store frames, come on top."""
    cores: int = 1
    cores_max: int | None = None
    """Of all executors together; None: whatever the master has. Say it where there are more than two: a batch is read
    in as many tasks as the driver knew of cores when it started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that one driver needs to know."""

    kafka: str
    storage: Storage
    jars: Path
    master: str = "local[2]"
    driver_memory: str = "1g"
    executors: Executors = Executors()
    shuffle_partitions: int = 2
    """Tasks of a step that brings equal keys together: as many as there are cores, in a small batch no more."""
    ui_port: int | None = None
    """Where Spark's own pages and REST API are served; None for nowhere."""
    trigger_s: float = 10.0
    offsets_per_trigger_max: int = 20_000
    """The most records in one batch: bounds memory, since a batch is cached."""
    http: tuple[str, int] | None = None
    """Where `/metrics` and `/healthz` are served; None for nowhere."""
    available_now: bool = False
    """Read what Kafka has, then end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How old something is before maintenance deletes it."""

    snapshots_keep: timedelta = timedelta(hours=1)
    """Longer than any query on the lake runs, and than clocks of two writers differ."""
    orphans_after: timedelta = timedelta(days=3)
    """Longer than a writer may pause between writing a file and committing it (SIGSTOP, a laptop asleep)."""


def read_storage(bucket: str, environment: Mapping[str, str] = os.environ) -> Storage:
    """The bucket's place by AWS's own variables, which boto3, Spark and pyiceberg read too."""
    endpoint = environment.get("AWS_ENDPOINT_URL") or None
    return Storage(
        bucket=bucket,
        region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or DEFAULT_REGION,
        endpoint=endpoint,
        s3_endpoint=environment.get("AWS_ENDPOINT_URL_S3") or endpoint,
    )
