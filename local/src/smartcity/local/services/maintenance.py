"""Maintenance of the lake's tables and its marts, in turn, on a schedule: a JVM only while it works, and never two."""

from __future__ import annotations

from ..environment import BUCKET
from .lake import LAKE, spark_environment
from .service import Place, Service, console_script, http_probe

EVERY = "1h"
MARTS_EVERY = "5m"


def _command(place: Place) -> list[str]:
    command = [console_script("smartcity-lake"), "maintain", "--every", EVERY, "--marts-every", MARTS_EVERY]
    command += ["--bucket", BUCKET, "--jars", str(place.layout.jars("spark"))]
    return [*command, "--http", place.address("maintenance_http")]


def _probe(place: Place) -> str | None:
    return http_probe(f"{place.url('maintenance_http')}/healthz")


MAINTENANCE = Service(
    name="maintenance",
    needs=("lake",),
    ports={"maintenance_http": 8086},
    prepare=LAKE.prepare,
    command=_command,
    environment=spark_environment,
    probe=_probe,
    uses_aws=True,
    stop_timeout_s=40,
)
