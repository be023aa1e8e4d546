"""Faults of a plan against a real Mosquitto and a giver of receipts: they happen as planned, and nothing is lost."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import sqlite3
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.broker


def _beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


broker = _beside("test_sim_broker")

PLAN = """
[[fault]]
kind = "offline"
devices = "wt-veh-*"
from = "60s"
to = "180s"

[[fault]]
kind = "duplicate"
probability = 0.2

[[fault]]
kind = "reorder"
devices = "wt-veh-*"
probability = 0.3

[[fault]]
kind = "oversize_frame"
probability = 0.3
"""

Id = tuple[str, str, int]


transport, gateway, giver = broker.transport, broker.gateway, broker.giver  # Its fixtures serve here too.


def read(outbox: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(outbox) as db:
        return db.execute(query).fetchall()


def test_what_the_plan_did_is_what_the_gateway_saw(gateway: Any, giver: Any, tmp_path: Path, transport: str) -> None:
    gateway.start("max_packet_size 1048576")
    assert giver.subscribed.wait(broker.DEADLINE_S)
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    arguments = ["--speed", "60", "--duration", "300", "--faults", str(plan), "--vehicles", "2"]
    simulator = broker.Simulator(gateway, tmp_path / "s", transport, *arguments)
    code, summary, error = simulator.ends()
    assert code == 0, error
    assert summary["pending"] == summary["dropped"] == 0
    truth: dict[str, set[Id]] = defaultdict(set)
    for kind, *one in read(simulator.outbox, "SELECT kind, device_id, boot, sequence FROM faults"):
        truth[kind].add((one[0], one[1], one[2]))
    assert summary["faults"] == {kind: len(ids) for kind, ids in truth.items()}
    logged = set(read(simulator.outbox, "SELECT device_id, boot, sequence FROM log"))
    refused = read(simulator.outbox, "SELECT device_id, boot, sequence, reason FROM refused")
    assert {row[:3] for row in refused} == truth["oversize_frame"] > set()
    assert {row[3] for row in refused} == {"packet_too_large"}
    broker.until(lambda: set(giver.arrivals) == logged - truth["oversize_frame"], "all others have arrived")
    _check_offline(giver, simulator.outbox)
    received = Counter(giver.arrivals)
    assert all(received[one] >= 2 for one in truth["duplicate"] - truth["oversize_frame"])
    assert len([one for one, count in received.items() if count == 1]) > len(logged) / 2
    first_offline = {device: sequence for device, _, sequence in sorted(truth["offline"], reverse=True)}
    before = [one for one in giver.arrivals if one[2] < first_offline.get(one[0], 0) and one not in truth["duplicate"]]
    _check_order(before, truth["reorder"])


def _check_offline(giver: Any, outbox: Path) -> None:
    """The device was away once, as the gateway's last will says, and made readings meanwhile."""
    for device in ("wt-veh-001", "wt-veh-002"):
        away = ["online", "offline", "online", "offline"]  # The last one is the end of the run.
        broker.until(functools.partial(_was, giver, device, away), f"{device} was away once")
        (span,) = read(
            outbox,
            "SELECT max(event_time_us) - min(event_time_us) FROM faults JOIN log USING (device_id, boot, sequence)"
            f" WHERE kind = 'offline' AND device_id = '{device}'",
        )
        assert 110e6 <= span[0] < 120e6


def _was(giver: Any, device: str, states: list[str]) -> bool:
    """Whether the device's statuses have said this, each change once."""
    return [state for state, _ in itertools.groupby(status["state"] for status in giver.statuses[device])] == states


def _check_order(arrivals: list[Id], reordered: set[Id]) -> None:
    """Most readings that were held back came after a later one, and hardly any other did."""
    overtaken: Counter[bool] = Counter()
    highest: Counter[str] = Counter()
    for one in dict.fromkeys(arrivals):
        device, _, sequence = one
        overtaken[one in reordered] += sequence < highest[device]
        highest[device] = max(highest[device], sequence)
    held_back = len(reordered & set(arrivals))
    assert held_back > 30
    assert overtaken[True] > held_back / 2
    assert overtaken[False] < held_back / 10
