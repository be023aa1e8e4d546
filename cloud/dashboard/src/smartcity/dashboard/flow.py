"""The pipeline as the page draws it: parts, hops with rates, latencies, dead letters by reason; as JSON. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import DEAD_LETTERS_TABLE

from .flow_history import History, Key, Latency, latency_of
from .flow_parts import Facts, parts, read_progress, unread_records
from .letters import meaning
from .settings import FLOW_RATE_S, FLOW_WINDOW_S

_BRIDGE = "smartcity_bridge"
_NAMES = tuple(stream.name for stream in STREAMS)
_TABLES = {stream.table: stream.name for stream in STREAMS}
_SHARE_WORTH_SAYING = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hop:
    """Which histogram tells a hop's latency, and between which clocks."""

    id: str
    title: str
    name: str
    labels: Collection[str]
    """Streams, or the lake's tables."""
    clocks: str
    of_lake: bool = False
    """Whether the lake exports it; else the bridge."""


LATENCIES = (
    _Hop(
        id="device_to_bridge",
        title="Device to bridge",
        name=f"{_BRIDGE}_device_to_bridge_seconds",
        labels=_NAMES,
        clocks="sent by the device, received by the bridge: two clocks",
    ),
    _Hop(
        id="bridge_to_kafka",
        title="Bridge to Kafka",
        name=f"{_BRIDGE}_bridge_to_kafka_seconds",
        labels=_NAMES,
        clocks="received by the bridge, acknowledged by Kafka: one clock",
    ),
    _Hop(
        id="kafka_to_lake",
        title="Kafka to lake",
        name="lake_kafka_to_commit_seconds",
        labels=_TABLES,
        clocks="time of the Kafka record, commit of its table: the wait for the batch included",
        of_lake=True,
    ),
)


@dataclass(slots=True, kw_only=True)
class Histories:
    """Of the gateway's readings (counted by the dashboard itself), the bridge's and the lake's metrics."""

    gateway: History = field(default_factory=History)
    bridge: History = field(default_factory=History)
    lake: History = field(default_factory=History)


def document(facts: Facts, histories: Histories, *, now: float, logs: str | None) -> dict[str, Any]:
    """What a page shows, ready for JSON. `now` in seconds since 1970. Rates are per second."""
    bridge, lake = histories.bridge, histories.lake
    found = parts(facts, now=now, logs=logs)
    numbers = _numbers(facts, histories)
    receipts = bridge.rates(f"{_BRIDGE}_receipts_total", over_s=FLOW_RATE_S)
    return {
        "now": now,
        "window_s": FLOW_WINDOW_S,
        "parts": [asdict(part) | {"numbers": numbers.get(part.id, [])} for part in found],
        "hops": _hops(histories, {part.id: part.state for part in found}),
        "receipts_per_s": sum(receipts.values()) if receipts else None,
        "streams": list(_NAMES),
        "latency": [_latency(hop, lake if hop.of_lake else bridge) for hop in LATENCIES],
        "dead_letters": _dead_letters(bridge),
    }


def _numbers(facts: Facts, histories: Histories) -> dict[str, list[dict[str, Any]]]:
    """What stands in the boxes, by part."""
    told, devices, bridge = read_progress(facts.lake), facts.gateway.devices, histories.bridge
    batch = told.get("last_batch") or {}
    return {
        "devices": [
            _number("pending", devices.get("pending")),
            _number("refused", devices.get("refused"), bad=True),
            _number("dropped", devices.get("dropped"), bad=True),
        ],
        "bridge": [
            _number("in flight", _sum(bridge, f"{_BRIDGE}_in_flight")),
            _number("waiting", _sum(bridge, f"{_BRIDGE}_queue_messages")),
            _number("dead letters", _sum(bridge, f"{_BRIDGE}_dead_lettered_total"), bad=True),
        ],
        "kafka": [
            _number("unread", unread_records(told, facts.kafka)),
            _number("topics", len(facts.kafka.ends) if facts.kafka and facts.kafka.ends else None),
        ],
        "lake": [_number("records", batch.get("records")), _number("seconds", batch.get("seconds"))],
        "s3": [_number("rows", _sum(histories.lake, "lake_rows_total"))],
    }


def _hops(histories: Histories, states: dict[str, str]) -> list[dict[str, Any]]:
    """An arrow from each part to the next. Into a part that is not heard there is no rate: it would be the past's."""
    bridge, lake = histories.bridge, histories.lake
    streams: list[tuple[str, str, dict[str, float]]] = [
        ("devices", "mosquitto", _by_stream(histories.gateway.rates("readings", over_s=FLOW_RATE_S))),
        ("mosquitto", "bridge", _by_stream(bridge.rates(f"{_BRIDGE}_received_total", over_s=FLOW_RATE_S))),
        ("bridge", "kafka", _by_stream(bridge.rates(f"{_BRIDGE}_delivered_total", over_s=FLOW_RATE_S))),
        ("kafka", "lake", _read_by_lake(lake)),
        ("lake", "s3", _by_table(lake.rates("lake_rows_total", over_s=FLOW_WINDOW_S))),
        ("s3", "aws", {}),
    ]
    found = []
    for start, end, rates in streams:
        heard = rates if states[end] not in ("down", "unknown") else {}
        found.append(
            {"from": start, "to": end, "per_s": sum(heard.values()) if heard else None, "streams": heard},
        )
    return found


def _number(name: str, value: float | None, *, bad: bool = False) -> dict[str, Any]:
    """`bad`: worth a colour where it is not zero."""
    return {"name": name, "value": value, "bad": bad and bool(value)}


def _sum(history: History, name: str) -> int | None:
    """Of a sample over all its labels; None where the process was not heard."""
    values = [value for key, value in history.latest.items() if key[0] == name]
    return round(sum(values)) if history.latest else None


def _by_stream(rates: dict[Key, float]) -> dict[str, float]:
    """Samples whose last label is the stream; those of no stream (status, unknown topics) are left out."""
    return {key[-1]: value for key, value in rates.items() if key[-1] in _NAMES}


def _by_table(rates: dict[Key, float]) -> dict[str, float]:
    return {_TABLES[key[-1]]: value for key, value in rates.items() if key[-1] in _TABLES}


def _read_by_lake(lake: History) -> dict[str, float]:
    """Committed and repeated together."""
    found: dict[str, float] = {}
    for name in ("lake_rows_total", "lake_duplicates_total"):
        for stream, value in _by_table(lake.rates(name, over_s=FLOW_WINDOW_S)).items():
            found[stream] = found.get(stream, 0.0) + value
    return found


def _latency(hop: _Hop, history: History) -> dict[str, Any]:
    """A hop's, over all streams and of each."""
    streams = {_TABLES.get(label, label): _of(history, hop.name, label) for label in hop.labels}
    whole = _of(history, hop.name, None)
    return asdict(whole) | {
        "id": hop.id,
        "title": hop.title,
        "clocks": hop.clocks,
        "note": note(whole),
        "is_heard": bool(history.latest),
        "over_s": min(history.span_s, FLOW_WINDOW_S),
        "streams": {
            stream: {"count": one.count, "p50_s": one.p50_s, "p99_s": one.p99_s} for stream, one in streams.items()
        },
    }


def _of(history: History, name: str, label: str | None) -> Latency:
    """`label`: a stream or table; None: all streams, without dead letters' own table."""
    cumulative: dict[float, float] = {}
    for (_, bound, whose), value in _three(history.grown(f"{name}_bucket")):
        if whose == label or (label is None and whose != DEAD_LETTERS_TABLE):
            cumulative[bound] = cumulative.get(bound, 0.0) + value
    return latency_of(cumulative)


def _three(grown: dict[Key, float]) -> list[tuple[tuple[str, float, str], float]]:
    """Labels stand in the order of their names: `le` before `stream` and `table`."""
    return [((key[0], float(key[1]), key[2]), value) for key, value in grown.items() if len(key) == 3]


def note(latency: Latency) -> str | None:
    """What the numbers do not say by themselves; None where they can be taken as they are."""
    if not latency.count:
        return None
    if latency.negative > _SHARE_WORTH_SAYING * latency.count:
        return (
            f"{_share(latency.negative, latency.count)} arrived before they were sent: a sender's clock is ahead of "
            "the receiver's. These quantiles mix two clocks; set the device's clock."
        )
    if latency.beyond > _SHARE_WORTH_SAYING * latency.count:
        return (
            f"{_share(latency.beyond, latency.count)} took longer than {latency.bound_s:g} s: kept while a part was "
            "away, replayed without --restamp, or sent by a clock that is behind."
        )
    return None


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if math.isclose(part, whole) or part * 100 >= whole else "Some"


def _dead_letters(bridge: History) -> list[dict[str, Any]]:
    """By reason: how many since the bridge started, and per second."""
    counts: dict[str, float] = {}
    rates: dict[str, float] = {}
    name = f"{_BRIDGE}_dead_lettered_total"
    # Labels in the order of their names: reason, stream.
    for key, value in bridge.latest.items():
        if key[0] == name:
            counts[key[1]] = counts.get(key[1], 0.0) + value
    for key, value in bridge.rates(name, over_s=FLOW_RATE_S).items():
        rates[key[1]] = rates.get(key[1], 0.0) + value
    found = [
        {"reason": reason, "meaning": meaning(reason), "count": round(count), "per_s": rates.get(reason, 0.0)}
        for reason, count in counts.items()
    ]
    return sorted(found, key=lambda one: (-one["count"], one["reason"]))
