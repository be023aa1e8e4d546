"""The present, kept moving: from the inbox into the city and the logbook, and a sign to every page that waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

from .city import City
from .inbox import Inbox
from .logbook import Logbook
from .observe import Presence, observe
from .settings import GATHER_S, PAGES_MAX, SUMS_INTERVAL_S

BATCH_MESSAGES_MAX = 2_000
"""Messages applied before pages get their turn."""
LOOK_S = 0.5
"""How long a page's stream waits at most before it looks whether the process ends."""


class Live:
    """One loop owns it. `about` gives what else pages should know (gateway, bridge), ready for JSON."""

    def __init__(self, inbox: Inbox, clock: Callable[[], float], about: Callable[[], dict[str, Any]]) -> None:
        self.city, self.logbook = City(clock), Logbook(clock)
        self.pages = 0
        self._inbox, self._about, self._clock = inbox, about, clock
        self._arrived, self._changed = asyncio.Event(), asyncio.Event()
        self._last: tuple[tuple[int, bool, int], float, str] | None = None

    async def fill(self) -> None:
        """Starts the inbox, and takes in what comes. What arrives waits GATHER_S for company: the first of many is told
        with the others, and pages get 1 / GATHER_S updates a second at most."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._arrived.set)

        self._inbox.start(wake)
        while True:
            await self._arrived.wait()
            await asyncio.sleep(GATHER_S)
            self._arrived.clear()
            messages = self._inbox.take(BATCH_MESSAGES_MAX)
            for message in messages:
                seen = observe(message)
                if seen is not None and self.city.apply(seen) and not isinstance(seen, Presence):
                    self.logbook.apply(seen)
            if len(messages) == BATCH_MESSAGES_MAX:
                self._arrived.set()
            self._changed.set()
            self._changed = asyncio.Event()

    def now(self) -> float:
        """Seconds since 1970, as in every time that pages get."""
        return round(self._clock(), 3)

    @property
    def is_full(self) -> bool:
        """Whether PAGES_MAX pages watch."""
        return self.pages >= PAGES_MAX

    async def events(self, stopping: Callable[[], bool]) -> AsyncGenerator[str, None]:
        """A page's stream of server-sent events: everything first, then what changed, as soon as it changed, and the
        sums every SUMS_INTERVAL_S. A page that reads slowly gets fewer and larger ones."""
        self.pages += 1
        version, sums_at = 0, 0.0
        try:
            while not stopping():
                changed = self._changed
                with_sums = self._clock() - sums_at >= SUMS_INTERVAL_S
                if with_sums or version < self.city.version:
                    text, version = self._update(version, with_sums)
                    sums_at = self._clock() if with_sums else sums_at
                    yield text
                try:
                    await asyncio.wait_for(changed.wait(), LOOK_S)
                except TimeoutError:
                    continue
        finally:
            self.pages -= 1

    def _update(self, since: int, with_sums: bool) -> tuple[str, int]:
        """An event, and the version that it leads to. Pages that are at the same version share it for GATHER_S; not for
        longer, since sums and clock go on while nothing comes."""
        key, now = (since, with_sums, self.city.version), self._clock()
        if self._last is None or self._last[0] != key or now - self._last[1] > GATHER_S:
            update = self.city.changes(since)
            if with_sums:
                update |= self.city.sums() | self._about()
            text = json.dumps(update, separators=(",", ":"))
            self._last = key, now, f"event: city\nid: {update['version']}\ndata: {text}\n\n"
        return self._last[2], key[2]
