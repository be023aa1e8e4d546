"""Which faults, in which order, after which pauses: a pure function of the seed."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

PROCESSES = ("device", "mosquitto", "bridge", "kafka", "lake", "aws", "s3")
"""Everything that can be killed; `lake` is the Spark driver and its JVM."""
LAKE_SIDE = ("lake", "aws", "s3")
"""Their recovery is seen in the lake, that of the others in Kafka."""
DISKS = ("device", "mosquitto", "kafka")
"""What can find its disk full: the outbox, the gateway's persistence, Kafka's log."""
KINDS = ("kill", "pause", "cut", "partition", "outage", "fill")
LINKS = ("device-gateway", "bridge-gateway", "bridge-kafka")

Kind = Literal["kill", "pause", "cut", "partition", "outage", "fill", "exhaust"]
Hit = tuple[Kind, tuple[str, ...], float]
"""Kind, targets, and how long it lasts."""

GROUP_SIZES = (1, 2, 3)
GROUP_WEIGHTS = (0.25, 0.35, 0.4)
"""How many processes a kill hits at once, and how often that many."""
MIXED_SHARE = 0.25
"""Part of the rounds in which a group may span both sides. Within one side it tells more in less time: whatever is
killed with the lake's side waits for Spark."""
KILLS_PER_OTHER = 12
"""For so many kills of each process one pause, cut and partition of each target."""
KILLS_PER_OUTAGE = 30
QUIET_S = (0.2, 2.0)
"""Between the recovery from one fault and the next one, drawn evenly."""
PAUSE_S = 6.0
PARTITION_S = 6.0
OUTAGE_S = 30.0
FULL_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing done to the running system, to one target or to several at once."""

    kind: Kind
    targets: tuple[str, ...]
    quiet_s: float
    """Time that the system is left alone before."""
    lasts_s: float = 0.0
    """Of a pause, a partition, an outage, a full disk."""

    @property
    def name(self) -> str:
        return f"{self.kind} {' + '.join(self.targets)}"

    def document(self) -> dict[str, Any]:
        return asdict(self)


EXHAUSTION = Fault(kind="exhaust", targets=("kafka",), quiet_s=1.0)
"""Kafka stays away until every buffer before it is full and outboxes drop readings. A run of its own: in any other
run a dropped reading is a failure."""


def make_plan(seed: int, *, kills: int, only: Collection[str] = ()) -> list[Fault]:
    """Every process killed `kills` times, alone or with others, and the other faults, in a seeded order.

    The order goes in rounds, each of which kills every process once, with the other faults spread evenly between: a
    run that is cut short has hit all of them alike.

    Args:
        kills: kills of each process; see KILLS_PER_OTHER and KILLS_PER_OUTAGE for the other faults, of which there is
            at least one each.
        only: kinds, processes or links; where given, only faults all of whose names are among them. A list of
            kinds alone lets every target be hit, and a list of targets alone every kind.
    """
    draw = random.Random(seed)
    kinds = [kind for kind in KINDS if kind in only] or list(KINDS)
    targets = [target for target in (*PROCESSES, *LINKS) if target in only] or [*PROCESSES, *LINKS]
    processes = [process for process in PROCESSES if process in targets]
    links = [link for link in LINKS if link in targets]
    killed: list[Hit] = []
    if "kill" in kinds:
        killed = [("kill", group, 0.0) for _ in range(kills) for group in _round(draw, processes)]
    rounds = max(1, kills // KILLS_PER_OTHER)
    outages = max(1, kills // KILLS_PER_OUTAGE)
    others: list[Hit] = []
    for number in range(rounds):
        offered: list[tuple[Kind, list[str], float]] = [
            ("pause", processes, PAUSE_S),
            ("cut", links, 0.0),
            ("partition", links, PARTITION_S),
            ("fill", [name for name in processes if name in DISKS and number < outages], FULL_S),
            ("outage", [name for name in processes if name == "kafka" and number < outages], OUTAGE_S),
        ]
        hits: list[Hit] = [(kind, (name,), lasts_s) for kind, names, lasts_s in offered for name in names]
        draw.shuffle(hits)
        others += [hit for hit in hits if hit[0] in kinds]
    return [
        Fault(kind=kind, targets=hit, quiet_s=round(draw.uniform(*QUIET_S), 2), lasts_s=lasts_s)
        for kind, hit, lasts_s in _merge(killed, others)
    ]


def _merge(first: Sequence[Hit], second: Sequence[Hit]) -> list[Hit]:
    """Both in their order, the one spread evenly over the other."""
    places = [((i + 0.5) / len(hits), hit) for hits in (first, second) for i, hit in enumerate(hits)]
    return [hit for _, hit in sorted(places, key=lambda place: place[0])]


def _round(draw: random.Random, processes: Sequence[str]) -> list[tuple[str, ...]]:
    """Every process once, in groups of random size and order."""
    quick = [name for name in processes if name not in LAKE_SIDE]
    slow = [name for name in processes if name in LAKE_SIDE]
    sides = [list(processes)] if draw.random() < MIXED_SHARE else [quick, slow]
    groups = []
    for side in sides:
        draw.shuffle(side)
        while side:
            size = draw.choices(GROUP_SIZES, GROUP_WEIGHTS)[0]
            groups.append(tuple(sorted(side[:size], key=PROCESSES.index)))
            del side[:size]
    draw.shuffle(groups)
    return groups
