"""A command run again and again, one run at a time: what `smartcity-lake maintain --every` is.

Each run is a process of its own. Its memory is taken for the length of a run only, what it breaks it does not break in
the stream's driver, and killing it at any moment costs no more than the run.
"""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Sequence

from .errors import EXIT_OK, EXIT_TERMINAL, EXIT_USAGE
from .supervise import adopt_orphans, reap_group

_log = logging.getLogger(__name__)

POLL_S = 0.2


class Schedule:
    """Runs `command` whenever `every_s` have passed since the last run ended, the first time after `every_s`."""

    def __init__(self, command: Sequence[str], *, every_s: float, run_timeout_s: float) -> None:
        self._command = list(command)
        self._every_s = every_s
        self._run_timeout_s = run_timeout_s
        self._stopping = threading.Event()
        self.runs = 0

    def stop(self) -> None:
        """End, and kill the run that is under way. Safe in a signal handler."""
        self._stopping.set()

    def run(self) -> int:
        """EXIT_OK once stopped, else the code of a run that no repetition mends."""
        adopt_orphans()
        while not self._stopping.wait(self._every_s):
            code = self._run_once()
            self.runs += 1
            if code in (EXIT_USAGE, EXIT_TERMINAL):
                return code
        return EXIT_OK

    def _run_once(self) -> int | None:
        """The run's exit code; None if it was killed: the schedule was stopped, or it took too long."""
        process = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)
        left_s = self._run_timeout_s
        try:
            while process.poll() is None and left_s > 0 and not self._stopping.wait(POLL_S):
                left_s -= POLL_S
            code = process.poll()
        finally:
            reap_group(process)
        if left_s <= 0:
            _log.error("run killed after %g s; the next one in %g s", self._run_timeout_s, self._every_s)
        elif code not in (EXIT_OK, None):
            _log.warning("run ended with code %d; the next one in %g s", code, self._every_s)
        return code
