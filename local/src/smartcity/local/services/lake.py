"""Spark's streaming query from Kafka into the lake."""

from __future__ import annotations

from ..environment import BUCKET
from ..errors import ServiceError
from ..jars import expected, missing
from ..programs import find_java
from .service import Place, Service, console_script, http_probe

JVM = "-XX:TieredStopAtLevel=1"
"""The second compiler would take more, on a machine that runs everything, than a local city would give back."""


def _prepare(place: Place) -> None:
    wrong = missing(place.layout.jars("spark"), expected("spark"))
    if wrong:
        raise ServiceError(f"lake: {wrong[0]} in {place.layout.jars('spark')}; run: smartcity setup")


def _command(place: Place) -> list[str]:
    command = [console_script("smartcity-lake"), "run", "--kafka", place.address("kafka")]
    command += ["--bucket", BUCKET, "--jars", str(place.layout.jars("spark"))]
    return [*command, "--http", place.address("lake_http")]


def spark_environment(place: Place) -> dict[str, str]:
    """What Spark needs beside what every service gets."""
    java = {"JAVA_HOME": str(find_java().home), "JAVA_TOOL_OPTIONS": JVM}
    return {**java, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(place.layout.data("spark-scratch"))}


def _probe(place: Place) -> str | None:
    return http_probe(f"{place.url('lake_http')}/healthz")


LAKE = Service(
    name="lake",
    needs=("aws", "kafka"),
    ports={"lake_http": 8082},
    prepare=_prepare,
    command=_command,
    environment=spark_environment,
    probe=_probe,
    uses_aws=True,
    start_timeout_s=300,
    stop_timeout_s=40,
)
