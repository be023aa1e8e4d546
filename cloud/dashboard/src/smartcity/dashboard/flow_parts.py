"""The parts of the pipeline: from what each answered last to its state, in words, with what to do. Pure.

States: `up`; `waiting` (it lives, and lacks something); `down`; `unwatched` (not ours to ask); `unknown` (not asked
yet, or what would tell is down itself).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .flow_probes import Answer, KafkaSeen
from .settings import FLOW_STILL_AFTER_S

UP, WAITING, DOWN, UNWATCHED, UNKNOWN = "up", "waiting", "down", "unwatched", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What the dashboard's own MQTT connection tells. `devices` has the counts of `City.changes`."""

    address: str
    trouble: str | None
    counts: Mapping[str, int] = field(default_factory=dict)
    devices: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was answered last; None where nothing was asked yet. Addresses are for words."""

    gateway: Gateway
    bridge_url: str
    lake_url: str
    kafka_address: str
    bridge: Answer | None = None
    """`/healthz`"""
    bridge_ready: Answer | None = None
    """`/readyz`"""
    kafka: KafkaSeen | None = None
    lake: Answer | None = None
    """`/progress`"""
    s3_url: str | None = None
    """None: AWS's own, which is not asked."""
    s3: Answer | None = None
    aws_url: str | None = None
    aws: Answer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A box of the picture. `reason` and `remedy` are set where the state is not `up`; `says` is always."""

    id: str
    title: str
    state: str
    says: str
    reason: str | None = None
    remedy: str | None = None


def parts(facts: Facts, *, now: float, logs: str | None) -> list[Part]:
    """All parts, in the order of a reading's way.

    Args:
        now: seconds since 1970.
        logs: folder of the local stack's logs; None where there is none.
    """
    return [
        _devices(facts.gateway),
        _gateway(facts.gateway, logs),
        _bridge(facts, logs),
        _kafka(facts, logs),
        _lake(facts, now, logs),
        _endpoint({"id": "s3", "title": "S3"}, facts.s3_url, facts.s3, logs),
        _endpoint({"id": "aws", "title": "Athena"}, facts.aws_url, facts.aws, logs),
    ]


def remedy(service: str, logs: str | None) -> str:
    """What to do about a service that does not answer."""
    if logs is None:
        return f"See the log of {service}, and start it again."
    return f"See {logs}/{service}.log; `smartcity up` starts it again."


def _devices(gateway: Gateway) -> Part:
    online, offline = gateway.devices.get("online", 0), gateway.devices.get("offline", 0)
    part = {"id": "devices", "title": "Devices"}
    if gateway.trouble is not None:
        return Part(**part, state=UNKNOWN, says="not known", reason="What devices do is heard through the gateway.")
    if online:
        return Part(**part, state=UP, says=f"{online} of {online + offline} online" if offline else f"{online} online")
    if offline:
        return Part(
            **part, state=WAITING, says=f"all {offline} offline",
            reason=f"All {offline} devices that have reported are offline. They keep their readings.",
            remedy="Start them again: smartcity-sim run, with the same --state.",
        )  # fmt: skip
    return Part(
        **part, state=WAITING, says="none yet", reason="No device has reported to the gateway yet.",
        remedy="Start some: smartcity-sim run --vehicles 3",
    )  # fmt: skip


def _gateway(gateway: Gateway, logs: str | None) -> Part:
    part = {"id": "mosquitto", "title": "Mosquitto"}
    if gateway.trouble is None:
        return Part(**part, state=UP, says="connected")
    return Part(
        **part, state=DOWN, says="no connection", reason=_sentence(gateway.trouble), remedy=remedy("mosquitto", logs)
    )


def _bridge(facts: Facts, logs: str | None) -> Part:
    part, answer, ready = {"id": "bridge", "title": "Bridge"}, facts.bridge, facts.bridge_ready
    if answer is None:
        return Part(**part, state=UNKNOWN, says="asking …")
    if answer.trouble is not None:
        return _no_answer(part, facts.bridge_url, answer.trouble, remedy("bridge", logs))
    if answer.status != 200:
        return Part(
            **part, state=DOWN, says="stands still", reason=_sentence(answer.text), remedy=remedy("bridge", logs)
        )
    if ready is not None and ready.status == 503:
        return Part(
            **part, state=WAITING, says="not ready", reason=_sentence("; ".join(ready.text.splitlines())),
            remedy="It goes on by itself when that is back; the gateway and the devices keep what it cannot take.",
        )  # fmt: skip
    return Part(**part, state=UP, says="ready" if ready is not None and ready.status == 200 else "runs")


def _kafka(facts: Facts, logs: str | None) -> Part:
    part, seen = {"id": "kafka", "title": "Kafka"}, facts.kafka
    if seen is None:
        return Part(**part, state=UNKNOWN, says="asking …")
    if seen.trouble is not None:
        return _no_answer(part, facts.kafka_address, seen.trouble, remedy("kafka", logs))
    if seen.missing:
        return Part(
            **part, state=WAITING, says=f"{len(seen.missing)} missing",
            reason=f"Topics or leaders of partitions are missing: {', '.join(seen.missing[:6])}.",
            remedy="Where a broker is down, start it; where topics were never made, `smartcity up` makes them.",
        )  # fmt: skip
    return Part(**part, state=UP, says="1 broker" if seen.brokers == 1 else f"{seen.brokers} brokers")


def _lake(facts: Facts, now: float, logs: str | None) -> Part:
    part, answer = {"id": "lake", "title": "Spark lake"}, facts.lake
    if answer is None:
        return Part(**part, state=UNKNOWN, says="asking …")
    if answer.trouble is not None:
        return _no_answer(part, facts.lake_url, answer.trouble, remedy("lake", logs))
    told = read_progress(answer)
    if not told.get("running"):
        return Part(
            **part, state=WAITING, says="starting", reason="The driver answers, and its query does not run yet.",
            remedy=f"Starting takes some ten seconds; if it stays so: {remedy('lake', logs).lower()}",
        )  # fmt: skip
    batch = told.get("last_batch")
    if batch is None:
        return Part(**part, state=UP, says="no batch yet")
    age_s = max(0.0, now - float(batch["ended_at"]))
    unread = unread_records(told, facts.kafka)
    if unread and age_s > FLOW_STILL_AFTER_S:
        return Part(
            **part, state=WAITING, says=f"still for {age_s:.0f} s",
            reason=f"The last batch ended {age_s:.0f} s ago, and records in Kafka that are unread: {unread}.",
            remedy=remedy("lake", logs),
        )  # fmt: skip
    return Part(**part, state=UP, says=f"batch {age_s:.0f} s ago")


def _endpoint(part: Mapping[str, str], url: str | None, answer: Answer | None, logs: str | None) -> Part:
    todo = remedy(part["id"], logs)
    if url is None:
        return Part(**part, state=UNWATCHED, says="not watched", reason="AWS's own service: not watched from here.")
    if answer is None:
        return Part(**part, state=UNKNOWN, says="asking …")
    if answer.trouble is not None:
        return _no_answer(part, url, answer.trouble, todo)
    if answer.status >= 500:
        return Part(**part, state=DOWN, says="fails", reason=f"{url} answers {answer.status}.", remedy=todo)
    return Part(**part, state=UP, says="answers")


def _no_answer(part: Mapping[str, str], where: str, trouble: str, todo: str) -> Part:
    return Part(
        id=part["id"], title=part["title"], state=DOWN, says="no answer",
        reason=f"Nothing answers at {where} ({trouble}).", remedy=todo,
    )  # fmt: skip


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:400]}{'' if text.endswith('.') else '.'}"


def read_progress(answer: Answer | None) -> dict[str, Any]:
    """The lake's `/progress`; empty where it did not answer with one."""
    if answer is None or answer.status != 200:
        return {}
    try:
        told = json.loads(answer.text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def unread_records(told: Mapping[str, Any], kafka: KafkaSeen | None) -> int | None:
    """What Kafka holds beyond the offsets that the lake reads next; None where either side is not known. The two are
    asked a moment apart, so a lake that was quicker has read all."""
    read: Mapping[str, Mapping[str, int]] = told.get("offsets") or {}
    if kafka is None or kafka.trouble is not None or not read:
        return None
    behind: Sequence[int] = [
        max(0, end - read[topic][str(partition)])
        for topic, partitions in kafka.ends.items()
        for partition, end in partitions.items()
        if str(partition) in read.get(topic, {})
    ]
    return sum(behind)
