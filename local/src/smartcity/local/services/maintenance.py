"""Maintenance of the lake's tables and its marts, in turn, on a schedule: a JVM only while it works, and never two."""

from __future__ import annotations

from ..environment import BUCKET
from .lake import LAKE, spark_environment
from .service import Place, Service, console_script

EVERY = "1h"
MARTS_EVERY = "5m"


def _command(place: Place) -> list[str]:
    command = [console_script("smartcity-lake"), "maintain", "--every", EVERY, "--marts-every", MARTS_EVERY]
    return [*command, "--bucket", BUCKET, "--jars", str(place.layout.jars("spark"))]


def _probe(place: Place) -> str | None:
    """It listens nowhere: that it lives is all there is to ask, and is asked of every service."""
    return None


MAINTENANCE = Service(
    name="maintenance",
    needs=("lake",),
    prepare=LAKE.prepare,
    command=_command,
    environment=spark_environment,
    probe=_probe,
    uses_aws=True,
    stop_timeout_s=40,
)
