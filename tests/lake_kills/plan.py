"""Which kill comes when: drawn from a seed. The moments are not repeatable, the order and kinds are."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any, Literal

Kind = Literal["injected", "random", "stopped"]
Victim = Literal["driver", "jvm", "python", "supervisor"]

TABLES = 6
POINTS = (
    "planned",
    *(f"held-{held}" for held in range(TABLES)),
    "committed",
    "all-held",
    "uncheckpointed",
)
"""Moments of a batch, in their order.

planned         Spark has written the batch's end to the checkpoint; nothing of the batch is done
held-N          N of the six tables hold the batch, and the next append is about to begin
committed       an append, not the last, is committed, and its caller does not know it yet
all-held        the last append is committed, and its caller does not know it yet
uncheckpointed  the batch is done, and Spark has not written so to the checkpoint
"""
VICTIMS: Sequence[Victim] = ("driver", "supervisor", "driver", "jvm", "driver", "driver", "supervisor", "python")
"""Of random kills: driver and JVM together, one of the two, or their supervisor, which takes them along."""
WITH_MAINTENANCE = 8
"""Every so many kills, maintenance is killed as well, in the middle of a run."""
ON_STARTING = 6
"""Every so many random kills hit a driver that has not begun a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill of the lake's driver.

    injected: by itself, at `point`, as soon as it gets there after `batches` whole ones. random: by `victim`, `delay_s`
    after it began a batch, or after it started. stopped: SIGSTOP by itself at `point`, then the supervisor is ended, by
    `victim` "supervisor" (SIGKILL) or "driver" (SIGTERM to the supervisor, which kills it).
    """

    kind: Kind
    point: str | None = None
    victim: Victim = "driver"
    batches: int = 0
    starting: bool = False
    delay_s: float = 0.0
    maintenance: bool = False

    @property
    def name(self) -> str:
        what = self.point if self.kind == "injected" else f"{self.victim} at {self.point or 'random'}"
        return f"{self.kind} {what}" + (" and maintenance" if self.maintenance else "")

    def document(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in (None, False)}


def make_plan(seed: int, *, injected: int, random_kills: int, stopped: int) -> list[Kill]:
    """All points are hit alike often."""
    rng = random.Random(seed)
    points = islice(cycle(rng.sample(POINTS, len(POINTS))), injected)
    plan = [Kill(kind="injected", point=point, batches=rng.choice((0, 0, 1))) for point in points]
    plan += list(_random_kills(rng, random_kills))
    rng.shuffle(plan)
    plan = [_with_maintenance(kill) if number % WITH_MAINTENANCE == 2 else kill for number, kill in enumerate(plan)]
    for number in range(stopped):
        point = rng.choice([point for point in POINTS if point.startswith("held")])
        victim: Victim = "supervisor" if number % 2 == 0 else "driver"
        plan.insert(rng.randint(1, len(plan)), Kill(kind="stopped", point=point, victim=victim, batches=1))
    return plan


def _random_kills(rng: random.Random, count: int) -> Iterator[Kill]:
    for number, drawn in zip(range(count), cycle(VICTIMS), strict=False):
        starting = number % ON_STARTING == ON_STARTING - 1
        victim: Victim = "driver" if starting and drawn == "jvm" else drawn  # There may be no JVM yet.
        # A cold driver needs some ten seconds to start and five for its first batch; later ones take one or two.
        batches = 0 if starting else rng.choice((0, 0, 1, 2))
        delay_s = rng.uniform(0, 10.0 if starting else 6.0 if batches == 0 else 2.5)
        yield Kill(kind="random", victim=victim, batches=batches, starting=starting, delay_s=round(delay_s, 2))


def _with_maintenance(kill: Kill) -> Kill:
    return Kill(**{**asdict(kill), "maintenance": True})
