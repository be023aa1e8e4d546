"""What every transport's connections have in common: their times, and the wait before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """Times of a connection."""

    keepalive_s: int = 20
    connack_timeout_s: float = 10.0
    """From the beginning of a dial, TCP's handshake included."""
    backoff_min_s: float = 0.5
    backoff_max_s: float = 15.0
    stable_after_s: float = 10.0
    """A connection that lived this long resets its device's back-off."""


class Backoff:
    """Exponential, with jitter of half: the gateway has one, and so has each device."""

    __slots__ = ("_random", "_s", "_settings")

    def __init__(self, settings: ConnectionSettings, random: Random) -> None:
        self._settings = settings
        self._random = random
        self._s = 0.0

    def reset(self) -> None:
        """The attempt succeeded: the next failure begins with the shortest wait."""
        self._s = 0.0

    def failed(self) -> float:
        """How long to wait before the next attempt."""
        limits = self._settings
        self._s = min(max(self._s * 2, limits.backoff_min_s), limits.backoff_max_s)
        return self._s * self._random.uniform(0.5, 1.0)

    def ended(self, lived_s: float | None) -> float:
        """How long to wait after a connection that lived so long; None: it never came to CONNACK."""
        if lived_s is not None and lived_s >= self._settings.stable_after_s:
            self.reset()
        return self.failed()
