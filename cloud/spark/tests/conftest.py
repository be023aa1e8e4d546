"""A real Spark, a real S3 and Glue endpoint (MiniStack), and records as the bridge makes them."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smartcity.contracts.envelope import format_time
from smartcity.contracts.fields import Column, Kind, columns
from smartcity.contracts.marts import Mart
from smartcity.contracts.render.spark import spark_schema
from smartcity.contracts.routes import route
from smartcity.contracts.streams import CAMERA, STREAMS, Stream
from smartcity.contracts.tables import frame_key, lake_columns
from smartcity.lake.jars import require_jars
from smartcity.lake.settings import Settings, Storage, read_storage

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
JVM = "-XX:TieredStopAtLevel=1"
"""As the local lake's: the second compiler costs more in a test's minutes than it gains."""
RECORD_SCHEMA = (
    "key binary, value binary, topic string, partition int, offset long, timestamp timestamp, timestampType int, "
    "headers array<struct<key:string,value:binary>>"
)
Record = tuple[str, bytes | None, bytes | None, list[tuple[str, bytes]]]


def _value(column: Column, rng: random.Random) -> Any:
    rules = column.rules
    match column.kind:
        case Kind.STRING:
            return rng.choice(rules.choices) if rules.choices else "Größe 7"
        case Kind.INTEGER:
            return rng.randint(int(rules.minimum or 0), int(rules.maximum or 9))
        case Kind.NUMBER:
            return rng.uniform(rules.minimum or 0, rules.maximum or 9)
        case Kind.STRINGS:
            return ["P0171"]
        case Kind.TIMESTAMP:
            return format_time(START)
    raise AssertionError(column.kind)


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    """Topic, key, value and headers of one reading, as the bridge produces it; keywords replace fields."""
    rng = random.Random(7)

    def make(
        stream: Stream, sequence: int, *, device: str = "car-1", boot: str = "0123456789abcdef", **fields: Any
    ) -> Record:
        document = {column.name: _value(column, rng) for column in columns(stream.contract)}
        latitude, longitude = route("waterloo-toronto").point_at(rng.uniform(0, 100))
        frame = rng.randbytes(500)
        sha256 = hashlib.sha256(frame).hexdigest()
        document |= {"id": f"{boot}.{sequence}", "device_id": device, "latitude": latitude, "longitude": longitude}
        document["timestamp"] = format_time(START + timedelta(seconds=sequence))
        if stream is CAMERA:
            document |= {"snapshot": frame_key(sha256), "frame_sha256": sha256, "frame_bytes": len(frame)}
        document |= fields
        text = json.dumps(document).encode()
        value = frame if stream is CAMERA else text
        headers = [
            ("ce_id", document["id"].encode()),
            ("ce_senttime", format_time(START).encode()),
            ("bridgetime", format_time(START).encode()),
            ("payload_sha256", hashlib.sha256(value).hexdigest().encode()),
        ]
        if stream is CAMERA:
            headers.append(("reading", text))
        return stream.kafka_topic, device.encode(), value, headers

    return make


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A bucket at a MiniStack of our own."""
    from smartcity.lake.s3 import s3_client  # noqa: PLC0415

    folder, port = tmp_path_factory.mktemp("ministack"), _free_port()
    own = {
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }  # fmt: skip
    before = dict(os.environ)
    os.environ.pop("AWS_ENDPOINT_URL_S3", None)
    os.environ.update(own)
    server = {"S3_PERSIST": "1", "S3_DATA_DIR": str(folder), "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("ministack"))],
            env=os.environ | server | {"IOT_MTLS_ENABLED": "0", "LOG_LEVEL": "WARNING"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        place = read_storage("lake-test")
        s3_client(place).create_bucket(Bucket=place.bucket)
        yield place
    finally:
        process.terminate()
        process.wait(20)
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def spark(storage: Storage) -> Iterator[Any]:
    """One local Spark with the tables made."""
    from smartcity.lake.session import start_session  # noqa: PLC0415
    from smartcity.lake.tables import ensure_tables  # noqa: PLC0415

    jars = Path(os.environ.get("SMARTCITY_SPARK_JARS") or f"{os.environ.get('SMARTCITY_VAR', 'var')}/jars/spark")
    require_jars(jars)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", JVM)
        session = start_session(Settings(kafka="unused", storage=storage, jars=jars))
    ensure_tables(session)
    yield session
    session.stop()


@pytest.fixture(scope="module")
def grid_rows(spark: Any) -> Any:
    """The routes' grid as a table."""
    from smartcity.lake.places import grid_table  # noqa: PLC0415

    return grid_table(spark)


@pytest.fixture(scope="module")
def as_records(spark: Any) -> Callable[..., Any]:
    """Records as a DataFrame of the shape of Spark's Kafka source."""

    def build(records: list[Record], *, first_offset: int = 0, at: datetime = START + timedelta(hours=1)) -> Any:
        rows = [
            (key, value, topic, 0, first_offset + i, at, 0, headers)
            for i, (topic, key, value, headers) in enumerate(records)
        ]
        return spark.createDataFrame(rows, RECORD_SCHEMA)

    return build


@pytest.fixture(scope="module")
def add_rows(spark: Any) -> Callable[..., None]:
    """Commit rows to a stream's table: each is given by the columns that matter, the others are made up or null."""
    from pyspark.sql.types import StructType  # noqa: PLC0415

    rng, numbers = random.Random(3), itertools.count(1)

    def add(stream: Stream, rows: list[dict[str, Any]]) -> None:
        made = []
        for row in rows:
            whole = {
                column.name: None
                if column.nullable
                else START
                if column.kind is Kind.TIMESTAMP
                else _value(column, rng)
                for column in lake_columns(stream)
            }
            made.append(whole | {"id": f"0123456789abcdef.{next(numbers)}", "device_id": "car-1"} | row)
        schema = StructType.fromJson(spark_schema(lake_columns(stream)))
        values = [tuple(row[name] for name in schema.names) for row in made]
        spark.createDataFrame(values, schema).coalesce(1).writeTo(f"lake.smartcity.{stream.table}").append()

    return add


@pytest.fixture(scope="module")
def build(spark: Any, storage: Storage) -> Callable[..., list[Any]]:
    """Build marts by name, as `smartcity-lake marts` does; what was built."""
    from smartcity.lake.marts.recipes import RECIPES  # noqa: PLC0415
    from smartcity.lake.marts.run import Choice, build_marts  # noqa: PLC0415

    def run(*names: str, **choice: Any) -> list[Any]:
        recipes = [recipe for recipe in RECIPES if recipe.mart.name in names]
        return build_marts(spark, Choice(recipes=recipes, **choice), storage, print)

    return run


@pytest.fixture(scope="module")
def expect_mart(storage: Storage) -> Callable[..., None]:
    """Assert that a mart, read without Spark, holds these rows and no others, each on its day, in their columns.

    Rows are given in any order and sorted by the mart's time and the named columns. Numbers are equal to nine digits,
    since sums are made in another order.
    """

    def expect(mart: Mart, rows: list[dict[str, Any]], *sort: str) -> None:
        days: dict[date, list[dict[str, Any]]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: tuple(row[name] for name in (mart.time_column, *sort))):
            days[row[mart.time_column].date()].append(row)
        found = _read_mart(storage, mart)
        assert sorted(found) == sorted(days)
        for day, wanted in days.items():
            assert len(found[day]) == len(wanted), day
            for got, row in zip(found[day], wanted, strict=True):
                assert list(got) == [column.name for column in mart.columns]
                for name, value in row.items():
                    near = pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
                    assert got[name] == near, (day, name, got, row)
                assert got.keys() == row.keys()

    return expect


def _read_mart(storage: Storage, mart: Mart) -> dict[date, list[dict[str, Any]]]:
    import pyarrow.parquet as pq  # noqa: PLC0415

    from smartcity.lake.s3 import s3_client  # noqa: PLC0415

    client, found = s3_client(storage), {}
    for listed in client.list_objects_v2(Bucket=storage.bucket, Prefix=mart.prefix).get("Contents", []):
        day = date.fromisoformat(listed["Key"].split("dt=")[1][:10])
        assert listed["Key"] == mart.key(day)
        body = client.get_object(Bucket=storage.bucket, Key=listed["Key"])["Body"].read()
        found[day] = pq.read_table(io.BytesIO(body)).to_pylist()
    return found


@pytest.fixture
def every_stream() -> tuple[Stream, ...]:
    return STREAMS
