"""Where the lake is. Region, credentials and endpoints come the way boto3 reads them (`AWS_*`, profiles, roles)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from smartcity.contracts.tables import DATABASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Names in one AWS account and region. `region` None leaves it to boto3's own configuration."""

    region: str | None = None
    bucket: str = "smartcity-lake"
    database: str = DATABASE
    workgroup: str = "smartcity"
    stack: str = "smartcity"
    query_timeout_s: float = 600.0

    @property
    def results(self) -> str:
        """Where Athena writes its results."""
        return f"s3://{self.bucket}/athena-results/"

    @property
    def warehouse(self) -> str:
        """Where Iceberg tables live."""
        return f"s3://{self.bucket}/warehouse"


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from `SMARTCITY_BUCKET`, `_DATABASE`, `_WORKGROUP` and `_STACK`, and `AWS_REGION`."""
    given = os.environ if environment is None else environment
    default = Settings()
    return Settings(
        region=given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION"),
        bucket=given.get("SMARTCITY_BUCKET", default.bucket),
        database=given.get("SMARTCITY_DATABASE", default.database),
        workgroup=given.get("SMARTCITY_WORKGROUP", default.workgroup),
        stack=given.get("SMARTCITY_STACK", default.stack),
    )
