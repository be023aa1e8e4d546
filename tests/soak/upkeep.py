"""Maintenance and marts as the stack runs them, at a soak's pace: its limits are lowered here, and nothing else.

A soak's hour is a minute: what is kept for an hour is kept for a minute. Called without `run`, it is the schedule;
with it, one run of it.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta

from smartcity.lake import main as lake
from smartcity.lake import maintain_command
from smartcity.lake.schedule import Job, Schedule, run_schedule

RUN_TIMEOUT_S = 900.0


def main() -> int:
    if sys.argv[1:2] == ["run"]:
        maintain_command.SNAPSHOTS_KEEP_MIN = timedelta(seconds=1)
        return lake.main(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every-s", type=float, required=True, help="pause between two runs of the maintenance")
    parser.add_argument("--marts-every-s", type=float, required=True, help="pause between two runs of the marts")
    parser.add_argument("--snapshots-keep-s", type=int, required=True, help="age from which snapshots are expired")
    options, given = parser.parse_known_args()
    keep = ["--snapshots-keep", f"{options.snapshots_keep_s}s"]
    return run_schedule(
        Schedule(
            _job("maintain", [*given, *keep], options.every_s),
            _job("marts", given, options.marts_every_s),
        )
    )


def _job(name: str, flags: list[str], every_s: float) -> Job:
    command = [sys.executable, __file__, "run", name, *flags, "--supervised"]
    return Job(name=name, command=command, every_s=every_s, first_s=every_s, run_timeout_s=RUN_TIMEOUT_S)


if __name__ == "__main__":
    sys.exit(main())
