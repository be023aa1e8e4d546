"""Batches through a real Spark into real Iceberg tables."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from smartcity.contracts.envelope import format_time
from smartcity.contracts.routes import ROUTE_NAMES, locate, route
from smartcity.contracts.streams import CAMERA, GPS, STREAMS, VEHICLE, WEATHER, Stream
from smartcity.lake.batch import Outcome, process_batch
from smartcity.lake.commit import BatchIdentity
from smartcity.lake.describe import describe
from smartcity.lake.parse import parse
from smartcity.lake.places import with_place
from smartcity.lake.s3 import s3_client
from smartcity.lake.seen import Seen
from smartcity.lake.settings import Storage

pytestmark = pytest.mark.spark
_numbers = itertools.count()


@pytest.fixture
def run(as_records: Callable[..., Any], grid_rows: Any, storage: Storage) -> Callable[..., Outcome]:
    """Run records as one batch; a batch id repeated is a replay."""
    known: dict[str, Seen] = defaultdict(Seen)

    def batch(records: list[Any], batch_id: int, *, query: str, first_offset: int = 0) -> Outcome:
        rows = parse(as_records(records, first_offset=first_offset), grid_rows)
        return process_batch(rows, BatchIdentity(query_id=query, batch_id=batch_id), storage, known[query])

    return batch


@pytest.fixture
def boot() -> str:
    return f"{next(_numbers):016x}"


def _ids(spark: Any, table: str, boot: str) -> list[str]:
    found = spark.table(f"lake.smartcity.{table}").where(f"id like '{boot}.%'").select("id").collect()
    return sorted((row.id for row in found), key=lambda id_: int(id_.split(".")[1]))


def test_readings_are_kept_once_and_late_ones_too(spark: Any, run: Any, make_record: Any, boot: str) -> None:
    day_before = format_time(make_start(-30))
    first = [make_record(GPS, n, boot=boot) for n in (1, 2, 3)]
    late = make_record(GPS, 4, boot=boot, timestamp=day_before)
    outcome = run([*first, first[0], make_record(VEHICLE, 5, boot=boot)], 0, query=boot)
    assert (outcome.rows, outcome.duplicates["gps"]) == ({"gps": 3, "vehicle": 1}, 1)
    outcome = run([first[1], late, late, make_record(GPS, 6, boot=boot)], 1, query=boot)
    assert (outcome.rows["gps"], outcome.duplicates["gps"]) == (2, 2)
    assert run([late], 2, query=boot).rows == {"gps": 0}
    assert _ids(spark, "gps", boot) == [f"{boot}.{n}" for n in (1, 2, 3, 4, 6)]


def make_start(hours: int) -> Any:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime(2026, 11, 20, 8, tzinfo=UTC) + timedelta(hours=hours)


def test_a_replayed_batch_is_skipped_and_a_new_query_is_not(spark: Any, run: Any, make_record: Any, boot: str) -> None:
    records = [make_record(stream, n + 1, boot=boot) for n, stream in enumerate(STREAMS)]
    first = run(records, 3, query=boot)
    assert set(first.rows.values()) == {1}
    # The records' Kafka time is days ago, and each waited beyond the last bound.
    assert {table: delays.counts[-1] for table, delays in first.delays.items()} == first.rows
    replay = run(records, 3, query=boot)
    assert (replay.rows, set(replay.skipped)) == ({}, {stream.table for stream in STREAMS})
    assert replay.delays == {}
    again = run(records, 3, query=f"{boot}-new-checkpoint")
    assert (set(again.rows.values()), again.skipped) == ({0}, ())
    assert all(len(_ids(spark, stream.table, boot)) == 1 for stream in STREAMS)


BROKEN = {
    "not json": ("gps_data", b"k", b"not json", []),
    "not utf-8": ("gps_data", b"k", b'{"id": "\xff"}', []),
    "no value": ("gps_data", None, None, []),
    "array": ("weather_data", b"k", b"[]", []),
    "camera without reading": ("traffic_data", b"k", b"\xff\xd8", []),
    "dead letter without reason": ("dead_letters", b"k", b"x", []),
}


def test_what_cannot_be_a_row_is_a_dead_letter(spark: Any, run: Any, make_record: Any, boot: str) -> None:
    good = make_record(GPS, 1, boot=boot)
    frame = make_record(CAMERA, 2, boot=boot)
    contract = [
        make_record(GPS, 3, boot=boot, fix_quality=None),
        make_record(GPS, 4, boot=boot, latitude="north"),
        make_record(VEHICLE, 5, boot=boot, trouble_codes=[None]),
        make_record(WEATHER, 6, boot=boot, temperature="NaN"),
        (frame[0], frame[1], b"another frame", frame[3]),
        make_record(GPS, 7, boot=boot, timestamp=format_time(make_start(2))),
        make_record(GPS, 8, boot=boot, timestamp="1999-12-31T23:59:59.000000Z"),
    ]
    outcome = run([*BROKEN.values(), good, *contract], 0, query=boot, first_offset=10_000)
    assert outcome.rows == {"gps": 1, "dead_letters": len(BROKEN) + len(contract)}
    rows = spark.table("lake.smartcity.dead_letters").where("kafka_offset >= 10000").orderBy("kafka_offset").collect()
    assert [row.reason for row in rows] == ["record_unparseable"] * len(BROKEN) + [
        "contract_violation", "record_unparseable", "contract_violation", "contract_violation", "contract_violation",
        "event_time_ahead", "event_time_too_old",
    ]  # fmt: skip
    assert [bytes(row.payload) for row in rows[:2]] == [b"not json", b'{"id": "\xff"}']
    assert {row.refused_by for row in rows} == {"lake"}
    assert rows[6].detail == "fix_quality is missing"
    assert rows[6].id == f"{boot}.3"
    assert "payload_sha256" in rows[6].properties


def test_the_bridges_dead_letters_keep_their_reason_and_bytes(spark: Any, run: Any, boot: str) -> None:
    headers = [("reason", b"checksum_invalid"), ("detail", b"RMC"), ("mqtt_topic", b"devices/a/gps"),
               ("properties", b'[["a","b"]]'), ("bridgetime", format_time(make_start(0)).encode())]  # fmt: skip
    record = ("dead_letters", b"a", b"$GPRMC,\xff", headers)
    assert run([record], 0, query=boot, first_offset=20_000).rows == {"dead_letters": 1}
    assert run([record], 1, query=boot, first_offset=20_000).rows == {"dead_letters": 0}
    row = spark.table("lake.smartcity.dead_letters").where("kafka_offset = 20000").collect()[0]
    assert (row.reason, row.refused_by, row.device_id, row.detail) == ("checksum_invalid", "bridge", "a", "RMC")
    assert (bytes(row.payload), row.properties) == (b"$GPRMC,\xff", '[["a","b"]]')
    assert row.payload_sha256 == hashlib.sha256(b"$GPRMC,\xff").hexdigest()


def test_a_frame_is_stored_before_the_row_that_names_it(  # noqa: PLR0917
    spark: Any, run: Any, make_record: Any, storage: Storage, boot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_record(CAMERA, 1, boot=boot)
    key = f"frames/{hashlib.sha256(record[2]).hexdigest()[:2]}/{hashlib.sha256(record[2]).hexdigest()}.jpg"

    def fails(*_: object) -> int:
        raise RuntimeError("killed between the frame and the row")

    with monkeypatch.context() as patch:
        patch.setattr("smartcity.lake.batch.append", fails)
        with pytest.raises(RuntimeError, match="killed"):
            run([record], 0, query=boot)
    assert s3_client(storage).get_object(Bucket=storage.bucket, Key=key)["Body"].read() == record[2]
    assert _ids(spark, "camera", boot) == []
    assert run([record], 0, query=boot).rows == {"camera": 1}


def test_no_row_without_its_frame(
    spark: Any, run: Any, make_record: Any, boot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise ClientError({"Error": {"Code": "503"}}, "PutObject")

    monkeypatch.setattr("smartcity.lake.batch.store_frames", refused)
    with pytest.raises(ClientError):
        run([make_record(CAMERA, 1, boot=boot)], 0, query=boot)
    assert _ids(spark, "camera", boot) == []


def test_every_value_arrives_unchanged(spark: Any, run: Any, make_record: Any, boot: str, storage: Storage) -> None:
    stream: Stream = VEHICLE
    fields = {"speed": 0.1 + 0.2, "rpm": 1 / 3, "location": 'Köln \U0001f697 "x"', "year": 2024, "trouble_codes": []}
    run([make_record(stream, 1, boot=boot, timestamp="2026-11-20T08:00:01.000001Z", **fields)], 0, query=boot)
    row = (
        spark.table("lake.smartcity.vehicle")
        .where(f"id = '{boot}.1'")
        .selectExpr("*", "unix_micros(timestamp) us")
        .first()
    )
    assert {name: row[name] for name in fields} == fields
    assert row.us % 1_000_000 == 1
    assert None not in (row.bridged_at, row.kafka_at, row.payload_sha256)
    assert next(one for one in describe(storage) if one.table == "vehicle").rows >= 1


def test_places_agree_with_the_contract(spark: Any, grid_rows: Any) -> None:
    rng = random.Random(11)
    points: list[tuple[float | None, float | None]] = [(None, None), (43.0, None), (0.0, 0.0), (90.0, 180.0)]
    for _ in range(4000):
        line = route(rng.choice(ROUTE_NAMES))
        latitude, longitude = line.point_at(rng.uniform(0, line.length_km))
        spread = rng.choice((0.0, 1e-4, 2e-3, 4e-3))
        points.append((latitude + rng.uniform(-spread, spread), longitude + rng.uniform(-spread, spread)))
    table = spark.createDataFrame(points, "lat double, lon double")
    found = with_place(table, grid_rows, table["lat"], table["lon"]).collect()
    assert len(found) == len(points)
    on_route = 0
    for row in found:
        expected = None if row.lat is None or row.lon is None else locate(row.lat, row.lon)
        if expected is None:
            assert (row.route, row.route_km) == (None, None)
        else:
            on_route += 1
            assert row.route == expected[0]
            assert abs(row.route_km - expected[1]) < 0.001
    assert 2000 < on_route < len(points) - 300
