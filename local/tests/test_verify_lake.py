"""The auditor against real Iceberg tables and a real bucket: each kind of damage, done to one record, is reported.

The rows are what the simulator's own readings must become; they are written with pyiceberg, so no Spark is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.table import Table

from smartcity.bridge.errors import Reject
from smartcity.contracts.routes import ROUTE_NAMES
from smartcity.contracts.streams import STREAMS
from smartcity.contracts.tables import DATABASE, DEAD_LETTERS_TABLE, dead_letter_columns, frame_key
from smartcity.local.main import main
from smartcity.local.stack import Stack
from smartcity.local.verify.arrow import arrow_schema, lake_schema
from smartcity.local.verify.audit import decode_logged
from smartcity.local.verify.expected import expect
from smartcity.local.verify.generated import GeneratedReader, find_logs, select_boots
from smartcity.sim.outbox import Outbox
from smartcity.sim.reading import Reading
from smartcity.sim.world.city import City, CitySettings

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SIMULATED = timedelta(seconds=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A lake that shows exactly what the log says, but for one reading that is a dead letter."""

    stack: Stack
    state: Path
    catalog: GlueCatalog
    s3: Any
    buried: str
    """Id of the dead letter."""

    def table(self, name: str) -> Table:
        return self.catalog.load_table((DATABASE, name))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    var = tmp_path_factory.mktemp("auditor") / "var"
    stack = Stack(var)
    before = dict(os.environ)
    try:
        stack.up(only=["s3", "aws"], progress=print, supervise=False)
        environment = stack.environment()
        os.environ.update(environment)
        state = var / "sim" / "auditor"
        simulate(state)
        catalog = GlueCatalog("lake", **{"s3.endpoint": environment["AWS_ENDPOINT_URL_S3"]})
        s3 = boto3.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL_S3"])
        yield Written(
            stack=stack,
            state=state,
            catalog=catalog,
            s3=s3,
            buried=write(state, catalog, s3, environment["SMARTCITY_BUCKET"]),
        )
    finally:
        stack.down(progress=print)
        os.environ.clear()
        os.environ.update(before)


def simulate(state: Path) -> None:
    """A minute and a half of both routes (too short for an incident), in the log and confirmed."""
    state.mkdir(parents=True)
    outbox = Outbox(state / "outbox.db")
    city = City(CitySettings(seed=1, start=START, routes=ROUTE_NAMES, vehicles=1))
    boots = {name: outbox.start(name) for name in city.device_ids}
    sequences = dict.fromkeys(boots, 0)
    batch = []
    for seen in city.observe(START + SIMULATED):
        sequences[seen.device_id] += 1
        batch.append(
            Reading(
                device_id=seen.device_id,
                boot=boots[seen.device_id],
                sequence=sequences[seen.device_id],
                stream=seen.stream,
                time=seen.time,
                payload=seen.payload,
                metadata=seen.metadata,
            )
        )
    with outbox.transaction():
        outbox.append(batch)
    with outbox.transaction():
        for name, boot in boots.items():
            outbox.confirm(name, boot, [(1, max(1, sequences[name]))])
    outbox.close()


def write(state: Path, catalog: GlueCatalog, s3: Any, bucket: str) -> str:
    logs = find_logs([state])
    bodies = list(GeneratedReader(logs, select_boots(logs)).bodies())
    expected = expect(bodies, decode_logged, (Reject,))
    now = datetime.now(UTC)
    buried = next(body for body in bodies if body.stream == "gps")
    for stream in STREAMS:
        schema, rows = lake_schema(stream), expected.rows[stream.name]
        if stream.name == "gps":
            rows = rows.filter(pc.not_equal(rows["id"], f"{buried.boot}.{buried.sequence}"))
        columns = [
            rows[field.name] if field.name in rows.schema.names else pa.array([now] * rows.num_rows, field.type)
            for field in schema
        ]
        create(catalog, stream.table, schema, bucket).append(pa.table(columns, schema=schema))
    for body in bodies:
        if body.stream == "camera":
            key = frame_key(hashlib.sha256(body.payload).hexdigest())
            s3.put_object(Bucket=bucket, Key=key, Body=body.payload)
    letter = {
        "reason": "too_large",
        "refused_by": "bridge",
        "device_id": buried.device_id,
        "id": f"{buried.boot}.{buried.sequence}",
        "payload": buried.payload,
        "payload_sha256": hashlib.sha256(buried.payload).hexdigest(),
        "received_at": now,
        "kafka_topic": "dead_letters",
        "kafka_partition": 0,
        "kafka_offset": 0,
        "lake_at": now,
    }
    schema = arrow_schema(dead_letter_columns())
    create(catalog, DEAD_LETTERS_TABLE, schema, bucket).append(pa.Table.from_pylist([letter], schema=schema))
    return str(letter["id"])


def create(catalog: GlueCatalog, name: str, schema: Any, bucket: str) -> Table:
    return catalog.create_table((DATABASE, name), schema=schema, location=f"s3://{bucket}/warehouse/{name}")


def verify(written: Written, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `smartcity verify --json`."""
    capsys.readouterr()
    code = main(["--var", str(written.stack.layout.var), "verify", "--json", "--strict", "--wait-s", "0"])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, document


def problems(document: dict[str, Any]) -> dict[str, int]:
    names = ("lost", "duplicated", "altered", "unknown", "pending", "refused", "dropped", "unproven")
    return {name: document[name] for name in names if document[name]}


def test_an_untouched_lake_is_clean(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = verify(written, capsys)
    assert (code, problems(document)) == (0, {})
    assert document["dead_letters_by_reason"] == {"too_large": 1}
    assert document["generated"]["gps"] == document["lake"]["gps"] + 1
    assert all(document["generated"][name] for name in ("gps", "vehicle", "camera", "weather"))
    assert document["frames"] > 0


def test_one_dropped_row_is_lost(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    table = written.table("weather")
    row = table.scan(limit=1).to_arrow()
    victim = row["id"][0].as_py()
    table.delete(f"id == '{victim}'")
    code, document = verify(written, capsys)
    written.table("weather").append(row)
    assert (code, problems(document)) == (1, {"lost": 1})
    assert [example["id"] for example in document["examples"]["lost"]] == [victim]


def test_one_row_shown_twice_is_duplicated(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    table = written.table("gps")
    row = table.scan(limit=1).to_arrow()
    table.append(row)
    code, document = verify(written, capsys)
    written.table("gps").delete(f"id == '{row['id'][0].as_py()}' and device_id == '{row['device_id'][0].as_py()}'")
    written.table("gps").append(row)
    assert (code, problems(document)) == (1, {"duplicated": 1})
    assert document["examples"]["duplicated"][0]["id"] == row["id"][0].as_py()


def test_one_digit_of_a_column_is_altered(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    table = written.table("vehicle")
    row = table.scan(limit=1).to_arrow()
    index = row.schema.get_field_index("rpm")
    other = row.set_column(index, row.schema.field(index), pc.add(row["rpm"], 1e-9 * 2**10))
    key = f"id == '{row['id'][0].as_py()}'"
    table.delete(key)
    written.table("vehicle").append(other)
    code, document = verify(written, capsys)
    written.table("vehicle").delete(key)
    written.table("vehicle").append(row)
    assert (code, problems(document)) == (1, {"altered": 1})
    assert document["examples"]["altered"][0]["column"] == "rpm"


def test_one_byte_of_a_frame_is_altered(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    row = written.table("camera").scan(limit=1).to_arrow().to_pylist()[0]
    place = {"Bucket": os.environ["SMARTCITY_BUCKET"], "Key": row["snapshot"]}
    frame = written.s3.get_object(**place)["Body"].read()
    written.s3.put_object(**place, Body=frame[:-1] + bytes([frame[-1] ^ 1]))
    code, document = verify(written, capsys)
    written.s3.put_object(**place, Body=frame)
    assert (code, problems(document)) == (1, {"altered": 1})
    assert document["examples"]["altered"][0]["column"] == "frame in the bucket"
    assert document["examples"]["altered"][0]["id"] == row["id"]


def test_a_missing_frame_is_altered(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    row = written.table("camera").scan(limit=1).to_arrow().to_pylist()[0]
    place = {"Bucket": os.environ["SMARTCITY_BUCKET"], "Key": row["snapshot"]}
    frame = written.s3.get_object(**place)["Body"].read()
    written.s3.delete_object(**place)
    code, document = verify(written, capsys)
    written.s3.put_object(**place, Body=frame)
    assert (code, problems(document)) == (1, {"altered": 1})


def test_one_byte_of_a_dead_letter_is_altered(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    table = written.table(DEAD_LETTERS_TABLE)
    row = table.scan().to_arrow()
    index = row.schema.get_field_index("payload")
    payload = row["payload"][0].as_py()
    other = pa.array([payload[:-1] + b"\n\n"], row.schema.field(index).type)
    table.overwrite(row.set_column(index, row.schema.field(index), other))
    code, document = verify(written, capsys)
    written.table(DEAD_LETTERS_TABLE).overwrite(row)
    assert (code, problems(document)) == (1, {"altered": 1})
    assert document["examples"]["altered"][0]["id"] == written.buried


def test_after_all_repairs_it_is_clean_again(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = verify(written, capsys)
    assert (code, problems(document)) == (0, {})


def test_without_logs_the_gap_is_seen(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--var", str(written.stack.layout.var), "verify", "--json", "--without-logs"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == 0
    table = written.table("gps")
    row = next(row for row in table.scan().to_arrow().to_pylist() if row["id"].endswith(".5"))
    kept = table.scan(row_filter=f"id == '{row['id']}'").to_arrow()
    table.delete(f"id == '{row['id']}'")
    code = main(arguments)
    written.table("gps").append(kept)
    document = json.loads(capsys.readouterr().out)
    assert (code, document["missing"]) == (1, 1)
    assert (document["examples"]["gaps"][0]["device_id"], document["examples"]["gaps"][0]["first"]) == (
        row["device_id"],
        5,
    )


def test_a_boot_that_no_log_knows_is_a_message(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--var", str(written.stack.layout.var), "verify", "--boot", "ffffffffffffffff"]) == 1
    assert "ffffffffffffffff" in capsys.readouterr().err
