"""One way from Kafka to files, in a process of its own: every second a line with its records and its CPU so far.

read      Kafka's records, thrown away
floor     the same, with each value read as JSON of its contract
parse     the lake's own parsing (headers, refusals, place on the road), thrown away
lake      the lake's query: parsed, looked up, frames stored, committed to six Iceberg tables
tutorial  as tutorials write it: a query per topic, JSON, FileStreamSink Parquet, no partitions
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as fn
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.types import StructType

from smartcity.contracts.envelope import HEADER_READING
from smartcity.contracts.fields import columns
from smartcity.contracts.render.spark import spark_schema
from smartcity.contracts.streams import CAMERA, STREAMS, Stream
from smartcity.lake.parse import parse
from smartcity.lake.places import grid_table
from smartcity.lake.progress import Progress
from smartcity.lake.query import LakeQuery, read_kafka
from smartcity.lake.session import start_session
from smartcity.lake.settings import Settings, read_storage
from smartcity.lake.tables import ensure_tables

ARMS = ("read", "floor", "parse", "lake", "tutorial")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arm", choices=ARMS)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--jars", type=Path, required=True)
    parser.add_argument("--batch", type=int, required=True, help="records per batch, over all topics")
    parser.add_argument("--shares", type=json.loads, required=True, help="part of each topic in them")
    options = parser.parse_args()
    settings = Settings(
        kafka=options.kafka, storage=read_storage(options.bucket), jars=options.jars, available_now=True,
        offsets_per_trigger_max=options.batch,
    )  # fmt: skip
    spark = start_session(settings)
    done = START[options.arm](spark, settings, options)
    process = psutil.Process()
    while True:
        records, ended = done()
        line = {"records": records, "cpu_s": round(tree_cpu_s(process), 2), "at": time.monotonic()}
        print(json.dumps(line), flush=True)
        if ended:
            break
        time.sleep(1)
    os._exit(0)  # The JVM ends with us; an orderly stop would only add to the figures.


def tree_cpu_s(process: psutil.Process) -> float:
    """User and system time of the driver, its JVM and its Python workers, those that have ended included."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


Done = Callable[[], tuple[int, bool]]
"""Records so far, and whether that is all."""


def _lake(spark: SparkSession, settings: Settings, _options: argparse.Namespace) -> Done:
    ensure_tables(spark)
    progress = Counted()
    query = LakeQuery(spark, settings, progress, grid_table(spark))

    def done() -> tuple[int, bool]:
        if not query.query.isActive and query.failure:
            sys.exit(f"the query failed: {query.failure}")
        return progress.records, not query.query.isActive

    return done


class Counted(Progress):
    """Progress that adds up the records."""

    records = 0

    def completed(self, outcome: Any) -> None:
        super().completed(outcome)
        self.records += outcome.records


def _discard(rows: DataFrame, settings: Settings) -> Done:
    records = 0

    def batch(of_batch: DataFrame, _number: int) -> None:
        nonlocal records
        of_batch.write.format("noop").mode("overwrite").save()
        records += settings.offsets_per_trigger_max

    folder = f"{settings.storage.checkpoint}-{time.time_ns()}"
    query = rows.writeStream.foreachBatch(batch).option("checkpointLocation", folder)
    started = query.trigger(availableNow=True).start()

    def done() -> tuple[int, bool]:
        if not started.isActive and started.exception():
            sys.exit(f"the query failed: {started.exception()}")
        return records, not started.isActive

    return done


def _read(spark: SparkSession, settings: Settings, _options: argparse.Namespace) -> Done:
    return _discard(read_kafka(spark, settings), settings)


def _floor(spark: SparkSession, settings: Settings, _options: argparse.Namespace) -> Done:
    rows = read_kafka(spark, settings)
    parsed = [
        fn.when(fn.col("topic") == stream.kafka_topic, fn.from_json(_json(stream), _schema(stream))).alias(stream.name)
        for stream in STREAMS
    ]
    return _discard(rows.select("topic", *parsed), settings)


def _parse(spark: SparkSession, settings: Settings, _options: argparse.Namespace) -> Done:
    return _discard(parse(read_kafka(spark, settings), grid_table(spark)), settings)


def _tutorial(spark: SparkSession, settings: Settings, options: argparse.Namespace) -> Done:
    queries = []
    for stream in STREAMS:
        source = (
            spark.readStream.format("kafka")
            .option("kafka.bootstrap.servers", settings.kafka)
            .option("subscribe", stream.kafka_topic)
            .option("startingOffsets", "earliest")
            .option("includeHeaders", str(stream is CAMERA))
            .option("maxOffsetsPerTrigger", str(int(options.batch * options.shares[stream.name])))
            .load()
        )
        rows = source.select(fn.from_json(_json(stream), _schema(stream)).alias("data")).select("data.*")
        folder = f"s3a://{settings.storage.bucket}/tutorial/{stream.name}"
        queries.append(
            rows.withWatermark("timestamp", "2 minutes")
            .writeStream.format("parquet")
            .option("checkpointLocation", f"{folder}-checkpoint")
            .option("path", f"{folder}-data")
            .outputMode("append")
            .trigger(availableNow=True)
            .start()
        )
    counts, batches = [0] * len(queries), [-1] * len(queries)

    def done() -> tuple[int, bool]:
        ended = not any(query.isActive for query in queries)
        for number, query in enumerate(queries):
            if query.exception():
                sys.exit(f"the query failed: {query.exception()}")
            new_rows, batches[number] = _progress_since(query, batches[number])
            counts[number] += new_rows
        return sum(counts), ended

    return done


def _progress_since(query: StreamingQuery, batch: int) -> tuple[int, int]:
    """Rows read in the batches after this one, and the last of them. PySpark's own `recentProgress` would bring the
    whole history as JSON every time, and cost more than the query."""
    rows, newest = 0, batch
    history: Any = query._jsq.recentProgress()
    for position in reversed(range(len(history))):
        progress = history[position]
        if progress.batchId() <= batch:
            break
        rows, newest = rows + progress.numInputRows(), max(newest, progress.batchId())
    return rows, newest


def _json(stream: Stream) -> Any:
    if stream is not CAMERA:
        return fn.col("value").cast("string")
    return fn.filter("headers", lambda h: h["key"] == HEADER_READING)[0]["value"].cast("string")


def _schema(stream: Stream) -> StructType:
    return StructType.fromJson(spark_schema(columns(stream.contract)))


START: dict[str, Callable[[SparkSession, Settings, argparse.Namespace], Done]] = {
    "read": _read, "floor": _floor, "parse": _parse, "lake": _lake, "tutorial": _tutorial,
}  # fmt: skip


if __name__ == "__main__":
    main()
