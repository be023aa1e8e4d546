"""`smartcity-lake maintain`, but for its lower limits: python -m tests.lake_kills.maintenance maintain …

A run of two minutes neither makes five files of a day nor lets a snapshot grow old. The long form needs none of this
and runs the command itself.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from smartcity.lake import main, maintain, maintain_command
from smartcity.lake.schedule import RUN_TIMEOUT_S, Job, Schedule, run_schedule

FILES_MIN = 2
EVERY_S = 15.0


def run() -> int:
    maintain.FILES_MIN = FILES_MIN
    maintain_command.SNAPSHOTS_KEEP_MIN = timedelta(seconds=1)
    if "--supervised" in sys.argv:
        return main.main()
    command = [sys.executable, "-m", "tests.lake_kills.maintenance", *sys.argv[1:], "--supervised"]
    job = Job(name="maintain", command=command, every_s=EVERY_S, first_s=EVERY_S, run_timeout_s=RUN_TIMEOUT_S)
    return run_schedule(Schedule(job))


if __name__ == "__main__":
    sys.exit(run())
