"""The one streaming query: Kafka's topics in, `process_batch` for every micro-batch."""

from __future__ import annotations

import logging
import threading
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from smartcity.contracts.limits import DEAD_LETTER_RECORD_BYTES_MAX
from smartcity.contracts.topics import KAFKA_TOPICS

from .batch import describe_outcome, process_batch
from .commit import BatchIdentity
from .errors import TransientError
from .parse import parse
from .progress import Progress
from .seen import Seen
from .settings import Settings

_log = logging.getLogger(__name__)

START_TIMEOUT_S = 120
CLUSTER_ID_TIMEOUT_MS = 30_000


class LakeQuery:
    """A running query that can be ended between two batches.

    `failure` holds what a batch raised, since Spark passes on no more than its text.
    """

    def __init__(self, spark: SparkSession, settings: Settings, progress: Progress, grid_rows: DataFrame) -> None:
        self._settings = settings
        self._progress = progress
        self._seen = Seen()
        self._in_batch = threading.Lock()
        self._stopping = False
        self._query_id: str | None = None
        self._started = threading.Event()
        self.failure: Exception | None = None
        rows = parse(read_kafka(spark, settings), grid_rows)
        writer = rows.writeStream.foreachBatch(self._batch).queryName("smartcity-lake")
        writer = writer.option("checkpointLocation", settings.storage.checkpoint)
        writer = (
            writer.trigger(availableNow=True)
            if settings.available_now
            else writer.trigger(processingTime=f"{int(settings.trigger_s * 1000)} milliseconds")
        )
        self.query: StreamingQuery = writer.start()
        self._query_id = str(self.query.id)
        self._started.set()
        progress.running = True

    def _batch(self, rows: DataFrame, batch_id: int) -> None:
        """Called by Spark. The query's id is known only after `start` returned, perhaps after the first call."""
        try:
            with self._in_batch:
                if self._stopping or not self._started.wait(START_TIMEOUT_S) or self._query_id is None:
                    raise TransientError(f"batch {batch_id} not begun: the query is stopping")
                # A checkpoint remembers this setting of the query that began it, and would win.
                rows.sparkSession.conf.set("spark.sql.shuffle.partitions", self._settings.shuffle_partitions)
                identity = BatchIdentity(query_id=self._query_id, batch_id=batch_id)
                outcome = process_batch(rows, identity, self._settings.storage, self._seen)
                self._progress.completed(outcome)
                self._progress.set_state(self._seen.intervals, self._seen.bytes)
                _log.info("%s", describe_outcome(outcome))
        except Exception as error:
            self.failure = error
            raise

    def stop_between_batches(self) -> None:
        """Let the running batch finish, then end the query. A batch that Spark had begun to plan is run next time."""
        with self._in_batch:
            self._stopping = True
        self.query.stop()


def read_kafka(spark: SparkSession, settings: Settings) -> DataFrame:
    """All topics as one stream, from the earliest record on. Lost offsets fail the query rather than pass unseen."""
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka)
        .option("subscribe", ",".join(topic.name for topic in KAFKA_TOPICS))
        .option("startingOffsets", "earliest")
        .option("failOnDataLoss", "true")
        .option("includeHeaders", "true")
        .option("maxOffsetsPerTrigger", str(settings.offsets_per_trigger_max))
        .option("kafka.max.partition.fetch.bytes", str(DEAD_LETTER_RECORD_BYTES_MAX))
        .load()
    )


def kafka_cluster_id(spark: SparkSession, kafka: str) -> str:
    """Id of the cluster that answers at `kafka`, by the client that Spark reads with.

    Raises:
        Py4JJavaError: no answer within CLUSTER_ID_TIMEOUT_MS.
    """
    jvm: Any = spark.sparkContext._jvm
    properties = jvm.java.util.Properties()
    properties.put("bootstrap.servers", kafka)
    properties.put("default.api.timeout.ms", str(CLUSTER_ID_TIMEOUT_MS))
    properties.put("request.timeout.ms", str(CLUSTER_ID_TIMEOUT_MS))
    client = jvm.org.apache.kafka.clients.admin.AdminClient.create(properties)
    try:
        return str(client.describeCluster().clusterId().get())
    finally:
        client.close()
