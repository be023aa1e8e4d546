"""Commands run again and again, one run at a time: what `maintain --every` and `marts --every` are.

Each run is a process of its own. Its memory is taken for the length of a run only, what it breaks it does not break in
the stream's driver, and killing it at any moment costs no more than the run. Several jobs take turns, so that there is
never more than one JVM beside the stream's. SIGUSR1 makes those due that may be hurried.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import EXIT_OK, EXIT_TERMINAL, EXIT_USAGE
from .pages import serve
from .schedule_metrics import JobMetrics
from .supervise import adopt_orphans, reap_group

_log = logging.getLogger(__name__)

POLL_S = 0.2
RUN_TIMEOUT_S = 6 * 3600.0
"""Longer than maintenance or marts of a large lake take: what runs still then hangs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """What is run, `every_s` after its last run has ended, the first time after `first_s`."""

    name: str
    command: Sequence[str]
    every_s: float
    first_s: float
    run_timeout_s: float
    """A run is killed after this long."""
    hurried: bool = False
    """Due at once when the schedule is told to hurry."""


class Schedule:
    """Runs each job when it is due; of those that are due, the one that has been for longest."""

    def __init__(self, *jobs: Job) -> None:
        self._due = {job: time.monotonic() + job.first_s for job in jobs}
        self._stopping = threading.Event()
        self._hurrying = False
        self.runs: list[str] = []
        """Names of the jobs that ran, in their order."""
        self.metrics = JobMetrics(job.name for job in jobs)

    def stop(self) -> None:
        """End, and kill the run that is under way. Safe in a signal handler."""
        self._stopping.set()

    def hurry(self) -> None:
        """Run what may be hurried as soon as nothing else runs. Safe in a signal handler."""
        self._hurrying = True

    def run(self) -> int:
        """EXIT_OK once stopped, else the code of the last job's run that no repetition mends.

        Such a run takes its job out of the schedule; the others go on.
        """
        adopt_orphans()
        code: int | None = EXIT_OK
        while self._due:
            job = self._await_due()
            if job is None:
                return EXIT_OK
            code = self._run_once(job)
            self.runs.append(job.name)
            if code in (EXIT_USAGE, EXIT_TERMINAL):
                _log.error("%s ended with code %d, which no repetition mends: it is not run again", job.name, code)
                del self._due[job]
            else:
                self._due[job] = time.monotonic() + job.every_s
        return EXIT_OK if code is None else code

    def _await_due(self) -> Job | None:
        """The job that is to be run now; None once stopped."""
        while True:
            if self._hurrying:
                self._hurrying = False
                now = time.monotonic()
                self._due.update({job: min(due, now) for job, due in self._due.items() if job.hurried})
            job = min(self._due, key=self._due.__getitem__)
            left_s = self._due[job] - time.monotonic()
            self.metrics.turned()
            if self._stopping.wait(min(max(left_s, 0.0), POLL_S)):
                return None
            if left_s <= 0:
                return job

    def _run_once(self, job: Job) -> int | None:
        """The run's exit code; None if it was killed: the schedule was stopped, or it took too long."""
        process = subprocess.Popen(job.command, stdin=subprocess.PIPE, start_new_session=True)
        began, left_s = time.monotonic(), job.run_timeout_s
        self.metrics.began(job.name)
        try:
            while process.poll() is None and left_s > 0 and not self._stopping.wait(POLL_S):
                self.metrics.turned()
                left_s -= POLL_S
            code = process.poll()
        finally:
            reap_group(process)
        self.metrics.ended(job.name, time.monotonic() - began, code)
        if left_s <= 0:
            _log.error("%s killed after %g s; the next run in %g s", job.name, job.run_timeout_s, job.every_s)
        elif code not in (EXIT_OK, EXIT_USAGE, EXIT_TERMINAL, None):
            _log.warning("%s ended with code %d; the next run in %g s", job.name, code, job.every_s)
        return code


def run_schedule(schedule: Schedule, http: tuple[str, int] | None = None) -> int:
    """Until SIGTERM or SIGINT; SIGUSR1 hurries it. Its exit code.

    Raises:
        TerminalError: the address for /metrics and /healthz is taken.
    """
    if http is not None:
        serve(schedule.metrics.pages(), http)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: schedule.stop())
    signal.signal(signal.SIGUSR1, lambda *_: schedule.hurry())
    return schedule.run()
