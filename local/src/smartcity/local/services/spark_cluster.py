"""A standalone Spark master and two workers, for the lake's driver to run its tasks on; one core each."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ServiceError
from ..ports import LOOPBACK
from ..programs import find_java
from .lake import LAKE
from .service import PROBE_TIMEOUT_S, Place, Service, http_probe

WORKERS = 2
WORKER_CORES = 1
WORKER_MEMORY = "800m"
"""What a worker may give to its executor, which takes 700 MB of heap."""
_DAEMON = {"SPARK_DAEMON_MEMORY": "256m", "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"}
# On another port than the one it was given nobody would find it, and it would take another stack's.
_OPTIONS = {"spark.port.maxRetries": "0"}
_MASTER_OPTIONS = {
    **_OPTIONS,
    # A master that is started again knows its workers and the driver, and the executors work on. Without, the driver
    # would wait for ever for a master that has forgotten it.
    "spark.deploy.recoveryMode": "FILESYSTEM",
    # How long it waits for those it knew, once everything was killed, before it gives executors to a new driver.
    "spark.deploy.recoveryTimeout": "15",
}
_WORKER_OPTIONS = {
    **_OPTIONS,
    # An executor's folder holds copies of the jars; those of ended drivers go after ten minutes.
    "spark.worker.cleanup.enabled": "true",
    "spark.worker.cleanup.interval": "60",
    "spark.worker.cleanup.appDataTtl": "600",
    "spark.executor.logs.rolling.strategy": "size",
    "spark.executor.logs.rolling.maxSize": "10000000",
    "spark.executor.logs.rolling.maxRetainedFiles": "3",
}


def _spark_class(*arguments: str) -> list[str]:
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise ServiceError("spark-master: pyspark is not installed; run: make setup")
    return [str(Path(found.origin).parent / "bin" / "spark-class"), *arguments]


def _master_command(place: Place) -> list[str]:
    command = _spark_class("org.apache.spark.deploy.master.Master", "--host", LOOPBACK)
    return [*command, "--port", str(place.ports["spark"]), "--webui-port", str(place.ports["spark_http"])]


def _environment(place: Place, scratch: str) -> dict[str, str]:
    local = place.layout.data("spark-scratch") / scratch
    java = {"JAVA_HOME": str(find_java().home), "SPARK_LOCAL_IP": LOOPBACK, "SPARK_LOCAL_DIRS": str(local)}
    recovery = {"spark.deploy.recoveryDirectory": str(place.layout.data("spark-recovery"))}
    options = {"SPARK_MASTER_OPTS": _java(_MASTER_OPTIONS | recovery), "SPARK_WORKER_OPTS": _java(_WORKER_OPTIONS)}
    return {**java, **_DAEMON, **options}


def _java(properties: dict[str, str]) -> str:
    return " ".join(f"-D{name}={value}" for name, value in properties.items())


def _master_probe(place: Place) -> str | None:
    return http_probe(f"{place.url('spark_http')}/json/")


def _worker_command(place: Place, *, number: int) -> list[str]:
    command = _spark_class("org.apache.spark.deploy.worker.Worker", "--host", LOOPBACK, "--cores", str(WORKER_CORES))
    command += ["--memory", WORKER_MEMORY, "--webui-port", str(place.ports[f"spark_worker_{number}"])]
    command += ["--work-dir", str(place.layout.data("spark-scratch") / f"work-{number}")]
    return [*command, f"spark://{place.address('spark')}"]


def ask_master(url: str) -> Any:
    """What the master's page says as JSON.

    Raises:
        OSError, ValueError: nothing, or no JSON.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=PROBE_TIMEOUT_S) as answer:
        return json.load(answer)


def _worker_probe(place: Place, *, number: int) -> str | None:
    """Well is a worker that its master counts as one."""
    url = f"{place.url('spark_http')}/json/"
    try:
        workers = ask_master(url)["workers"]
    except (OSError, ValueError) as error:
        return f"{url}: {error}"
    port = place.ports[f"spark_worker_{number}"]
    alive = any(worker["state"] == "ALIVE" and worker["webuiaddress"].endswith(f":{port}") for worker in workers)
    return None if alive else f"the master at {place.address('spark')} has no such worker"


SPARK_MASTER = Service(
    name="spark-master",
    ports={"spark": 7077, "spark_http": 8083},
    command=_master_command,
    environment=partial(_environment, scratch="master"),
    probe=_master_probe,
)


def _worker(number: int) -> Service:
    return Service(
        name=f"spark-worker-{number}",
        # Its executor writes to S3 with the keys and endpoints of the worker's environment.
        needs=("spark-master", "aws"),
        ports={f"spark_worker_{number}": 8083 + number},
        command=partial(_worker_command, number=number),
        environment=partial(_environment, scratch=f"worker-{number}"),
        probe=partial(_worker_probe, number=number),
        uses_aws=True,
    )


SPARK_WORKERS = tuple(_worker(number) for number in range(1, WORKERS + 1))


def _lake_command(place: Place) -> list[str]:
    command = [*LAKE.command(place), "--master", f"spark://{place.address('spark')}"]
    command += ["--cores-max", str(WORKERS * WORKER_CORES), "--executor-cores", str(WORKER_CORES)]
    return [*command, "--ui-port", str(place.ports["spark_ui"])]


LAKE_ON_CLUSTER = dataclasses.replace(
    LAKE,
    needs=(*LAKE.needs, SPARK_MASTER.name, *(worker.name for worker in SPARK_WORKERS)),
    ports={**LAKE.ports, "spark_ui": 4040},
    command=_lake_command,
)
