"""The local S3 endpoint (see `smartcity.local.aws.s3`): what it answered as done is on disk."""

from __future__ import annotations

import sys

from .service import Place, Service, http_probe


def _command(place: Place) -> list[str]:
    data = str(place.layout.data("s3"))
    return [sys.executable, "-m", "smartcity.local.aws.s3", "--listen", place.address("s3"), "--data", data]


def _probe(place: Place) -> str | None:
    return http_probe(f"{place.url('s3')}/_ministack/health")


S3 = Service(name="s3", ports={"s3": 4567}, command=_command, probe=_probe, start_timeout_s=120, keeps_data=True)
