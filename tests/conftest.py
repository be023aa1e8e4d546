"""The whole stack, once per test session, in a folder of its own; and what the end-to-end tests do to it."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from smartcity.local import process
from smartcity.local.jars import SETS, expected, missing
from smartcity.local.layout import Layout, default_var
from smartcity.local.services import Service
from smartcity.local.stack import Stack

START_TIMEOUT_S = 300
WEATHER_REPORT = {
    "latitude": 43.5183, "longitude": -79.8774, "temperature": 12.5, "condition": "clear", "precipitation": 0.0,
    "wind_speed": 9.0, "humidity": 50.0, "air_quality_index": 20.0,
}  # fmt: skip
"""A report as a station's native payload has it."""
BROKEN_NMEA = b"$GPRMC,081836,A,3751.65,S,14507.36,E,000.0,360.0,130998,011.3,E*00\r\n"
"""Its checksum would be 62."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack with empty data, on ports that are free. The jars are those of `make setup`."""
    var = tmp_path_factory.mktemp("stack") / "var"
    # Mosquitto, started by root, becomes the user `mosquitto`, who must be able to pass through.
    for folder in (*var.parents[:3],):
        folder.chmod(folder.stat().st_mode | 0o111)
    link_jars(var)
    running = Stack(var)
    try:
        assert running.up(progress=print) is not None
        yield running
    finally:
        running.down(progress=print)


def wait_for(condition: Callable[[], Any], timeout_s: float, what: str, poll_s: float = 0.5) -> Any:
    """Polls until the condition holds, and gives what it found.

    Raises:
        AssertionError: it does not within the time.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s for {what}"
        time.sleep(poll_s)
    return found


def has_time() -> bool:
    """Whether the machine does little else, so that a limit of seconds judges us and not its neighbours."""
    return os.getloadavg()[0] < 2 * (os.cpu_count() or 1)


def kill(stack: Stack, service: str) -> int:
    """kill -9 of a service and all its children; how many. The supervisor, unless it is the one, starts it again."""
    victims = list(process.members(stack.layout.var, service))
    assert victims, f"{service} does not run"
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims, timeout=10)
    return len(victims)


def patient(services: Iterable[Service]) -> tuple[Service, ...]:
    """The same services, with time to start beside whatever else a machine does."""
    return tuple(dataclasses.replace(service, start_timeout_s=START_TIMEOUT_S) for service in services)


def link_jars(var: Path) -> None:
    """The jars of `make setup`, for a stack in another folder."""
    jars = Layout(var=default_var())
    for name in SETS:
        wrong = missing(jars.jars(name), expected(name))
        assert not wrong, f"{wrong[0]} in {jars.jars(name)}; run: make setup"
        link(jars.jars(name), var / "jars" / name)


def link(source: Path, target: Path) -> None:
    """The same files once more, without copying them where the file system allows."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        try:
            os.link(path, target / path.name)
        except OSError:
            (target / path.name).symlink_to(path.resolve())
