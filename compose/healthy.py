"""Health checks of our containers, with the standard library alone. Exit code 0: well; 1: not, and the reason.

healthy.py http URL             a GET answers 200
healthy.py worker URL HOST      the Spark master's page at URL counts a living worker on HOST
healthy.py fresh FOLDER SECONDS a file below FOLDER was written within SECONDS
healthy.py runs                 process 1, and what it started, is not stopped (SIGSTOP)
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

ANSWER_TIMEOUT_S = 4.0
BAD_STATES = {"T": "stopped", "t": "traced"}
"""Letters of proc(5) for a process that does nothing. One that ended is no failure: spark-class leaves one behind."""


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=ANSWER_TIMEOUT_S) as answer:
        if answer.status != 200:
            raise OSError(f"{url} answers {answer.status}")
        return bytes(answer.read())


def http(url: str) -> str | None:
    """None where a GET answers 200."""
    _get(url)
    return None


def worker(url: str, host: str) -> str | None:
    """None where the master counts a living worker of this host."""
    workers = json.loads(_get(url))["workers"]
    alive = any(each["host"] == host and each["state"] == "ALIVE" for each in workers)
    return None if alive else f"{url} names no living worker on {host}"


def fresh(folder: str, seconds: str) -> str | None:
    """None where a file below the folder was written within so many seconds."""
    written = [path.stat().st_mtime for path in Path(folder).rglob("*") if path.is_file()]
    if not written:
        return f"no file below {folder}"
    age_s = time.time() - max(written)
    return None if age_s <= float(seconds) else f"nothing was written below {folder} for {age_s:.0f} s"


def runs(processes: str = "/proc") -> str | None:
    """None where neither process 1 nor one of its children is stopped."""
    for folder in Path(processes).iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name in brackets may hold anything, so the fields are counted from its end: state, parent.
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:  # It ended meanwhile.
            continue
        if (folder.name == "1" or parent == "1") and state in BAD_STATES:
            return f"process {folder.name} is {BAD_STATES[state]}"
    return None


CHECKS: dict[str, Callable[..., str | None]] = {"http": http, "worker": worker, "fresh": fresh, "runs": runs}


def main(arguments: Sequence[str]) -> int:
    """Run one check, or several with `--` between them."""
    checks: list[list[str]] = [[]]
    for argument in arguments:
        if argument == "--":
            checks.append([])
        else:
            checks[-1].append(argument)
    for check in checks:
        if not check or check[0] not in CHECKS:
            print(__doc__, file=sys.stderr)
            return 2
        try:
            wrong = CHECKS[check[0]](*check[1:])
        except (OSError, ValueError, KeyError) as error:
            wrong = f"{' '.join(check)}: {error}"
        if wrong:
            print(wrong)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
