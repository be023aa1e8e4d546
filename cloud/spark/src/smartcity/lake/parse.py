"""From Kafka records to rows: the contract's JSON, lineage, place on the roads, and what must be refused.

One pass over all topics gives one DataFrame: a struct column per stream (null for records of other streams), the
lineage beside it, and `reason` where the record is a dead letter. Everything is an expression inside the JVM.
A record never fails the batch and never vanishes: it is a row of its stream or a dead letter.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as fn
from pyspark.sql.types import StringType, StructField, StructType

from smartcity.contracts import envelope
from smartcity.contracts.fields import Column as Field
from smartcity.contracts.fields import Kind, columns
from smartcity.contracts.limits import DETAIL_CHARACTERS_MAX, EVENT_TIME_AHEAD_MAX_S, EVENT_TIME_MIN
from smartcity.contracts.reasons import Reason
from smartcity.contracts.render.spark import spark_schema
from smartcity.contracts.streams import CAMERA, STREAMS, Stream
from smartcity.contracts.tables import DEAD_LETTERS_TABLE
from smartcity.contracts.topics import DEAD_LETTERS_TOPIC

from .places import with_place
from .tables import DEAD_LETTERS, Table

_CORRUPT = "_corrupt"
_EVENT_TIME = "timestamp"
_TIME_FORMAT = "yyyy-MM-dd'T'HH:mm:ss[.SSSSSS]XXX"
_CE_ID = f"{envelope.HEADER_PREFIX}id"
_CE_SENT_TIME = f"{envelope.HEADER_PREFIX}senttime"
_PLACES = {
    _CE_SENT_TIME: 5,
    envelope.HEADER_PAYLOAD_SHA256: 7,
    envelope.HEADER_BRIDGE_TIME: 8,
    envelope.HEADER_READING: 9,
}
"""Where these headers stand in the bridge's readings."""


def parse(records: DataFrame, grid_rows: DataFrame) -> DataFrame:
    """Columns: one struct per stream, `table`, `refusal`, lineage, record identity, and kept bytes.

    `records`, streaming or not, has the columns of Spark's Kafka source with headers; `grid_rows` is
    `places.grid_table`.
    """
    rows = records.coalesce(records.sparkSession.sparkContext.defaultParallelism).select(
        "topic", "partition", "offset", "value", "headers", _text(fn.col("key")).alias("key"),
        fn.col("timestamp").alias("kafka_at"),
        _time(_header(_CE_SENT_TIME)).alias("sent_at"),
        _time(_header(envelope.HEADER_BRIDGE_TIME)).alias("bridged_at"),
        _header(envelope.HEADER_PAYLOAD_SHA256).alias("payload_sha256"),
        fn.when(fn.col("topic") == DEAD_LETTERS_TOPIC, _header(envelope.HEADER_REASON)).alias("bridge_reason"),
        *(_document(stream).alias(stream.name) for stream in STREAMS),
    )  # fmt: skip
    rows = rows.withColumn("event_time", _time(_first(_EVENT_TIME)))
    rows = rows.withColumn("refusal", _refusal())
    rows = with_place(rows, grid_rows, _first("latitude"), _first("longitude"))
    refused = fn.col("refusal").isNotNull()
    of_bridge = fn.col("topic") == DEAD_LETTERS_TOPIC
    keep_value = refused | of_bridge | (fn.col("topic") == CAMERA.kafka_topic)
    table = reduce(
        lambda chain, stream: chain.when(fn.col("topic") == stream.kafka_topic, stream.table),
        STREAMS,
        fn.when(refused | of_bridge, DEAD_LETTERS_TABLE),
    )
    return rows.select(
        "*",
        table.alias("table"),
        *(_first(name).alias(name) for name in ("device_id", "id")),
        fn.when(keep_value, fn.col("value")).alias("bytes"),
        fn.when(refused | of_bridge, fn.col("headers")).alias("kept_headers"),
    ).drop("value", "headers")


def with_lake_time(batch: DataFrame, lake_at: datetime) -> DataFrame:
    """The column `lake_at`, equal in all rows.

    A plain literal would stand in the generated code, so that every batch had new code to compile. One that is looked
    up by a column's value is kept beside the code.
    """
    first = fn.col("partition") * 0
    return batch.withColumn("lake_at", fn.get(fn.array(fn.lit(lake_at)), first))


def stream_rows(batch: DataFrame, stream: Stream, table: Table) -> DataFrame:
    """Rows for a stream's table; the camera's carry the frame in `bytes`, and all `partition` and `offset`."""
    found = batch.where(fn.col("table") == stream.table)
    contract = {column.name for column in columns(stream.contract)} - {_EVENT_TIME}
    found = found.withColumn(_EVENT_TIME, fn.col("event_time"))
    picked = [f"{stream.name}.{name} AS {name}" if name in contract else name for name in table.column_names]
    return found.selectExpr(*picked, "partition", "offset", *(["bytes"] if stream is CAMERA else []))


def dead_letter_rows(batch: DataFrame) -> DataFrame:
    """Rows for the dead-letter table: what the bridge refused, and what the lake refuses."""
    headers = fn.col("kept_headers")
    by_bridge = fn.col("refusal").isNull()
    payload = fn.coalesce(fn.col("bytes"), fn.lit(b""))
    # What the lake refuses keeps its Kafka headers, in the form in which the bridge keeps user properties.
    pairs = fn.to_json(fn.transform(headers, lambda h: fn.array(h["key"], _text(h["value"]))))
    values = {
        "reason": fn.when(by_bridge, fn.col("bridge_reason")).otherwise(fn.col("refusal.reason")),
        "detail": fn.left(
            fn.when(by_bridge, _header(envelope.HEADER_DETAIL, headers)).otherwise(fn.col("refusal.detail")),
            fn.lit(DETAIL_CHARACTERS_MAX),
        ),
        "refused_by": fn.when(by_bridge, "bridge").otherwise("lake"),
        "device_id": fn.col("key"),
        "id": _header(_CE_ID, headers),
        "mqtt_topic": _header(envelope.HEADER_MQTT_TOPIC, headers),
        "properties": fn.when(by_bridge, _header(envelope.HEADER_PROPERTIES, headers)).otherwise(pairs),
        "payload": payload,
        # The record's own hash: a dead letter is kept byte by byte, so the lake can say it itself.
        "payload_sha256": fn.sha2(payload, 256),
        "received_at": fn.coalesce(fn.when(by_bridge, fn.col("bridged_at")), fn.col("kafka_at")),
        "kafka_topic": fn.col("topic"),
        "kafka_partition": fn.col("partition").cast("long"),
        "kafka_offset": fn.col("offset"),
        "lake_at": fn.col("lake_at"),
    }
    found = batch.where(fn.col("table") == DEAD_LETTERS_TABLE)
    return found.select(*(values[name].alias(name) for name in DEAD_LETTERS.column_names), "partition", "offset")


def _document(stream: Stream) -> Column:
    """The contract as a struct; `_corrupt` in it is set where the JSON is not of the contract's shape."""
    schema = StructType.fromJson(spark_schema(columns(stream.contract)))
    # The event time is read as text: a pattern's formatter takes ten times as long as `_time`.
    schema = StructType(
        [StructField(f.name, StringType() if f.name == _EVENT_TIME else f.dataType, nullable=True) for f in schema]
    )
    schema = schema.add(_CORRUPT, StringType())
    text = _header(envelope.HEADER_READING) if stream is CAMERA else _text(fn.col("value"))
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _CORRUPT, "timestampFormat": _TIME_FORMAT}
    return fn.when(fn.col("topic") == stream.kafka_topic, fn.from_json(text, schema, options))


def _refusal() -> Column:
    """Struct of reason and detail, or null where the record is a row of its stream (or the bridge's dead letter)."""
    chain = fn.when(
        (fn.col("topic") == DEAD_LETTERS_TOPIC) & fn.col("bridge_reason").isNull(),
        _refuse(Reason.RECORD_UNPARSEABLE, "dead letter without the header 'reason'"),
    )
    known = fn.col("topic").isin(DEAD_LETTERS_TOPIC, *(stream.kafka_topic for stream in STREAMS))
    chain = chain.when(~known, _refuse(Reason.RECORD_UNPARSEABLE, "no stream has this Kafka topic"))
    for stream in STREAMS:
        chain = chain.when(fn.col("topic") == stream.kafka_topic, _stream_refusal(stream))
    return chain


def _stream_refusal(stream: Stream) -> Column:
    document = fn.col(stream.name)
    text, time = document[_EVENT_TIME], fn.col("event_time")
    ahead_s = time.cast("double") - fn.col("kafka_at").cast("double")
    holder = f"header {envelope.HEADER_READING!r}" if stream is CAMERA else "value"
    chain = fn.when(fn.col("value").isNull(), _refuse(Reason.RECORD_UNPARSEABLE, "the record has no value"))
    chain = chain.when(
        document.isNull() | document[_CORRUPT].isNotNull() | (text.isNotNull() & time.isNull()),
        _refuse(Reason.RECORD_UNPARSEABLE, f"{holder} is not JSON of the contract {stream.event_type}"),
    )
    for violated, detail in _violations(stream, document):
        chain = chain.when(violated, _refuse(Reason.CONTRACT_VIOLATION, detail))
    return chain.when(
        ahead_s > EVENT_TIME_AHEAD_MAX_S,
        _refuse(Reason.EVENT_TIME_AHEAD, f"timestamp is more than {EVENT_TIME_AHEAD_MAX_S} s ahead of Kafka's"),
    ).when(
        fn.unix_micros(time) < int(EVENT_TIME_MIN.timestamp()) * 1_000_000,
        _refuse(Reason.EVENT_TIME_TOO_OLD, f"timestamp lies before {EVENT_TIME_MIN:%Y-%m-%d}"),
    )


def _violations(stream: Stream, document: Column) -> Iterable[tuple[Column, str]]:
    """What breaks the contract, each with its detail. Ranges are the bridge's to check."""
    fields = columns(stream.contract)
    for field in fields:
        if not field.nullable:
            yield document[field.name].isNull(), f"{field.name} is missing"
    for field in fields:
        if field.kind is Kind.NUMBER:
            yield _not_finite(document[field.name]), f"{field.name} is not a finite number"
        if field.kind is Kind.STRINGS:
            yield fn.exists(document[field.name], lambda item: item.isNull()), f"{field.name} holds null"
    if stream is CAMERA:
        yield from _frame_violations(document)


def _frame_violations(document: Column) -> Iterable[tuple[Column, str]]:
    sha256, value = document["frame_sha256"], fn.col("value")
    key = fn.concat(fn.lit("frames/"), fn.substring(sha256, 1, 2), fn.lit("/"), sha256, fn.lit(".jpg"))
    yield fn.sha2(value, 256) != sha256, "frame_sha256 is not the hash of the frame"
    yield ~fn.coalesce(fn.col("payload_sha256") == sha256, fn.lit(True)), "payload_sha256 is not the hash of the frame"
    yield fn.octet_length(value) != document["frame_bytes"], "frame_bytes is not the size of the frame"
    yield document["snapshot"] != key, "snapshot is not the key of the frame"


def _not_finite(value: Column) -> Column:
    return fn.isnan(value) | (fn.abs(value) == float("inf"))


def _refuse(reason: Reason, detail: str) -> Column:
    return fn.struct(fn.lit(str(reason)).alias("reason"), fn.lit(detail).alias("detail"))


def _first(field: str) -> Column:
    """A field that several streams have, from whichever struct is there."""
    return fn.coalesce(*(fn.col(f"{s.name}.{field}") for s in STREAMS if _has(columns(s.contract), field)))


def _has(fields: Iterable[Field], name: str) -> bool:
    return any(field.name == name for field in fields)


def _header(name: str, headers: Column | None = None) -> Column:
    """A header as text: the one in the place where the bridge puts it, else the first of the name; null where it is
    absent or not UTF-8. Looking at one place takes a tenth of the time of looking at all."""
    entries = fn.col("headers") if headers is None else headers
    anywhere = fn.get(fn.filter(entries, lambda h: h["key"] == name), fn.lit(0))["value"]
    if name not in _PLACES:
        return _text(anywhere)
    usual = fn.get(entries, fn.lit(_PLACES[name]))
    return _text(fn.when(usual["key"] == name, usual["value"]).otherwise(anywhere))


def _text(value: Column) -> Column:
    """Bytes as text; null where they are not UTF-8, because a replacement character would alter them in silence."""
    return fn.try_validate_utf8(value.cast("string"))


def _time(text: Column) -> Column:
    """RFC 3339 (date, `T`, time with seconds, zone) as a timestamp; null where the text is not that."""
    shaped = (fn.substring(text, 11, 1) == "T") & (fn.substring(text, 17, 1) == ":")
    # The session's zone is UTC, and a time without a zone is read in half the time of one with it.
    utc = fn.when(fn.endswith(text, fn.lit("Z")), fn.left(text, fn.length(text) - 1).try_cast("timestamp"))
    other = fn.when(fn.substring(text, -6, 1).isin("+", "-"), text.try_cast("timestamp"))
    return fn.when(shaped, fn.coalesce(utc, other))
