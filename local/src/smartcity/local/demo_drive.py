"""The demo's devices: `smartcity-sim run` as a process of its own, as it would be beside any broker."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smartcity.contracts.envelope import format_time
from smartcity.contracts.routes import ROUTE_NAMES

from .errors import LocalError

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""Morning in Toronto, noon in London; long ago, so that no event time lies in the future."""
SPEED = 150.0
SEED = 1
READINGS_MIN = 20_000
SIM_TIMEOUT_S = 900.0
SIM_STOP_TIMEOUT_S = 20.0
SIMULATOR = Path(sys.executable).with_name("smartcity-sim")

Say = Callable[[str], None]


class DemoError(LocalError):
    """The demo could not be run to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """What to drive. The same seed and start drive the same drive."""

    speed: float = SPEED
    seed: int = SEED
    start: datetime = START
    readings_min: int = READINGS_MIN
    secure: bool = False
    """Start the stack with identities; a running one stays as it is."""


class Drive:
    """`smartcity-sim run` as a process of its own, as it would be beside any broker."""

    def __init__(
        self,
        broker: str,
        settings: DemoSettings,
        state: Path,
        log: Path,
        say: Say,
        *,
        identity: Path | None = None,
    ) -> None:
        self._command = [
            *(str(SIMULATOR), "run", "--broker", broker, "--vehicles", "1"),
            *(part for name in ROUTE_NAMES for part in ("--route", name)),
            *("--seed", str(settings.seed), "--start", format_time(settings.start), "--speed", f"{settings.speed:g}"),
            # At this speed few devices say as much as a fleet does.
            *("--state", str(state), "--until", "arrived", "--json", "--transport", "fleet"),
            *(("--identity", str(identity)) if identity else ()),
        ]
        self._log = log
        self._say = say
        # The simulated clock never passes now, so a later start would only wait.
        if settings.start > datetime.now(UTC) - timedelta(days=1):
            raise DemoError(f"the start {settings.start:%Y-%m-%d} must lie at least a day in the past")

    def __enter__(self) -> Drive:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._output: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_output, name="sim-output", daemon=True),
            threading.Thread(target=self._read_progress, name="sim-progress", daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self._deadline = time.monotonic() + SIM_TIMEOUT_S
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(SIM_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def running(self) -> bool:
        if time.monotonic() > self._deadline:
            raise DemoError(f"the devices have not arrived after {SIM_TIMEOUT_S:.0f} s; see {self._log}")
        return self._process.poll() is None

    def wait(self, seconds: float) -> None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def summary(self) -> dict[str, Any]:
        """What the simulator says at its end.

        Raises:
            DemoError: it failed.
        """
        for reader in self._readers:
            reader.join()
        if self._process.returncode:
            raise DemoError(f"smartcity-sim ended with exit code {self._process.returncode}; see {self._log}")
        summary: dict[str, Any] = json.loads("".join(self._output))
        return summary

    def _read_output(self) -> None:
        assert self._process.stdout is not None
        self._output.extend(self._process.stdout)

    def _read_progress(self) -> None:
        assert self._process.stderr is not None
        with self._log.open("a", encoding="utf-8") as log:
            for line in self._process.stderr:
                log.write(line)
                log.flush()
                if "has arrived" in line:
                    self._say(line.strip())
