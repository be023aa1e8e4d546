"""Each failure that the doctor knows is named, with its remedy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NoReturn

import pytest

from smartcity.contracts.identity import IdentityError
from smartcity.edge.check import Finding
from smartcity.edge.errors import FolderError
from smartcity.local import programs
from smartcity.local.doctor import Check, Probes, aws_wanted, examine
from smartcity.local.errors import SetupError
from smartcity.local.programs import Java, find_java, find_mosquitto, parse_java_version


def healthy() -> Probes:
    return Probes(
        python_version=lambda: (3, 12),
        package_missing=lambda name: False,
        mosquitto=lambda: Path("/usr/sbin/mosquitto"),
        java=lambda: Java(program=Path("/usr/bin/java"), major=17),
        jars_wrong=lambda name: [],
        port_holder=lambda port: None,
        gateway=None,
        disk_free_bytes=lambda: 50_000_000_000,
        memory_bytes=lambda: 8_000_000_000,
        write=lambda: None,
        aws_identity=lambda: "arn:aws:iam::123456789012:user/someone",
    )


def raising(error: Exception) -> Any:
    def probe() -> NoReturn:
        raise error

    return probe


def bad(probes: Probes, *, aws: bool = False) -> list[Check]:
    return [check for check in examine(probes, aws=aws) if check.level != "ok"]


def test_a_healthy_machine_has_nothing_to_report() -> None:
    assert bad(healthy(), aws=True) == []


@pytest.mark.parametrize(
    ("change", "name", "detail", "remedy"),
    [
        ({"python_version": lambda: (3, 10)}, "python", "3.10 is too old", "make setup"),
        ({"package_missing": lambda name: name == "pyspark"}, "packages", "pyspark missing", "make setup"),
        (
            {"jars_wrong": lambda name: ["a.jar is missing"] * (name == "kafka")},
            "kafka jars",
            "a.jar",
            "smartcity setup",
        ),
        ({"disk_free_bytes": lambda: 10**9}, "disk", "1.0 GB free, 4.0 GB are needed", "make room"),
        ({"memory_bytes": lambda: 10**9}, "memory", "1.0 GB free", "close other programs"),
        ({"write": raising(PermissionError("denied"))}, "var", "denied", "SMARTCITY_VAR"),
        ({"aws_identity": raising(RuntimeError("no credentials"))}, "aws", "no credentials", "AWS_PROFILE"),
    ],
)
def test_a_failure_is_named_with_its_remedy(change: dict[str, Any], name: str, detail: str, remedy: str) -> None:
    [check] = bad(dataclasses.replace(healthy(), **change), aws=True)
    assert (check.name, check.level) == (name, "failure")
    assert detail in check.detail
    assert remedy in check.remedy


def test_a_busy_port_names_its_holder_and_does_not_fail() -> None:
    probes = dataclasses.replace(healthy(), port_holder=lambda port: "mosquitto (pid 812)" if port == 1883 else None)
    [check] = bad(probes)
    assert (check.name, check.level) == ("port 1883", "warning")
    assert "mosquitto (pid 812)" in check.detail
    assert "next free port" in check.remedy


def test_real_credentials_are_not_asked_for_unless_wanted() -> None:
    probes = dataclasses.replace(healthy(), aws_identity=raising(AssertionError("must not be called")))
    assert bad(probes, aws=False) == []
    assert aws_wanted({"AWS_PROFILE": "work"})
    assert not aws_wanted({"AWS_PROFILE": "work", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"})
    assert not aws_wanted({})


def test_a_missing_mosquitto_is_named_with_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs.shutil, "which", lambda name: None)
    monkeypatch.setattr(programs, "MOSQUITTO_PLACES", ())
    with pytest.raises(SetupError, match="apt-get install mosquitto"):
        find_mosquitto()
    [check] = bad(dataclasses.replace(healthy(), mosquitto=find_mosquitto))
    assert check.detail == "mosquitto is not installed"
    assert "apt-get install mosquitto" in check.remedy


def java_place(tmp_path: Path, version: str) -> Path:
    program = tmp_path / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    return program


def test_a_java_of_the_wrong_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = java_place(tmp_path, "11.0.2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(programs.shutil, "which", lambda name: None)
    monkeypatch.setattr(programs, "JAVA_PLACES", ())
    [check] = bad(dataclasses.replace(healthy(), java=find_java))
    assert f"no Java 17 or 21: {program} is version 11" in check.detail
    assert "JAVA_HOME" in check.remedy


def test_no_java_at_all_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(programs.shutil, "which", lambda name: None)
    monkeypatch.setattr(programs, "JAVA_PLACES", ())
    with pytest.raises(SetupError, match=r"no Java found.*install it:.*openjdk-17"):
        find_java()


def test_a_java_21_in_java_home_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = java_place(tmp_path, "21.0.4")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert find_java() == Java(program=program, major=21)


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("command not found", None),
    ],
)
def test_java_versions_are_read(text: str, major: int | None) -> None:
    assert parse_java_version(text) == major


def test_the_gateway_is_examined_where_it_has_identities() -> None:
    good = Finding(level="good", text="as it should be")
    asked: list[int] = []
    probes = dataclasses.replace(healthy(), gateway=lambda: [good], port_holder=asked.append)
    assert bad(probes) == []
    assert 8883 in asked
    assert 1883 not in asked


@pytest.mark.parametrize(
    ("gateway", "level", "detail"),
    [
        (lambda: [Finding(level="bad", text="lets a revoked certificate in")], "failure", "revoked certificate in"),
        (lambda: [Finding(level="note", text="ends within 7 days: veh-001")], "warning", "veh-001"),
        (raising(FolderError("authority.key cannot be read")), "failure", "authority.key"),
        (raising(IdentityError("probe.pem is no identity bundle")), "failure", "probe.pem"),
    ],
)
def test_what_is_wrong_at_the_gateway_is_named(gateway: Any, level: str, detail: str) -> None:
    [check] = bad(dataclasses.replace(healthy(), gateway=gateway))
    assert (check.name, check.level) == ("gateway", level)
    assert detail in check.detail
    assert "smartcity-edge check" in check.remedy
