"""Trino over the local Glue and S3: Athena's SQL engine is a Trino, so it is the judge of what ours answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import trino

from smartcity.local.jars import provide
from smartcity.local.programs import find_java

from .conftest import CREDENTIALS, Endpoints, free_port

JAVA_MAJORS = (25, 24)
JAVA_REMEDY = "a JDK 24 or 25 (Trino asks for one), for instance Temurin's, and set JAVA_HOME to it"
START_TIMEOUT_S = 240
TABLES = "hive"
"""The catalog to ask: it hands Iceberg's tables to the other one."""


def install(folder: Path) -> Path:
    """The unpacked server with its two connectors; downloaded where that was not done yet (800 MB).

    Raises:
        LocalError: there is no fitting JDK, or no network.
    """
    archives, server = folder / "archives", folder / "server"
    provide("trino", archives, find_java(), print)
    if not (server / "complete").exists():
        shutil.rmtree(server, ignore_errors=True)
        [core] = archives.glob("*.tar.gz")
        with tarfile.open(core) as packed:
            packed.extractall(server, filter="data")
        [home] = server.iterdir()
        for name in ("hive", "iceberg"):
            [archive] = archives.glob(f"trino-{name}-*.zip")
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(server)
            (server / archive.stem).rename(home / "plugin" / name)
        (server / "complete").touch()
    return next(path for path in server.iterdir() if path.is_dir())


class Trino:
    """One server, in the foreground of a folder of its own. Bound to loopback."""

    def __init__(self, home: Path, folder: Path, endpoints: Endpoints) -> None:
        self._port = free_port()
        self._log = folder / "trino.log"
        etc = folder / "etc"
        _configure(etc, self._port, folder, endpoints)
        java = find_java(JAVA_MAJORS, JAVA_REMEDY)
        command = [str(java.program), "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += ["--add-modules=jdk.incubator.vector", "--sun-misc-unsafe-memory-access=allow"]
        command += [f"-Dnode.data-dir={folder}", "-Dnode.id=judge", "-Dnode.environment=judge"]
        command += [f"-Dconfig={etc / 'config.properties'}", f"-Dlog.levels-file={etc / 'log.properties'}"]
        command += ["-cp", f"{home}/lib/*", "io.trino.server.TrinoServer"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)
        self._await()

    def _await(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/v1/info", timeout=2) as answer:
                    if b'"starting":false' in answer.read():
                        return
            except OSError:
                pass
            time.sleep(0.5)
        self.stop()
        raise AssertionError(self._log.read_text()[-4000:])

    def rows(self, sql: str, schema: str) -> list[tuple[Any, ...]]:
        """A query's rows, in the types of Python's DB API."""
        with trino.dbapi.connect(
            host="127.0.0.1", port=self._port, user="judge", catalog=TABLES, schema=schema, timezone="UTC"
        ) as connection:
            return [tuple(row) for row in connection.cursor().execute(sql).fetchall()]

    def stop(self) -> None:
        self._server.terminate()
        try:
            self._server.wait(30)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()


def _configure(etc: Path, port: int, folder: Path, endpoints: Endpoints) -> None:
    (etc / "catalog").mkdir(parents=True)
    _write(
        etc / "config.properties",
        {
            "coordinator": "true",
            "node-scheduler.include-coordinator": "true",
            "http-server.http.port": str(port),
            "node.bind-ip": "127.0.0.1",
            "node.internal-address": "127.0.0.1",
            "discovery.uri": f"http://127.0.0.1:{port}",
            "catalog.config-dir": str(etc / "catalog"),
            "plugin.dir": "plugin",
            "query.max-memory": "400MB",
            "query.max-memory-per-node": "400MB",
        },
    )
    _write(etc / "log.properties", {"io.trino": "WARN"})
    shared = {
        "hive.metastore": "glue",
        "hive.metastore.glue.region": CREDENTIALS["region_name"],
        "hive.metastore.glue.endpoint-url": endpoints.aws_url,
        "hive.metastore.glue.aws-access-key": CREDENTIALS["aws_access_key_id"],
        "hive.metastore.glue.aws-secret-key": CREDENTIALS["aws_secret_access_key"],
        "fs.native-s3.enabled": "true",
        "s3.endpoint": endpoints.s3_url,
        "s3.region": CREDENTIALS["region_name"],
        "s3.path-style-access": "true",
        "s3.aws-access-key": CREDENTIALS["aws_access_key_id"],
        "s3.aws-secret-key": CREDENTIALS["aws_secret_access_key"],
    }
    _write(
        etc / "catalog" / "hive.properties",
        {"connector.name": "hive", "hive.iceberg-catalog-name": "iceberg", "hive.parquet.use-column-names": "true"}
        | shared,
    )
    _write(
        etc / "catalog" / "iceberg.properties",
        {"connector.name": "iceberg", "iceberg.catalog.type": "glue"}
        | {key: value for key, value in shared.items() if key != "hive.metastore"},
    )


def _write(file: Path, properties: dict[str, str]) -> None:
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
