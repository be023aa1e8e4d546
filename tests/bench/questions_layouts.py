"""The two layouts, filled with the same rows, at a running S3 and Glue.

tutorial  what five FileStreamSink Parquet queries leave: a folder per stream, no partitions, Snappy, a file per batch
          in order of arrival, the contract's own columns with timestamps as INT96 (Spark's default, without
          statistics). A generous one: a batch holds 30 minutes instead of seconds, and `route` and `route_km` are
          there.
lake      the stream's tables, filled by appends of four hours each, then compacted by `smartcity.lake.maintain` and
          summed up by `smartcity.lake.marts`: what the stream, maintenance and marts leave.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs
from pyiceberg.catalog.glue import GlueCatalog
from questions_rows import Fleet
from questions_scan import File, Range, read_file

from smartcity.aws.clients import client
from smartcity.aws.marts import register_marts
from smartcity.aws.settings import Settings as Aws
from smartcity.contracts.fields import columns
from smartcity.contracts.marts import MARTS, PARTITION_COLUMN
from smartcity.contracts.render.glue import glue_columns
from smartcity.contracts.streams import STREAMS, Stream
from smartcity.contracts.tables import DATABASE, Lineage
from smartcity.lake.maintain import maintain
from smartcity.lake.marts.recipes import RECIPES
from smartcity.lake.marts.run import Choice, build_marts
from smartcity.lake.session import start_session
from smartcity.lake.settings import Limits, Settings, Storage, read_storage
from smartcity.lake.tables import STREAM_TABLES, ensure_tables

TUTORIAL = "tutorial"
"""Its Glue database and its key prefix."""
BATCH_MINUTES = 30
S3_TIMEOUT_S = 120
FILES_PER_APPEND = 3
"""So that every day with rows has enough for compaction, however few vehicles drive."""
PARQUET_OF_HIVE = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
Say = Callable[[str], None]


class Place:
    """Bucket and catalog of a running stack, whose addresses the environment names."""

    def __init__(self, bucket: str) -> None:
        self.storage: Storage = read_storage(bucket)
        self.lake = Aws(bucket=bucket)
        self.tutorial = Aws(bucket=bucket, database=TUTORIAL)
        address = os.environ["AWS_ENDPOINT_URL_S3"].split("://")[1]
        self.files: Any = fs.S3FileSystem(
            endpoint_override=address, scheme="http", region=self.storage.region, request_timeout=S3_TIMEOUT_S,
            connect_timeout=S3_TIMEOUT_S,
        )  # fmt: skip
        keys = {"client.region": self.storage.region, "glue.endpoint": self.storage.endpoint}
        self._s3: Any = client("s3", self.lake)
        self.catalog = GlueCatalog("lake", **keys, **{"s3.endpoint": self.storage.s3_endpoint})

    def put(self, path: str, rows: Any, **options: Any) -> None:
        """Rows as one Parquet object, put whole and not in parts."""
        sink = io.BytesIO()
        pq.write_table(rows, sink, **options)
        bucket, key = path.removeprefix("s3://").split("/", 1)
        self._s3.put_object(Bucket=bucket, Key=key, Body=sink.getvalue())


def tutorial_columns(stream: Stream) -> tuple[Any, ...]:
    """The contract's, and where on the roads: four of the questions could not be asked without."""
    return (*columns(stream.contract), *(one for one in columns(Lineage) if one.name in ("route", "route_km")))


def fill(
    place: Place, fleet: Fleet, spans: list[tuple[datetime, datetime]], say: Say, *, batch_minutes: int = BATCH_MINUTES
) -> dict[str, int]:
    """Write every row into both layouts; rows by stream. The lake's tables must be there."""
    register_tutorial(place)
    tables = {stream.name: place.catalog.load_table((DATABASE, stream.table)) for stream in STREAMS}
    counts = dict.fromkeys(tables, 0)
    for number, (start, end) in enumerate(spans, 1):
        for stream in STREAMS:
            rows = fleet.chunk(stream.name, start, end)
            counts[stream.name] += rows.num_rows
            if rows.num_rows:
                write_tutorial(place, stream, rows, batch_minutes)
                append(place, tables[stream.name], rows, f"{start:%Y%m%dT%H}")
        say(f"written to both layouts: {number} of {len(spans)} pieces, {sum(counts.values()):,} rows")
    return counts


def append(place: Place, table: Any, rows: Any, name: str) -> None:
    """A few files of one day, added to an Iceberg table as they are: compaction writes their rows anew."""
    paths = []
    part = -(-rows.num_rows // FILES_PER_APPEND)
    for first in range(0, rows.num_rows, part):
        paths.append(f"{table.location()}/data/appended-{name}-{first}.parquet")
        place.put(paths[-1], rows.slice(first, part), compression="snappy")
    table.add_files(paths, check_duplicate_files=False)


def write_tutorial(place: Place, stream: Stream, rows: Any, batch_minutes: int) -> None:
    """A file per batch. `rows` are in order of event time, so its file name can tell which it holds."""
    rows = rows.select([one.name for one in tutorial_columns(stream)])
    for batch in _batches(rows, batch_minutes):
        least = batch["timestamp"][0].as_py().astimezone(UTC)
        greatest = batch["timestamp"][-1].as_py().astimezone(UTC)
        name = f"part-{least:%Y%m%dT%H%M%S.%f}-{greatest:%Y%m%dT%H%M%S.%f}.snappy.parquet"
        path = f"s3://{place.storage.bucket}/{TUTORIAL}/{stream.name}/{name}"
        place.put(path, batch, compression="snappy", use_deprecated_int96_timestamps=True)


def _batches(rows: Any, minutes: int) -> Iterator[Any]:
    slots = pc.floor_temporal(rows["timestamp"], multiple=minutes, unit="minute")
    for slot in pc.unique(slots):
        yield rows.filter(pc.equal(slots, slot))


def register_tutorial(place: Place) -> None:
    """The folders as external tables, as a crawler or a CREATE EXTERNAL TABLE would."""
    glue = client("glue", place.tutorial)
    glue.create_database(DatabaseInput={"Name": TUTORIAL})
    for stream in STREAMS:
        location = f"s3://{place.storage.bucket}/{TUTORIAL}/{stream.name}/"
        storage = {"Columns": glue_columns(tutorial_columns(stream)), "Location": location, **PARQUET_OF_HIVE}
        table = {"Name": stream.table, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage}
        glue.create_table(DatabaseName=TUTORIAL, TableInput=table)


@contextmanager
def spark_session(place: Place, jars: Path, driver_memory: str) -> Iterator[Any]:
    """Spark, with the lake's tables made."""
    spark = start_session(Settings(kafka="unused", storage=place.storage, jars=jars, driver_memory=driver_memory))
    try:
        ensure_tables(spark)
        yield spark
    finally:
        spark.stop()


def compact_tables(place: Place, spark: Any, say: Say) -> dict[str, int]:
    """Maintenance of every table; files that were compacted.

    Raises:
        SystemExit: a step of maintenance was given up.
    """
    limits = Limits(snapshots_keep=timedelta(0), orphans_after=timedelta(days=1))
    found = {}
    for table in STREAM_TABLES:
        for one in maintain(spark, place.storage, limits, tables=(table,)):
            if one.given_up:
                raise SystemExit(f"maintenance of {one.table} failed: {'; '.join(one.given_up)}")
            say(f"compacted {one.compacted_files} files of {one.table}")
            found[one.table] = one.compacted_files
    return found


def build_all_marts(place: Place, spark: Any, say: Say) -> dict[str, int]:
    """Every day of every mart, registered in the catalog; rows by mart."""
    found = {recipe.mart.name: 0 for recipe in RECIPES}
    for one in build_marts(spark, Choice(recipes=RECIPES, every=True), place.storage, say):
        found[one.mart] += one.rows
    register_marts(place.lake)
    return found


def lake_files(place: Place) -> dict[str, list[File]]:
    """Footers of the lake's tables and of its marts, by their names in the catalog."""
    found: dict[str, list[File]] = {}
    for stream in STREAMS:
        tasks = place.catalog.load_table((DATABASE, stream.table)).scan().plan_files()
        paths = sorted(task.file.file_path.split("://", 1)[1] for task in tasks)
        found[stream.table] = [read_file(path, filesystem=place.files) for path in paths]
    for mart in MARTS:
        found[mart.name] = []
        for path in _listed(place, f"{place.storage.bucket}/{mart.prefix}"):
            day = path.split(f"{PARTITION_COLUMN}=")[1].split("/")[0]
            found[mart.name].append(read_file(path, filesystem=place.files, partition={PARTITION_COLUMN: day}))
    return found


def tutorial_files(place: Place) -> dict[str, list[File]]:
    """Footers of the tutorial layout."""
    return {
        stream.table: [
            read_file(path, filesystem=place.files)
            for path in _listed(place, f"{place.storage.bucket}/{TUTORIAL}/{stream.name}")
        ]
        for stream in STREAMS
    }


def time_range(file: File) -> Range:
    """Event times of a file of the tutorial layout, by its name."""
    _, least, greatest = file.path.rsplit("/", 1)[1].removesuffix(".snappy.parquet").split("-")
    return _time(least), _time(greatest)


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)


def _listed(place: Place, folder: str) -> list[str]:
    found = place.files.get_file_info(fs.FileSelector(folder.rstrip("/"), recursive=True, allow_not_found=True))
    return sorted(one.path for one in found if one.type == fs.FileType.File and one.size)


def stored_bytes(files: dict[str, list[File]]) -> dict[str, int]:
    """Compressed bytes of all columns, by table."""
    return {name: sum(sum(group.bytes.values()) for one in of for group in one.groups) for name, of in files.items()}
