"""A checkpoint in a real S3 endpoint, as Spark 4 writes it."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from smartcity.lake.checkpoint import forget_impossible_batch, require_cluster
from smartcity.lake.errors import TerminalError
from smartcity.lake.s3 import s3_client
from smartcity.lake.settings import Storage

READ = {"gps_data": {"0": 8364, "1": 8429}, "emergency_data": {"0": 6, "1": 15}}
"""Ends as found after batch 131 of a run in which a foreign Kafka answered."""
FOREIGN = {"gps_data": {"0": 61, "1": 61}, "emergency_data": {"0": 0, "1": 0}}
MORE = {"gps_data": {"0": 8448, "1": 8429}, "emergency_data": {"0": 6, "1": 15}}

_numbers = itertools.count()


@pytest.fixture
def place(storage: Storage) -> Storage:
    """An empty bucket at the endpoint that the module shares."""
    own = dataclasses.replace(storage, bucket=f"checkpoint-{next(_numbers)}")
    s3_client(own).create_bucket(Bucket=own.bucket)
    return own


@pytest.fixture
def plan(place: Storage) -> Callable[..., None]:
    def write(number: int, ends: Any, *, committed: bool) -> None:
        text = "\n".join(("v1", '{"batchWatermarkMs":0,"batchTimestampMs":1,"conf":{}}', json.dumps(ends)))
        put(place, f"offsets/{number}", text)
        if committed:
            put(place, f"commits/{number}", 'v1\n{"nextBatchWatermarkMs":0}')

    return write


def put(place: Storage, name: str, text: str) -> None:
    s3_client(place).put_object(Bucket=place.bucket, Key=f"checkpoints/stream/{name}", Body=text.encode())


def planned(place: Storage) -> list[str]:
    listing = s3_client(place).list_objects_v2(Bucket=place.bucket, Prefix="checkpoints/stream/offsets/")
    return sorted(item["Key"].rpartition("/")[2] for item in listing.get("Contents", []))


def test_a_batch_that_ends_before_it_begins_is_forgotten(place: Storage, plan: Callable[..., None]) -> None:
    plan(9, READ, committed=True)
    plan(10, FOREIGN, committed=False)
    assert forget_impossible_batch(place) == 10
    assert planned(place) == ["9"]
    assert forget_impossible_batch(place) is None


@pytest.mark.parametrize("short", [{"gps_data": {"1": 8428}}, {"emergency_data": {"0": 0}}])
def test_one_partition_that_falls_behind_is_enough(place: Storage, plan: Callable[..., None], short: Any) -> None:
    plan(1, READ, committed=True)
    plan(2, {topic: partitions | short.get(topic, {}) for topic, partitions in MORE.items()}, committed=False)
    assert forget_impossible_batch(place) == 2


@pytest.mark.parametrize("ends", [READ, MORE, MORE | {"a_new_topic": {"0": 3}}])
def test_a_batch_that_can_run_stays(place: Storage, plan: Callable[..., None], ends: Any) -> None:
    plan(1, READ, committed=True)
    plan(2, ends, committed=False)
    assert forget_impossible_batch(place) is None
    assert planned(place) == ["1", "2"]


def test_a_committed_batch_stays_whatever_it_says(place: Storage, plan: Callable[..., None]) -> None:
    plan(1, READ, committed=True)
    plan(2, FOREIGN, committed=True)
    assert forget_impossible_batch(place) is None


def test_the_first_batches_stay(place: Storage, plan: Callable[..., None]) -> None:
    assert forget_impossible_batch(place) is None
    plan(0, READ, committed=False)
    assert forget_impossible_batch(place) is None


def test_offsets_of_an_unknown_format_are_named(place: Storage, plan: Callable[..., None]) -> None:
    plan(0, READ, committed=True)
    put(place, "offsets/1", "v2\n{}\n{}")
    with pytest.raises(TerminalError, match="checkpoints/stream/offsets/1 is not the offsets"):
        forget_impossible_batch(place)


def test_another_kafka_at_the_address_is_refused(place: Storage) -> None:
    require_cluster(place, "first", "127.0.0.1:9092")
    require_cluster(place, "first", "127.0.0.1:9092")
    with pytest.raises(TerminalError, match=r"127\.0\.0\.1:9092 is another cluster \(second\) .* from \(first\)"):
        require_cluster(place, "second", "127.0.0.1:9092")
    require_cluster(place, "first", "127.0.0.1:9092")
