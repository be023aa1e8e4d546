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
QUIET_S = 10.0
"""A service that was healthy and lived this long after is no service that keeps dying: it is started again at once,
and its pauses begin anew."""

logger = logging.getLogger(__name__)


class Watched(Protocol):
    """What the supervisor needs of a stack."""

    def dead(self) -> list[str]: ...

    def revive(self, name: str) -> None: ...

    def settled(self, name: str) -> bool: ...


class Supervisor:
    """Looks at everything once per `step`; the caller's loop gives the rhythm, the clock is passed in.

    It never waits for one service, since that one may wait for another that is dead too.
    """

    def __init__(self, stack: Watched, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stack = stack
        self._clock = clock
        self._pause: dict[str, float] = {}
        self._next: dict[str, float] = {}
        self._reviving: dict[str, float] = {}
        self._healthy_since: dict[str, float] = {}

    def step(self) -> None:
        """Revive what is dead and whose pause is over; finish what has become healthy."""
        for name in self._stack.dead():
            now = self._clock()
            due = self._next.get(name)
            healthy_since = self._healthy_since.get(name)
            if due is None or (healthy_since is not None and now >= healthy_since + QUIET_S):
                self._pause[name] = PAUSE_FIRST_S
            elif now < due:
                continue
            self._healthy_since.pop(name, None)
            self._revive(name)
            self._next[name] = self._clock() + self._pause[name]
            self._pause[name] = min(self._pause[name] * 2, PAUSE_MAX_S)
        for name in list(self._reviving):
            self._settle(name)

    def _revive(self, name: str) -> None:
        logger.warning("%s died; starting it again", name)
        try:
            self._stack.revive(name)
            self._reviving[name] = self._clock()
        except LocalError as error:
            logger.error("%s", error)

    def _settle(self, name: str) -> None:
        try:
            if self._stack.settled(name):
                self._healthy_since[name] = self._clock()
                logger.warning("%s is healthy again after %.1f s", name, self._clock() - self._reviving.pop(name))
        except LocalError as error:
            logger.error("%s", error)


def supervise(stack: Watched) -> None:
    """Watch until SIGTERM or SIGINT."""
    ended = threading.Event()

    def end(signum: int, _frame: object) -> None:
        ended.set()
        # A step may be waiting for a lock or an answer: leave at once, the services live on.
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    supervisor = Supervisor(stack)
    logger.info("watching")
    while not ended.wait(CHECK_INTERVAL_S):
        supervisor.step()
