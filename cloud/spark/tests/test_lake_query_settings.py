"""What a batch runs with, where Spark's checkpoint would say something else."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smartcity.lake import query
from smartcity.lake.batch import Outcome
from smartcity.lake.progress import Progress
from smartcity.lake.query import LakeQuery
from smartcity.lake.seen import Seen
from smartcity.lake.settings import Settings, Storage


def test_a_batch_shuffles_as_the_settings_say_not_as_the_checkpoint_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    of_checkpoint: dict[str, Any] = {"spark.sql.shuffle.partitions": "2"}
    seen: list[Any] = []

    def process_batch(rows: Any, *_more: Any) -> Outcome:
        seen.append(of_checkpoint["spark.sql.shuffle.partitions"])
        return Outcome(batch_id=7, records=0, seconds=0.0)

    monkeypatch.setattr(query, "process_batch", process_batch)
    lake: Any = object.__new__(LakeQuery)
    lake._settings = Settings(
        kafka="k", storage=Storage(bucket="b", region="r"), jars=Path(), shuffle_partitions=16
    )  # fmt: skip
    lake._progress, lake._seen = Progress(), Seen()
    lake._in_batch, lake._stopping, lake._query_id = threading.Lock(), False, "q"
    lake._started = threading.Event()
    lake._started.set()
    conf = SimpleNamespace(set=of_checkpoint.__setitem__)
    lake._batch(SimpleNamespace(sparkSession=SimpleNamespace(conf=conf)), 7)
    assert seen == [16]
