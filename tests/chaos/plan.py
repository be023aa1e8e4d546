"""Which faults, in which order, after which pauses: a pure function of the seed."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Literal

PROCESSES = ("device", "mosquitto", "bridge", "kafka", "lake", "aws", "s3")
"""Everything that can be killed; `lake` is the Spark driver and its JVM."""
LAKE_SIDE = ("lake", "aws", "s3")
"""Their recovery is seen in the lake, that of the others in Kafka."""
KINDS = ("kill", "pause", "cut", "partition", "outage")
LINKS = ("device-gateway", "bridge-gateway")

Kind = Literal["kill", "pause", "cut", "partition", "outage"]

PAIR_SHARE = 0.4
"""Part of the draws that kill two processes at once, where two are left to kill."""
QUIET_S = (0.2, 3.0)
"""Between the recovery from one fault and the next one, drawn evenly."""
PAUSE_S = 6.0
PARTITION_S = 6.0
OUTAGE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing done to the running system, to one target or to two at once."""

    kind: Kind
    targets: tuple[str, ...]
    quiet_s: float
    """Time that the system is left alone before."""
    lasts_s: float = 0.0
    """Of a pause, a partition, an outage."""

    @property
    def name(self) -> str:
        return f"{self.kind} {' + '.join(self.targets)}"

    def document(self) -> dict[str, Any]:
        return asdict(self)


def make_plan(seed: int, *, kills: int, only: Collection[str] = ()) -> list[Fault]:
    """Every process killed `kills` times, singly or in pairs, and the other faults, in a seeded order.

    Args:
        kills: kills of each process; of the pauses, cuts and partitions there is one per four kills (at least one)
            for each target, and of Kafka's outages one per thirty.
        only: kinds, processes or links; where given, only faults all of whose names are among them. A list of
            kinds alone lets every target be hit, and a list of targets alone every kind.
    """
    draw = random.Random(seed)
    kinds = [kind for kind in KINDS if kind in only] or list(KINDS)
    targets = [target for target in (*PROCESSES, *LINKS) if target in only] or [*PROCESSES, *LINKS]
    processes = [process for process in PROCESSES if process in targets]
    hits: list[tuple[Kind, tuple[str, ...], float]] = []
    if "kill" in kinds:
        hits += [("kill", hit, 0.0) for hit in _kills(draw, processes, kills)]
    rounds = max(1, kills // 4)
    links = [link for link in LINKS if link in targets]
    others: list[tuple[Kind, list[str], int, float]] = [
        ("pause", processes, rounds, PAUSE_S),
        ("cut", links, rounds, 0.0),
        ("partition", links, rounds, PARTITION_S),
        ("outage", [process for process in processes if process == "kafka"], max(1, kills // 30), OUTAGE_S),
    ]
    for kind, names, times, lasts_s in others:
        if kind in kinds:
            hits += [(kind, (name,), lasts_s) for name in names for _ in range(times)]
    draw.shuffle(hits)
    return [
        Fault(kind=kind, targets=hit, quiet_s=round(draw.uniform(*QUIET_S), 2), lasts_s=lasts_s)
        for kind, hit, lasts_s in hits
    ]


def _kills(draw: random.Random, processes: list[str], kills: int) -> list[tuple[str, ...]]:
    left = dict.fromkeys(processes, kills)
    hits = []
    while names := [name for name, count in left.items() if count]:
        size = 2 if len(names) > 1 and draw.random() < PAIR_SHARE else 1
        hit = tuple(sorted(draw.sample(names, size), key=PROCESSES.index))
        for name in hit:
            left[name] -= 1
        hits.append(hit)
    return hits
