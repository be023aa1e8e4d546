"""The devices under fire: `smartcity-sim run` as processes that are killed and started again on their state."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from smartcity.local.demo_drive import SIMULATOR

START = "2026-03-02T12:00:00Z"
RESTART_PAUSE_S = 0.5
"""As the supervisor pauses for the services."""
STOP_TIMEOUT_S = 30.0
DISK_FULL = "Check the disk's space"
"""What the outbox's error says."""
DRAIN_TIMEOUT_S = 120.0

Heads = Mapping[tuple[str, str], int]
"""Last sequence of each (device, boot)."""


class Simulator:
    """One process of devices on one route, and its state folder, which outlives it."""

    def __init__(
        self, route: str, *, broker: str, state: Path, seed: int, speed: float, log: Path, pending_max: int | None
    ) -> None:
        self.state = state
        self._log = log
        self._command = [str(SIMULATOR), "run", "--broker", broker, "--route", route, "--vehicles", "2"]
        self._command += ["--state", str(state), "--seed", str(seed), "--start", START, "--speed", f"{speed:g}"]
        self._command += ["--frame-interval", "300", "--quiet"]
        if pending_max is not None:
            self._command += ["--pending-max", str(pending_max)]
        self._process: subprocess.Popen[bytes] | None = None
        self._due: float | None = None
        self.deaths_unwanted = 0
        self.may_end = False
        """While its disk is full."""

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self._due = None
        self._process = self._run("--until", "never")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._due = time.monotonic() + RESTART_PAUSE_S

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def watch(self) -> None:
        """Starts it again where it has been killed, or has ended by itself, which is counted."""
        if self.alive:
            return
        if self._due is None:
            self.deaths_unwanted += not self.may_end
            self._due = time.monotonic() + RESTART_PAUSE_S
        elif time.monotonic() >= self._due:
            self.start()

    def said(self, text: str) -> int:
        """How often its log says so."""
        return self._log.read_text(errors="replace").count(text)

    def stop(self) -> None:
        """Ends it in order, then lets the devices run for a simulated second, so that nothing stays in the outbox."""
        if self.alive:
            assert self._process is not None
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        drain = self._run("--duration", "1", "--until", "never", "--drain-timeout-s", f"{DRAIN_TIMEOUT_S:g}")
        try:
            drain.wait(DRAIN_TIMEOUT_S + STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            drain.kill()
            drain.wait()

    def abandon(self) -> None:
        """Kills it, if it lives, for good."""
        if self.alive:
            self.kill()

    def dropped(self) -> int:
        """How many readings found no room in its outbox."""
        path = self.state / "outbox.db"
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as db:
            return int(db.execute("SELECT count(*) FROM dropped").fetchone()[0])

    def heads(self) -> dict[tuple[str, str], int]:
        """How far each boot has got, by the devices' log."""
        path = self.state / "outbox.db"
        sql = "SELECT device_id, boot, coalesce(max(sequence), 0) FROM boots LEFT JOIN log USING (device_id, boot)"
        sql += " GROUP BY device_id, boot"
        with contextlib.suppress(sqlite3.OperationalError):
            if path.exists():
                with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as db:
                    return {(device, boot): last for device, boot, last in db.execute(sql)}
        return {}

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*self._command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(os.environ),
            )


def heads_of(simulators: Sequence[Simulator]) -> dict[tuple[str, str], int]:
    """Of all of them; no device lives in two."""
    return {boot: last for simulator in simulators for boot, last in simulator.heads().items()}
