"""The watcher: starts again what died, with a growing pause after each death. One per `var` folder.

It holds no state of its own: the records in `var/run` say what should live. Killed, it leaves the services running,
and the next `smartcity up` starts another.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Protocol

from .errors import LocalError

CHECK_INTERVAL_S = 1.0
PAUSE_FIRST_S = 0.5
PAUSE_MAX_S = 30.0
QUIET_S = 60.0
"""A service that lived this long since its last start begins again with the first pause."""

logger = logging.getLogger(__name__)


class Watched(Protocol):
    """What the supervisor needs of a stack."""

    def dead(self) -> list[str]: ...

    def revive(self, name: str) -> None: ...


class Supervisor:
    """Revives one dead service per `step`; the caller's loop gives the rhythm, the clock is passed in."""

    def __init__(self, stack: Watched, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stack = stack
        self._clock = clock
        self._pause: dict[str, float] = {}
        self._next: dict[str, float] = {}

    def step(self) -> None:
        """Look once, and revive what is dead and whose pause is over."""
        for name in self._stack.dead():
            now = self._clock()
            due = self._next.get(name)
            if due is None or now > due + QUIET_S:
                self._pause[name] = PAUSE_FIRST_S
            elif now < due:
                continue
            try:
                logger.warning("%s died; starting it again", name)
                self._stack.revive(name)
                logger.warning("%s is healthy again", name)
            except LocalError as error:
                logger.error("%s", error)
            self._next[name] = self._clock() + self._pause[name]
            self._pause[name] = min(self._pause[name] * 2, PAUSE_MAX_S)


def supervise(stack: Watched) -> None:
    """Watch until SIGTERM or SIGINT."""
    ended = threading.Event()

    def end(signum: int, _frame: object) -> None:
        ended.set()
        # A revival may be waiting for a service to become healthy: leave at once, the service lives on.
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    supervisor = Supervisor(stack)
    logger.info("watching")
    while not ended.wait(CHECK_INTERVAL_S):
        supervisor.step()
