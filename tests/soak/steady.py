"""The rule by which a series of samples is called steady.

A soak's first third is left out: buffers fill, code is compiled, tables get their first files. Of the other two, the
last must not lie above the middle one by more than SHARE, or than `slack` where that is more. Memory is compared by
its medians. What maintenance brings down again and again (files, snapshots) is compared by its peaks.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

SHARE = 0.15
SAMPLES_MIN = 9

By = Literal["median", "peak"]
_STATISTIC: dict[By, Callable[[Sequence[float]], float]] = {"median": statistics.median, "peak": max}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One series, judged."""

    name: str
    by: By
    middle: float
    last: float
    allowed: float

    @property
    def steady(self) -> bool:
        return self.last <= self.allowed

    def document(self) -> dict[str, object]:
        figures = {"middle_third": self.middle, "last_third": self.last, "allowed": round(self.allowed, 1)}
        return {"by": self.by, **figures, "steady": self.steady}

    def text(self) -> str:
        return (
            f"{self.name}: {self.by} {self.last:g} in the last third, {self.middle:g} before; {self.allowed:g} allowed"
        )


def judge(name: str, samples: Sequence[float], *, by: By, slack: float) -> Verdict:
    """`samples` at equal distances in time.

    Raises:
        ValueError: they are too few to say anything.
    """
    if len(samples) < SAMPLES_MIN:
        raise ValueError(f"{name}: {len(samples)} samples are too few, {SAMPLES_MIN} are needed")
    third = len(samples) // 3
    middle = _STATISTIC[by](samples[-2 * third : -third])
    last = _STATISTIC[by](samples[-third:])
    return Verdict(name=name, by=by, middle=middle, last=last, allowed=middle + max(SHARE * middle, slack))
