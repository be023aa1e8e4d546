"""From kills and events to counts and failures. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from .plan import POINTS, Kill

Entry = Mapping[str, Any]


def phase_of(pid: int, events: Sequence[Entry]) -> str:
    """Where in its work a driver was killed."""
    mine = [event for event in events if event["pid"] == pid]
    last = mine[-1]["event"] if mine else "started"
    of_batch = [event["event"] for event in mine if event["batch"] == mine[-1]["batch"]] if mine else []
    under_way = of_batch.count("appending") - of_batch.count("appended")
    if last == "started":
        return "starting"
    if last == "done":
        return "between batches"
    return f"{under_way} appends under way" if under_way else "in a batch, no append under way"


def kills_of(done: Sequence[Entry], events: Sequence[Entry]) -> dict[str, Any]:
    """Counts per point, victim and phase."""
    injected = Counter(entry["point"] for entry in done if entry["kind"] == "injected")
    of_random = [entry for entry in done if entry["kind"] == "random" and "missed" not in entry]
    return {
        "injected": injected.total(),
        "at point": {point: injected[point] for point in POINTS},
        "random": len(of_random),
        "of": dict(Counter(entry["victim"] for entry in of_random)),
        "in phase": dict(Counter(entry["phase"] for entry in of_random)),
        "stopped, then the supervisor ended": sum(entry["kind"] == "stopped" for entry in done),
        "maintenance, in a run": sum(entry.get("maintenance") is True for entry in done),
        "drivers started": sum(event["event"] == "started" for event in events),
    }


def batched(events: Sequence[Entry]) -> int:
    """Records of all batches that were done, each batch counted once."""
    return sum({event["batch"]: event["records"] for event in events if event["event"] == "done"}.values())


def pace(events: Sequence[Entry]) -> dict[str, Any]:
    """Batches done, and those of them that were found in part in the tables."""
    done = [event for event in events if event["event"] == "done"]
    found = [event["held"] for event in events if event["event"] == "looked" and event["held"]]
    return {
        "done": len(done),
        "begun again in so many tables": dict(sorted(Counter(found).items())),
        "records in a batch, median": median(event["records"] for event in done) if done else 0,
    }


def failures_of(
    plan: Sequence[Kill], done: Sequence[Entry], events: Sequence[Entry], wrong: Mapping[str, int]
) -> list[str]:
    """What must not be: kills that did not happen, points that were not hit, batches that were not as the trap left
    them, drivers that outlived their end, and rows that are wrong."""
    found = [f"{name} is {number}, not 0" for name, number in wrong.items() if number]
    found += [f"{len(done)} of {len(plan)} kills were done"] if len(done) < len(plan) else []
    found += [f"nothing was there to be killed at {entry['at_s']} s" for entry in done if "missed" in entry]
    found += [f"a driver stopped at {entry['point']} outlived its supervisor" for entry in done if "outlived" in entry]
    planned = {kill.point for kill in plan if kill.kind == "injected"}
    hit = {event["point"] for event in events if event["event"] == "hit"}
    found += [f"{point} was never hit" for point in POINTS if point in planned - hit]
    return found + list(_left_otherwise(events))


def _left_otherwise(events: Sequence[Entry]) -> list[str]:
    """The next driver must find a batch in as many tables as the trap says it left it in: else it sprang elsewhere."""
    found = []
    for number, hit in enumerate(events):
        if hit["event"] != "hit":
            continue
        later = [event for event in events[number:] if event["batch"] == hit["batch"] and event["pid"] != hit["pid"]]
        looked = next((event for event in later if event["event"] == "looked"), None)
        if looked is not None and looked["held"] != hit["held"]:
            left = f"batch {hit['batch']} was left in {hit['held']} tables at {hit['point']}"
            found.append(f"{left}, and found in {looked['held']}")
    return found


def lines(document: Mapping[str, Any]) -> list[str]:
    """The report as text."""
    kills, lake, upkeep = document["kills"], document["lake"], document["upkeep"]
    points = ", ".join(f"{point} {number}" for point, number in kills["at point"].items())
    return [
        f"injected kills: {kills['injected']} ({points})",
        f"random kills: {kills['random']} ({kills['of']}; {kills['in phase']})",
        f"stopped drivers: {kills['stopped, then the supervisor ended']}; "
        f"runs of maintenance killed: {kills['maintenance, in a run']}",
        f"maintenance: {upkeep['files compacted']} files compacted, {upkeep['snapshots expired']} snapshots expired",
        f"records in Kafka: {document['records']['in Kafka']}; rows in the lake: {sum(lake['rows'].values())}",
        f"lost {lake['lost']}, duplicated {lake['duplicated']}, altered {lake['altered']}, unknown {lake['unknown']}",
        *lake["examples"],
        *(f"FAILED: {failure}" for failure in document["failures"]),
        f"{document['seconds']['total']:.0f} s",
    ]
