"""How much a device may say: a token bucket per device, as its topic names it (that is what the gateway's ACL guards).

A reading over the limit is not lost but a dead letter, with its receipt. The device's backlog after an outage counts
like any other reading: a limit belongs well above the rate at which devices catch up.
"""

from __future__ import annotations

from collections.abc import Callable

DEVICES_MAX = 100_000
"""Buckets kept; beyond it the one made first is forgotten, which at worst gives its device a new burst."""


class RateLimit:
    """`burst` readings at once, then `per_s` in the long run. For one loop."""

    def __init__(self, *, per_s: float, burst: int, clock: Callable[[], float], devices_max: int = DEVICES_MAX) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._clock = clock
        self._devices_max = devices_max
        self._buckets: dict[str, tuple[float, float]] = {}
        """What is left, and when that was so."""

    def admits(self, device: str) -> bool:
        """Whether a reading of this device is within the limit; if so, it is booked."""
        now = self._clock()
        left, at = self._buckets.get(device, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        admitted = left >= 1
        self._buckets[device] = (left - admitted, now)
        if len(self._buckets) > self._devices_max:
            del self._buckets[next(iter(self._buckets))]
        return admitted

    def __str__(self) -> str:
        return f"{self._per_s:g} readings per second, {self._burst:g} at once"
