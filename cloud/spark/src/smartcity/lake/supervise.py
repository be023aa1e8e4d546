"""The supervisor: keeps one driver running, and never two.

Two drivers on one checkpoint could both append the same batch. So an old driver and its JVM are killed and reaped
before another starts, and a driver whose supervisor dies ends with it (`drive.die_with_supervisor`), even one that is
stopped (SIGSTOP) and could be woken when another has done its batch.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from .errors import EXIT_OK, EXIT_TERMINAL, EXIT_TRANSIENT, EXIT_USAGE, TransientError

_log = logging.getLogger(__name__)

BACK_OFF_FIRST_S = 1.0
BACK_OFF_MAX_S = 30.0
STEADY_S = 120.0
"""A driver that ran this long makes the back-off start anew."""

REAP_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 120.0
"""How long a driver may take to finish its batch after SIGTERM."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Supervisor:
    """Starts `command` and restarts it until it ends well, ends for good, or `stop` is called."""

    def __init__(self, command: Sequence[str], *, back_off_first_s: float = BACK_OFF_FIRST_S) -> None:
        self._command = list(command)
        self._back_off_first_s = back_off_first_s
        self._stopping = threading.Event()
        self._driver: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def stop(self) -> None:
        """Ask the driver to end after its batch. Safe in a signal handler."""
        self._stopping.set()

    def run(self) -> int:
        """The exit code: OK after an orderly end, else what the driver ended with for good."""
        adopt_orphans()
        back_off_s = self._back_off_first_s
        while not self._stopping.is_set():
            started = time.monotonic()
            code = self._run_driver()
            if self._stopping.is_set():
                return EXIT_OK if code in (EXIT_OK, -signal.SIGKILL) else EXIT_TRANSIENT
            if code in (EXIT_OK, EXIT_USAGE, EXIT_TERMINAL):
                return code
            if time.monotonic() - started > STEADY_S:
                back_off_s = self._back_off_first_s
            _log.warning("driver ended with code %d: starting another in %.1f s", code, back_off_s)
            self._stopping.wait(back_off_s)
            back_off_s = min(back_off_s * 2, BACK_OFF_MAX_S)
        return EXIT_OK

    def _run_driver(self) -> int:
        driver = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)
        self.starts += 1
        _log.info("driver %d started", driver.pid)
        try:
            while driver.poll() is None and not self._stopping.wait(0.2):
                pass
            if driver.poll() is None:
                driver.terminate()
                try:
                    driver.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    _log.warning("driver %d did not end within %g s: killing it", driver.pid, STOP_TIMEOUT_S)
        finally:
            reap_group(driver)
        return driver.returncode


def reap_group(leader: subprocess.Popen[bytes], timeout_s: float = REAP_TIMEOUT_S) -> None:
    """Kill what is left of the leader's process group, and return when nothing of it runs.

    Raises:
        TransientError: something of it still runs after the timeout.
    """
    deadline = time.monotonic() + timeout_s
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGKILL)
    leader.wait(timeout_s)
    if leader.stdin is not None:
        leader.stdin.close()
    while _group_runs(leader.pid):
        if time.monotonic() > deadline:
            raise TransientError(f"process group {leader.pid} still runs {timeout_s:g} s after SIGKILL")
        time.sleep(0.05)


def _group_runs(group: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0] != 0:
            pass
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so for a group of which only dead members are left.
        return False
    return True


def adopt_orphans() -> None:
    """On Linux, a killed driver's JVM becomes our child, so that its end can be waited for."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """On Linux, the kernel kills this process when the thread that started it ends, whatever state this one is in."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
