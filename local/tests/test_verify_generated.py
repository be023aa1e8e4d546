"""The devices' logs, written by the simulator's own outbox, are read whole and without guessing."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smartcity.contracts.streams import GPS
from smartcity.local.verify.errors import DeviceLogInvalidError, NoDeviceLogsError
from smartcity.local.verify.expected import envelope_of
from smartcity.local.verify.generated import (
    Generated,
    GeneratedReader,
    Logged,
    find_logs,
    read_heads,
    read_outstanding,
    select_boots,
)
from smartcity.sim.outbox import Outbox, OutboxLimits
from smartcity.sim.reading import Reading

START = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
STARTED = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


class Device:
    """One device with an outbox of its own."""

    def __init__(self, folder: Path, name: str, *, limits: OutboxLimits | None = None) -> None:
        folder.mkdir(parents=True)
        self.path = folder / "outbox.db"
        self.outbox = Outbox(self.path, limits=limits, wall_clock=lambda: STARTED)
        self.name = name
        self.boot = self.outbox.start(name)
        self.sequence = 0

    def make(self, count: int) -> list[Reading]:
        batch = []
        for _ in range(count):
            self.sequence += 1
            batch.append(
                Reading(
                    device_id=self.name,
                    boot=self.boot,
                    sequence=self.sequence,
                    stream=GPS,
                    time=START + timedelta(seconds=self.sequence),
                    payload=f"payload {self.sequence}".encode(),
                    metadata='{"vehicle_type":"car"}',
                )
            )
        with self.outbox.transaction():
            self.outbox.append(batch)
        return batch


def read(path: Path, boots: frozenset[tuple[str, str]] | None = None) -> tuple[list[Logged], Generated]:
    logs = find_logs([path])
    reader = GeneratedReader(logs, select_boots(logs) if boots is None else boots)
    bodies = list(reader.bodies())
    return bodies, reader.generated()


def test_a_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    device = Device(tmp_path / "a", "veh-1")
    device.make(3)
    bodies, generated = read(tmp_path)
    assert [body.payload for body in bodies] == [b"payload 1", b"payload 2", b"payload 3"]
    assert envelope_of(bodies[0], GPS).time == START + timedelta(seconds=1)
    assert envelope_of(bodies[0], GPS).id == f"{device.boot}.1"
    logged = [row for row in generated.entries.to_pylist() if row["kind"] == "log"]
    assert [row["payload_sha256"] for row in logged] == [hashlib.sha256(body.payload).hexdigest() for body in bodies]
    assert generated.heads.to_pylist() == [{"device_id": "veh-1", "boot": device.boot, "last_sequence": 3}]


def test_what_became_of_readings_is_told_apart(tmp_path: Path) -> None:
    device = Device(tmp_path / "a", "veh-1", limits=OutboxLimits(pending_max=4))
    batch = device.make(5)
    with device.outbox.transaction():
        device.outbox.confirm("veh-1", device.boot, [(1, 2)])
        device.outbox.refuse(batch[2], reason="too_large", detail="2 MiB")
    _, generated = read(tmp_path)
    found = {(row["kind"], row["sequence"], row["reason"]) for row in generated.entries.to_pylist()}
    assert {row for row in found if row[0] != "log"} == {
        ("pending", 4, None),
        ("refused", 3, "too_large"),
        ("dropped", 5, "pending_max"),
    }
    outstanding = read_outstanding(find_logs([tmp_path]), select_boots(find_logs([tmp_path])))
    assert sorted(outstanding["id"].to_pylist()) == [f"{device.boot}.{n}" for n in (1, 2, 4)]


def test_evicted_spans_and_readings_that_still_wait_are_known(tmp_path: Path) -> None:
    device = Device(tmp_path / "a", "veh-1", limits=OutboxLimits(log_bytes_max=600))
    device.make(10)
    with device.outbox.transaction():
        device.outbox.confirm("veh-1", device.boot, [(2, 10)])
    bodies, generated = read(tmp_path)
    (span,) = generated.evicted.to_pylist()
    assert span["first_sequence"] == 1
    assert 1 < span["last_sequence"] < 10
    # Reading 1 has left the log, but waits: its bytes are judged all the same.
    assert [body.sequence for body in bodies] == [*range(span["last_sequence"] + 1, 11), 1]


def test_boots_are_chosen_by_name_and_by_time(tmp_path: Path) -> None:
    first, second = Device(tmp_path / "a", "veh-1"), Device(tmp_path / "b", "veh-2")
    first.make(1)
    second.make(2)
    logs = find_logs([tmp_path])
    assert len(logs) == 2
    only = select_boots(logs, boots=[second.boot])
    assert only == {("veh-2", second.boot)}
    bodies, generated = read(tmp_path, only)
    assert {body.device_id for body in bodies} == {"veh-2"}
    assert set(generated.entries["device_id"].to_pylist()) == {"veh-2"}
    assert read_heads(logs, only)["last_sequence"].to_pylist() == [2]
    assert select_boots(logs, since=STARTED) == {("veh-1", first.boot), ("veh-2", second.boot)}
    assert select_boots(logs, since=STARTED + timedelta(seconds=1)) == frozenset()
    with pytest.raises(NoDeviceLogsError, match="none of the 2 device logs"):
        select_boots(logs, boots=["ffffffffffffffff"])


def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(DeviceLogInvalidError, match=r"outbox\.db"):
        select_boots(find_logs([tmp_path]))
