"""The one loop of `smartcity-sim run`: generate, write, send, until the end; then drain, and say goodbye."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from .courier import Courier
from .source import Source
from .transport import Transport

TICK_S = 0.1
"""At most so long does a reading wait for its transaction; ten commits a second."""
_PULL_S = 0.05  # Real time that one tick may spend on generating, so that connections are served meanwhile.
_READINGS_PER_TICK = 2_000
_GOODBYE_S = 2.0

Ending = Literal["end", "stopped"]


class Loop:
    """Wires source, courier and transport. `stop` becomes true when the process is asked to end; `reports` are called
    at every turn."""

    def __init__(
        self,
        *,
        source: Source,
        courier: Courier,
        transport: Transport,
        monotonic: Callable[[], float],
        stop: Callable[[], bool],
        reports: Sequence[Callable[[], None]],
    ) -> None:
        self._source = source
        self._courier = courier
        self._transport = transport
        self._monotonic = monotonic
        self._stop = stop
        self._reports = reports

    def generate(self) -> Ending:
        """Runs until the source has reached its end, or the process is asked to end."""
        next_tick = self._monotonic()
        while not self._source.done:
            if self._stop():
                return "stopped"
            self._courier.handle(self._transport.poll(max(0.0, next_tick - self._monotonic())))
            if self._monotonic() >= next_tick:
                self._courier.tick(
                    self._source.pull(readings_max=_READINGS_PER_TICK, monotonic=self._monotonic, budget_s=_PULL_S)
                )
                next_tick = self._monotonic() + (0.0 if self._source.behind else TICK_S)
            self._report()
        return "end"

    def drain(self, timeout_s: float, give_up: Callable[[], bool]) -> bool:
        """Sends until nothing is pending. False if the time ran out, or `give_up` became true."""
        deadline = self._monotonic() + timeout_s
        self._courier.tick([])
        while self._courier.counts().pending:
            if self._monotonic() >= deadline or give_up():
                return False
            tick_at = self._monotonic() + TICK_S
            while (left := tick_at - self._monotonic()) > 0:
                self._courier.handle(self._transport.poll(left))
            self._courier.tick([])
            self._report()
        return True

    def goodbye(self) -> None:
        """Retained `offline` for every connected device, then DISCONNECT."""
        self._courier.say_goodbye()
        deadline = self._monotonic() + _GOODBYE_S
        while self._courier.statuses_in_flight and self._monotonic() < deadline:
            self._courier.handle(self._transport.poll(0.05))
        self._courier.tick([])
        self._transport.close()

    def _report(self) -> None:
        for report in self._reports:
            report()
