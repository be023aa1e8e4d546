"""The check of the jar folders, and the agreement of the lists with who uses the jars."""

from __future__ import annotations

import hashlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from smartcity.lake.jars import SPARK_JARS
from smartcity.local.jars import Jar, expected, ivy_module, missing, parse_list, provide
from smartcity.local.programs import Java

CONTENT = b"a jar's bytes"
JAR = Jar(
    group="org.example",
    artifact="thing",
    version="1.0",
    size_bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


def test_a_whole_folder_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "thing-1.0.jar").write_bytes(CONTENT)
    assert missing(tmp_path, [JAR], digests=True) == []


def test_a_missing_jar_is_named(tmp_path: Path) -> None:
    assert missing(tmp_path, [JAR]) == ["thing-1.0.jar is missing"]


def test_half_a_jar_is_named_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "thing-1.0.jar").write_bytes(CONTENT[:5])
    assert missing(tmp_path, [JAR]) == ["thing-1.0.jar has 5 bytes instead of 13"]


def test_other_bytes_of_the_same_size_are_found_by_their_digest(tmp_path: Path) -> None:
    (tmp_path / "thing-1.0.jar").write_bytes(CONTENT[::-1])
    assert missing(tmp_path, [JAR]) == []
    assert missing(tmp_path, [JAR], digests=True) == ["thing-1.0.jar has another SHA-256 than expected"]


def test_a_jar_of_another_version_beside_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "thing-1.0.jar").write_bytes(CONTENT)
    (tmp_path / "thing-0.9.jar").write_bytes(b"")
    assert missing(tmp_path, [JAR]) == ["thing-0.9.jar does not belong here"]


def test_the_spark_list_is_what_the_lake_loads() -> None:
    assert {jar.coordinates for jar in expected("spark")} == {jar.coordinate for jar in SPARK_JARS}


def test_the_kafka_list_has_the_broker_and_a_logging_binding() -> None:
    artifacts = {jar.artifact: jar.version for jar in expected("kafka")}
    assert artifacts["kafka_2.13"] == artifacts["kafka-clients"] == artifacts["kafka-server"]
    assert "log4j-slf4j-impl" in artifacts


@pytest.mark.parametrize("name", ["kafka", "spark"])
def test_each_list_names_a_jar_once(name: str) -> None:
    names = [jar.file_name for jar in expected(name)]
    assert len(names) == len(set(names))


def test_the_ivy_module_asks_for_each_jar_alone() -> None:
    dependencies = ElementTree.fromstring(ivy_module(expected("kafka"))).findall(".//dependency")
    assert len(dependencies) == len(expected("kafka"))
    assert {each.get("transitive") for each in dependencies} == {"false"}


def test_a_whole_folder_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thing-1.0.jar").write_bytes(CONTENT)
    monkeypatch.setattr("smartcity.local.jars.expected", lambda name: (JAR,))
    nowhere = Java(program=Path("/nonexistent"), major=17)
    assert provide("kafka", tmp_path, nowhere, lambda line: None) is False


def test_comments_and_blank_lines_of_a_list_are_skipped() -> None:
    assert parse_list(f"# a comment\n\norg.example:thing:1.0 13 {JAR.sha256}\n") == (JAR,)
