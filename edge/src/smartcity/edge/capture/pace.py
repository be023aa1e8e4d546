"""When a message of a capture is due, and how well that was kept.

Due times are counted from one anchor: an error of one message never moves the next, so a replay does not drift. Pure;
times are nanoseconds of a clock that the caller reads.
"""

from __future__ import annotations

from collections import Counter

_FINE_BITS = 6
"""Sub-buckets per power of two, in bits: a percentile is exact to 3 percent."""


class Pace:
    """Maps times of reception to times of sending. `speed` None is as fast as it goes."""

    def __init__(self, *, speed: float | None, first_ns: int, anchor_ns: int) -> None:
        self.speed = speed
        self._first_ns = first_ns
        self._anchor_ns = anchor_ns
        self._paused_at: int | None = None

    @property
    def paused(self) -> bool:
        return self._paused_at is not None

    def due_ns(self, time_ns: int) -> int:
        """When a message received at `time_ns` is to be sent; the anchor itself at full speed."""
        if self.speed is None:
            return self._anchor_ns
        elapsed = time_ns - self._first_ns
        return self._anchor_ns + (elapsed if self.speed == 1 else round(elapsed / self.speed))

    def pause(self, now_ns: int) -> None:
        if self._paused_at is None:
            self._paused_at = now_ns

    def resume(self, now_ns: int) -> None:
        """Go on: everything that is left comes later by the length of the pause."""
        if self._paused_at is not None:
            self._anchor_ns += now_ns - self._paused_at
            self._paused_at = None


class PacingError:
    """How far from its due time each message was sent, early or late, in constant memory."""

    def __init__(self) -> None:
        self.count = 0
        self.max_ns = 0
        self._buckets: Counter[int] = Counter()

    def add(self, error_ns: int) -> None:
        size = abs(error_ns)
        self.count += 1
        self.max_ns = max(self.max_ns, size)
        shift = size.bit_length() - _FINE_BITS
        self._buckets[shift << _FINE_BITS | size >> shift if shift > 0 else size] += 1

    def percentile_ns(self, percent: float) -> int:
        """The upper end of the bucket in which the percentile lies; 0 if nothing was sent."""
        wanted, seen = self.count * percent / 100, 0
        for bucket in sorted(self._buckets, key=_upper):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(_upper(bucket), self.max_ns)
        return 0

    def document(self) -> dict[str, float]:
        """In milliseconds, as the report has it."""
        return {
            "pacing_error_p50_ms": round(self.percentile_ns(50) / 1e6, 3),
            "pacing_error_p99_ms": round(self.percentile_ns(99) / 1e6, 3),
            "pacing_error_max_ms": round(self.max_ns / 1e6, 3),
        }


def _upper(bucket: int) -> int:
    shift, mantissa = bucket >> _FINE_BITS, bucket & ((1 << _FINE_BITS) - 1)
    if bucket < 1 << _FINE_BITS:
        return bucket
    return ((mantissa + 1) << shift) - 1
