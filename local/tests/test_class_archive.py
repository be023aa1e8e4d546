"""The archive of Spark's classes: when it is made, and that a driver's JVM takes its classes from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smartcity.lake.jars import CLASS_ARCHIVE
from smartcity.local import class_archive
from smartcity.local.class_archive import provide_archive
from smartcity.local.layout import Layout, default_var
from smartcity.local.programs import Java, find_java
from smartcity.local.services.lake import JVM

JAVA = Java(program=Path("/nonexistent/bin/java"), major=17)
WRITER = "import pathlib, sys; pathlib.Path(sys.argv[2]).write_bytes(b'classes')"
SESSION = """
import sys, pathlib
from smartcity.lake.session import start_session
from smartcity.lake.settings import Settings, Storage
storage = Storage(bucket="unused", region="us-east-1")
start_session(Settings(kafka="unused", storage=storage, jars=pathlib.Path(sys.argv[1]))).stop()
"""


@pytest.fixture
def made_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Python that stands for the making, which `provide_archive` runs with a jar folder and a file to write."""
    python = [WRITER]
    run = subprocess.run

    def stand_in(command: list[str], **how: object) -> object:
        return run([sys.executable, "-c", python[0], *command[3:]], **how)  # type: ignore[call-overload]

    monkeypatch.setattr(class_archive.subprocess, "run", stand_in)
    return python


def test_an_archive_is_made_once_for_a_java(tmp_path: Path, made_by: list[str]) -> None:
    said: list[str] = []
    assert provide_archive(tmp_path, JAVA, said.append) is True
    assert (tmp_path / CLASS_ARCHIVE).read_bytes() == b"classes"
    assert provide_archive(tmp_path, JAVA, said.append) is False
    assert len(said) == 1
    assert provide_archive(tmp_path, Java(program=JAVA.program, major=21), said.append) is True


def test_an_archive_that_cannot_be_made_is_told_and_the_old_one_is_gone(tmp_path: Path, made_by: list[str]) -> None:
    said: list[str] = []
    assert provide_archive(tmp_path, JAVA, said.append)
    made_by[0] = "raise SystemExit('no room')"
    assert provide_archive(tmp_path, Java(program=JAVA.program, major=21), said.append) is False
    log = tmp_path / f"{CLASS_ARCHIVE}.log"
    assert str(log) in said[-1]
    assert "no room" in log.read_text()
    assert not (tmp_path / CLASS_ARCHIVE).exists()


def test_half_an_archive_is_none(tmp_path: Path, made_by: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_archive, "TIMEOUT_S", 1.0)
    made_by[0] = f"{WRITER}; import time; time.sleep(60)"
    assert provide_archive(tmp_path, JAVA, lambda line: None) is False
    assert not (tmp_path / CLASS_ARCHIVE).exists()


@pytest.mark.spark
def test_a_driver_takes_its_classes_from_the_archive(tmp_path: Path) -> None:
    jars = Layout(var=default_var()).jars("spark")
    assert (jars / CLASS_ARCHIVE).is_file(), "smartcity setup makes it"
    log = tmp_path / "classes.log"
    java = {"JAVA_HOME": str(find_java().home), "JAVA_TOOL_OPTIONS": f"{JVM} -Xlog:class+load:file={log}"}
    command = [sys.executable, "-c", SESSION, str(jars)]
    subprocess.run(command, env=os.environ | java, capture_output=True, check=True, timeout=300)
    of_spark = [line for line in log.read_text().splitlines() if "org.apache.spark." in line]
    from_archive = sum(line.endswith("shared objects file (top)") for line in of_spark)
    from_jars = sum(line.endswith(".jar") for line in of_spark)
    assert from_archive > 1_000 > from_jars
