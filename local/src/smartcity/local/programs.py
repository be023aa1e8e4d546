"""Finding the programs that the system's package manager provides: Mosquitto and Java."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import SetupError

JAVA_VERSIONS = (17, 21)
"""Spark 4.0 supports both; Kafka 4.3 needs at least 17."""

MOSQUITTO_PLACES = ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto")
JAVA_PLACES = (
    "/usr/lib/jvm/*{major}*/bin/java",
    "/opt/homebrew/opt/openjdk@{major}/bin/java",
    "/usr/local/opt/openjdk@{major}/bin/java",
)
MOSQUITTO_REMEDY = "sudo apt-get install mosquitto mosquitto-clients   (macOS: brew install mosquitto)"
JAVA_REMEDY = "sudo apt-get install openjdk-17-jre-headless   (macOS: brew install openjdk@17), or set JAVA_HOME to one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Java:
    """A Java runtime: its program and its major version."""

    program: Path
    major: int

    @property
    def home(self) -> Path:
        return self.program.resolve().parent.parent


def find_mosquitto() -> Path:
    """The broker. Debian keeps it in /usr/sbin, which is not on every user's PATH.

    Raises:
        SetupError: there is none.
    """
    for candidate in (shutil.which("mosquitto"), *MOSQUITTO_PLACES):
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    raise SetupError(f"mosquitto is not installed; install it:  {MOSQUITTO_REMEDY}")


def find_java(majors: Sequence[int] = JAVA_VERSIONS, remedy: str = JAVA_REMEDY) -> Java:
    """The first Java of these versions (Kafka and Spark both run on the usual ones): JAVA_HOME, PATH, then the usual
    places.

    Raises:
        SetupError: there is none, or only others; names what was found.
    """
    rejected = []
    for candidate in _java_candidates(majors):
        major = java_major(candidate)
        if major is not None and major in majors:
            return Java(program=candidate, major=major)
        rejected.append(f"{candidate} is " + (f"version {major}" if major else "not a working Java"))
    wanted = " or ".join(map(str, majors))
    if rejected:
        raise SetupError(f"no Java {wanted}: {'; '.join(rejected)}; install one:  {remedy}")
    raise SetupError(f"no Java found ({wanted} is needed); install it:  {remedy}")


def missing_programs() -> list[str]:
    """Which of `mosquitto`, `mosquitto_pub` and `java` set-up has to install."""
    missing = []
    for name, find in (("mosquitto", find_mosquitto), ("java", find_java)):
        try:
            find()
        except SetupError:
            missing.append(name)
    if shutil.which("mosquitto_pub") is None:
        missing.append("mosquitto_pub")
    return missing


def java_major(program: Path) -> int | None:
    """Major version that `java -version` tells, or None where it cannot be run."""
    try:
        run = subprocess.run([str(program), "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_java_version(run.stderr + run.stdout)


def parse_java_version(text: str) -> int | None:
    """Major version in the output of `java -version`: `"17.0.15"` is 17, and the old form `"1.8.0_392"` is 8."""
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None


def _java_candidates(majors: Sequence[int]) -> Iterator[Path]:
    seen: set[Path] = set()
    named = os.environ.get("JAVA_HOME")
    on_path = shutil.which("java")
    places = [str(Path(named) / "bin" / "java")] if named else []
    places += [on_path] if on_path else []
    for major in majors:
        for pattern in JAVA_PLACES:
            places += sorted(map(str, Path("/").glob(pattern.format(major=major).lstrip("/"))))
    for place in map(Path, places):
        if place.resolve() not in seen and (place.exists() or (named and place.is_relative_to(named))):
            seen.add(place.resolve())
            yield place
