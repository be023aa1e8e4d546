"""Counts the lake without Spark: pyiceberg reads the tables, and each row is compared with the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from smartcity.contracts.fields import columns
from smartcity.contracts.streams import CAMERA, STREAMS, Stream
from smartcity.contracts.tables import DEAD_LETTERS_TABLE, frame_key
from smartcity.local.verify.lake import Lake

from .truth import Key, Truth, letter_digest, reading_digest

DEAD_COLUMNS = ("kafka_topic", "kafka_partition", "kafka_offset", "reason", "refused_by", "payload")
MUST_BE_NONE = ("lost", "duplicated", "altered", "unknown")
EXAMPLES_MAX = 5


def count(lake: Lake, truth: Truth) -> dict[str, Any]:
    """Rows, and what is wrong with them.

    `lost` keys are not there, `duplicated` rows are there once too often, `unknown` ones nobody sent. `altered` ones
    differ in a field, in the payload's hash, or in the reason of a dead letter. A frame that is missing or another is
    altered too.
    """
    found: dict[str, Any] = {"rows": {}, **dict.fromkeys(MUST_BE_NONE, 0), "examples": []}
    for table, wanted in truth.rows.items():
        times: Counter[Key] = Counter()
        wrong: dict[str, list[Any]] = {name: [] for name in MUST_BE_NONE}
        for key, digest in _rows(lake, table):
            times[key] += 1
            if times[key] > 1:
                wrong["duplicated"].append(key)
            if key not in wanted:
                wrong["unknown"].append(key)
            elif wanted[key] != digest:
                wrong["altered"].append(key)
        wrong["lost"] = list(wanted.keys() - times.keys())
        found["rows"][table] = times.total()
        for name, keys in wrong.items():
            found[name] += len(keys)
            found["examples"] += [f"{table}: {name} {key}" for key in keys[:EXAMPLES_MAX]]
    wrong_frames = _wrong_frames(lake)
    found["altered"] += len(wrong_frames)
    found["examples"] += [f"frame {key}" for key in wrong_frames[:EXAMPLES_MAX]]
    return found


def _rows(lake: Lake, table: str) -> Iterator[tuple[Key, str]]:
    if table == DEAD_LETTERS_TABLE:
        for batch in lake.batches(table, DEAD_COLUMNS, None):
            for row in batch.to_pylist():
                key = (row["kafka_topic"], row["kafka_partition"], row["kafka_offset"])
                yield key, letter_digest(row["reason"], row["refused_by"], row["payload"])
        return
    stream = _stream(table)
    names = (*(column.name for column in columns(stream.contract)), "payload_sha256")
    for batch in lake.batches(table, names, None):
        for row in batch.to_pylist():
            yield (row["device_id"], row["id"]), reading_digest(stream, row, row["payload_sha256"])


def _stream(table: str) -> Stream:
    return next(stream for stream in STREAMS if stream.table == table)


def _wrong_frames(lake: Lake) -> list[str]:
    keys = [key for batch in lake.batches(CAMERA.table, ("snapshot",), None) for key in batch["snapshot"].to_pylist()]
    frames = lake.frames(pa.table({"snapshot": pa.array(keys, pa.string())})).to_pylist()
    return [one["snapshot"] for one in frames if not one["sha256"] or one["snapshot"] != frame_key(one["sha256"])]
