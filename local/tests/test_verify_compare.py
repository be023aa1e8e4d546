"""The auditor is audited: every kind of damage, done to one reading, must be reported as exactly that."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from smartcity.contracts.envelope import Envelope
from smartcity.contracts.streams import (
    STREAMS,
    Camera,
    Emergency,
    Gps,
    Reading,
    Stream,
    Vehicle,
    Weather,
)
from smartcity.contracts.tables import frame_key
from smartcity.local.verify.arrow import ENTRIES, FRAMES, HEADS, SPANS, dead_letter_schema, lake_schema
from smartcity.local.verify.compare import compare
from smartcity.local.verify.expected import Expected, expect
from smartcity.local.verify.found import Found
from smartcity.local.verify.generated import Generated, Logged
from smartcity.local.verify.report import Report

DEVICE = "vehicle-1"
BOOT = "00000000000000aa"
START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
PER_STREAM = 3
ON_KING_STREET = (43.4643, -80.5204)


class UndecodableError(Exception):
    """What the decoder of this test raises."""


def decode(stream: Stream, logged: Logged, envelope: Envelope) -> Reading:
    """Stands in for the bridge's decoder: values follow from the sequence, `broken` payloads are refused."""
    if logged.payload.startswith(b"broken"):
        raise UndecodableError("not a payload of this stream")
    common: dict[str, Any] = {"id": envelope.id, "device_id": logged.device_id, "timestamp": envelope.time}
    latitude, longitude = ON_KING_STREET
    place = {"latitude": latitude, "longitude": longitude}
    digest = hashlib.sha256(logged.payload).hexdigest()
    values: dict[str, dict[str, Any]] = {
        "gps": {**place, "speed": 50.5 + envelope.sequence, "fix_quality": 1, "satellites": 9},
        "vehicle": {"speed": 50.0, "rpm": 2000.25, "trouble_codes": ("P0171",), "make": "Volvo", "year": 2020},
        "camera": {
            **place,
            "snapshot": frame_key(digest),
            "frame_bytes": len(logged.payload),
            "frame_sha256": digest,
            "frame_width": 640,
            "frame_height": 360,
        },
        "weather": {
            **place,
            "temperature": 3.5,
            "condition": "rain",
            "precipitation": 1.25,
            "wind_speed": 12.0,
            "humidity": 80.0,
            "air_quality_index": 30.0,
        },
        "emergency": {**place, "incident_id": "i-1", "type": "fire", "status": "reported", "severity": 3},
    }
    return stream.contract(**common, **values[stream.name])


@dataclasses.dataclass(slots=True)
class World:
    """Three readings of each stream that went through unharmed, in plain rows that a test may damage."""

    bodies: list[Logged]
    kinds: list[tuple[str, int, str | None]]  # kind, sequence, reason: entries beside the log
    evicted: list[tuple[str, str, int, int]]
    rows: dict[str, list[dict[str, Any]]]
    letters: list[dict[str, Any]]
    frames: list[dict[str, Any]]
    head_after: int

    def audit(self, examples_max: int = 10) -> Report:
        expected = expect(self.bodies, decode, (UndecodableError,))
        return compare(self.generated(), expected, self.found(), examples_max=examples_max)

    def generated(self) -> Generated:
        streams = {body.sequence: body.stream for body in self.bodies}
        entries = [("log", b.sequence, b.stream, hashlib.sha256(b.payload).hexdigest(), None) for b in self.bodies]
        entries += [(kind, n, streams.get(n, "gps"), None, reason) for kind, n, reason in self.kinds]
        rows = [(k, DEVICE, BOOT, n, f"{BOOT}.{n}", stream, digest, reason) for k, n, stream, digest, reason in entries]
        return Generated(
            boots=frozenset({(DEVICE, BOOT)}),
            entries=_table(rows, ENTRIES),
            evicted=_table(self.evicted, SPANS),
            heads=_table([(DEVICE, BOOT, max(streams))], HEADS),
        )

    def found(self) -> Found:
        return Found(
            rows={s.name: pa.Table.from_pylist(self.rows[s.name], schema=lake_schema(s)) for s in STREAMS},
            dead_letters=pa.Table.from_pylist(self.letters, schema=dead_letter_schema()),
            frames=pa.Table.from_pylist(self.frames, schema=FRAMES),
            heads=_table([(DEVICE, BOOT, self.head_after)], HEADS),
        )

    def bury(self, stream: str, reason: str) -> dict[str, Any]:
        """Moves the stream's last row to the dead letters."""
        row = self.rows[stream].pop()
        letter = {
            "reason": reason,
            "refused_by": "bridge",
            "device_id": DEVICE,
            "id": row["id"],
            "payload_sha256": row["payload_sha256"],
            "found_sha256": row["payload_sha256"],
        }
        self.letters.append(letter)
        return letter


def _table(rows: list[tuple[Any, ...]], schema: Any) -> Any:
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


@pytest.fixture
def world() -> World:
    return build(per_stream=PER_STREAM)


def build(*, per_stream: int) -> World:
    bodies = [
        Logged(
            device_id=DEVICE,
            boot=BOOT,
            sequence=i + 1,
            stream=STREAMS[i % len(STREAMS)].name,
            event_time_us=int((START + timedelta(seconds=i)).timestamp()) * 1_000_000 + 123_456,
            payload=f"payload {i}".encode(),
            metadata=None,
        )
        for i in range(per_stream * len(STREAMS))
    ]
    clocks = {
        name: START + timedelta(hours=1, seconds=i)
        for i, name in enumerate(("sent_at", "bridged_at", "kafka_at", "lake_at"))
    }
    expected: Expected = expect(bodies, decode, (UndecodableError,))
    rows = {s.name: [{**row, **clocks} for row in expected.rows[s.name].to_pylist()] for s in STREAMS}
    frames = [
        {"snapshot": row["snapshot"], "sha256": row["frame_sha256"], "bytes": row["frame_bytes"]}
        for row in rows["camera"]
    ]
    return World(bodies=bodies, kinds=[], evicted=[], rows=rows, letters=[], frames=frames, head_after=len(bodies))


def _problems(report: Report) -> dict[str, int]:
    """What is not as it should be, by name; and the books must balance whatever was done."""
    generated, accounted = report.balance()
    assert generated == accounted
    names = ("lost", "duplicated", "altered", "unknown", "pending", "refused", "dropped", "unproven")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def test_untouched_lake_is_clean(world: World) -> None:
    report = world.audit()
    assert _problems(report) == {}
    assert report.settled
    assert report.generated == report.lake == {stream.name: PER_STREAM for stream in STREAMS}
    assert report.frames == PER_STREAM
    assert report.examples == {}


def test_expected_rows_know_their_place_on_the_road(world: World) -> None:
    assert {row["route"] for row in world.rows["gps"]} == {"waterloo-toronto"}


@pytest.mark.parametrize("stream", [s.name for s in STREAMS])
def test_a_dropped_row_is_lost(world: World, stream: str) -> None:
    gone = world.rows[stream].pop(1)
    report = world.audit()
    assert _problems(report) == {"lost": 1}
    assert report.examples["lost"] == [{"device_id": DEVICE, "id": gone["id"], "stream": stream}]
    assert not report.clean


@pytest.mark.parametrize("stream", [s.name for s in STREAMS])
def test_a_row_shown_twice_is_duplicated(world: World, stream: str) -> None:
    world.rows[stream].append(dict(world.rows[stream][0]))
    report = world.audit()
    assert _problems(report) == {"duplicated": 1}
    assert report.examples["duplicated"][0]["copies"] == 2
    assert report.lake[stream] == PER_STREAM


def _other(value: Any) -> Any:
    """A value of the same type that differs as little as it can."""
    match value:
        case None:
            return "x"
        case str():
            return value[:-1] + ("1" if value[-1] != "1" else "2")
        case datetime():
            return value + timedelta(microseconds=1)
        case float():
            return value + 1e-9 * max(1.0, abs(value))
        case int():
            return value + 1
        case list():
            return [*value, "P0300"]
    raise AssertionError(f"no other value for {value!r}")


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_digit_of_any_column_is_noticed(stream: Stream) -> None:
    clocks = ("sent_at", "bridged_at", "kafka_at", "lake_at")
    names = [name for name in lake_schema(stream).names if name not in ("id", "device_id", *clocks)]
    world = build(per_stream=len(names))
    damaged = set()
    for row, name in zip(world.rows[stream.name], names, strict=True):
        before = row[name]
        if before is None:
            row[name] = "x" if lake_schema(stream).field(name).type == pa.string() else 1
        else:
            row[name] = before + 0.0011 if name == "route_km" else _other(before)
        damaged.add((row["id"], name))
    tables = compare_columns(world)
    assert damaged <= tables
    extra = {name for _, name in tables - damaged}
    assert extra <= {"frame in the bucket"}  # A row that names another object has no such frame either.
    assert _problems(world.audit()) == {"altered": len(names)}


def compare_columns(world: World) -> set[tuple[str, str]]:
    """(id, column) of everything reported as altered, with no limit on examples."""
    found: set[tuple[str, str]] = set()
    report = world.audit(examples_max=1_000)
    for example in report.examples["altered"]:
        found.add((example["id"], example["column"]))
    return found


def test_a_column_set_to_null_is_noticed(world: World) -> None:
    world.rows["gps"][0]["speed"] = None
    report = world.audit()
    assert _problems(report) == {"altered": 1}
    assert report.examples["altered"][0]["expected"] == "51.5"
    assert report.examples["altered"][0]["found"] is None


def test_a_place_within_a_metre_is_the_same_place(world: World) -> None:
    world.rows["gps"][0]["route_km"] += 0.0009
    assert _problems(world.audit()) == {}


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("sent_at", lambda row: None),
        ("bridged_at", lambda row: row["sent_at"] - timedelta(seconds=61)),
        ("kafka_at", lambda row: row["bridged_at"] - timedelta(seconds=61)),
        ("lake_at", lambda row: row["kafka_at"] - timedelta(seconds=61)),
    ],
)
def test_clocks_must_be_there_and_in_order(world: World, column: str, change: Callable[[Any], Any]) -> None:
    row = world.rows["weather"][0]
    row[column] = change(row)
    report = world.audit()
    assert _problems(report) == {"altered": 1}
    assert column in {example["column"] for example in report.examples["altered"]}


def test_a_byte_of_a_frame_is_noticed(world: World) -> None:
    world.frames[1]["sha256"] = hashlib.sha256(b"another frame").hexdigest()
    report = world.audit()
    assert _problems(report) == {"altered": 1}
    assert report.examples["altered"][0]["column"] == "frame in the bucket"


def test_a_missing_frame_is_noticed(world: World) -> None:
    world.frames[1].update(sha256=None, bytes=None)
    report = world.audit()
    assert _problems(report) == {"altered": 1}
    assert report.examples["altered"][0]["found"].startswith("no object frames/")


def test_a_row_in_the_wrong_table_is_altered(world: World) -> None:
    row = world.rows["vehicle"].pop(0)
    wrong = {**world.rows["gps"][0], "id": row["id"]}
    world.rows["gps"].append(wrong)
    report = world.audit()
    assert _problems(report) == {"altered": 1}
    assert report.examples["altered"][0]["column"] == "stream"


def test_a_row_of_undecodable_bytes_is_altered(world: World) -> None:
    world.bodies[0] = dataclasses.replace(world.bodies[0], payload=b"broken")
    assert _problems(world.audit()) == {"altered": 1}


def test_an_invented_row_is_unknown(world: World) -> None:
    world.rows["gps"].append({**world.rows["gps"][0], "id": f"{BOOT}.999"})
    report = world.audit()
    assert _problems(report) == {"unknown": 1}
    assert not report.clean


def test_a_row_of_a_reading_made_while_we_looked_is_not_invented(world: World) -> None:
    world.rows["gps"].append({**world.rows["gps"][0], "id": f"{BOOT}.16"})
    world.head_after = 16
    assert _problems(world.audit()) == {}


def test_dead_letters_are_counted_by_reason(world: World) -> None:
    world.bury("gps", "event_time_ahead")
    report = world.audit()
    assert _problems(report) == {}
    assert report.dead_letters["gps"] == 1
    assert report.dead_letters_by_reason == {"event_time_ahead": 1}
    assert report.lake["gps"] == PER_STREAM - 1


@pytest.mark.parametrize("column", ["found_sha256", "payload_sha256"])
def test_a_dead_letter_with_other_bytes_is_altered(world: World, column: str) -> None:
    world.bury("gps", "checksum_invalid")[column] = "0" * 64
    report = world.audit()
    assert _problems(report) == {"altered": 1}
    assert report.examples["altered"][0]["found"] == "0" * 64


def test_a_dead_letter_beside_a_row_counts_as_lake(world: World) -> None:
    letter = world.bury("gps", "checksum_invalid")
    world.rows["gps"].append({**world.rows["gps"][0], **_row_of(world, letter["id"])})
    report = world.audit()
    assert report.lake["gps"] == PER_STREAM
    assert report.dead_letters["gps"] == 0
    assert _problems(report) == {}


def _row_of(world: World, reading_id: str) -> dict[str, Any]:
    rows = expect(world.bodies, decode, (UndecodableError,)).rows["gps"]
    found: dict[str, Any] = rows.filter(pc.equal(rows["id"], reading_id)).to_pylist()[0]
    return found


@pytest.mark.parametrize(("kind", "name"), [("pending", "pending"), ("refused", "refused"), ("dropped", "dropped")])
def test_the_device_may_explain_what_is_missing(world: World, kind: str, name: str) -> None:
    world.rows["gps"].pop(0)
    world.kinds.append((kind, 1, "too_large" if kind != "pending" else None))
    report = world.audit()
    assert _problems(report) == {name: 1}
    assert report.clean
    assert report.settled == (kind != "pending")
    if kind == "refused":
        assert report.refused_by_reason == {"too_large": 1}
        assert report.examples["refused"][0]["reason"] == "too_large"


@pytest.mark.parametrize("kind", ["pending", "refused", "dropped"])
def test_what_the_lake_shows_counts_as_lake(world: World, kind: str) -> None:
    world.kinds.append((kind, 1, None))
    assert _problems(world.audit()) == {}


def test_evicted_log_is_unproven(world: World) -> None:
    del world.bodies[:4]
    world.evicted.append((DEVICE, BOOT, 1, 4))
    report = world.audit()
    assert _problems(report) == {"unproven": 4}
    assert report.clean


def test_a_hole_in_the_log_itself_is_unproven(world: World) -> None:
    del world.bodies[4:6]
    report = world.audit()
    assert _problems(report) == {"unproven": 2}
    assert report.examples["unproven"] == [{"device_id": DEVICE, "boot": BOOT, "first_sequence": 5, "last_sequence": 6}]


def test_one_drop_one_duplicate_one_change_are_told_apart(world: World) -> None:
    world.rows["emergency"].pop(0)
    world.rows["weather"].append(dict(world.rows["weather"][0]))
    world.rows["camera"][2]["vehicle_count"] = 7
    assert _problems(world.audit()) == {"lost": 1, "duplicated": 1, "altered": 1}


def test_the_document_has_the_keys_that_scripts_rely_on(world: World) -> None:
    document = world.audit().document()
    assert {
        "generated",
        "lake",
        "dead_letters",
        "lost",
        "duplicated",
        "altered",
        "pending",
        "refused",
        "dropped",
    } <= set(document)
    assert set(document["generated"]) == {"gps", "vehicle", "camera", "weather", "emergency"}


def test_contracts_in_use_are_the_five() -> None:
    assert {stream.contract for stream in STREAMS} == {Gps, Vehicle, Camera, Weather, Emergency}
