"""What the marts' job decides and writes, without Spark."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from smartcity.contracts.fields import columns
from smartcity.contracts.marts import JOURNEYS, MARTS, SPEED_BY_KM, SpeedByKm
from smartcity.lake.errors import EXIT_USAGE, TerminalError, TransientError
from smartcity.lake.main import main
from smartcity.lake.marts.files import as_contract, replace_day, schema
from smartcity.lake.marts.recipe import Recipe, Source
from smartcity.lake.marts.recipes import RECIPES
from smartcity.lake.marts.run import Choice
from smartcity.lake.marts.state import STALE, State, read_days, write_days
from smartcity.lake.marts.touched import fingerprint, touched_days
from smartcity.lake.settings import Storage

STORAGE = Storage(bucket="lake", region="us-east-1")
MONDAY, TUESDAY, WEDNESDAY, FRIDAY = (date(2026, 11, day) for day in (16, 17, 18, 20))
OVER_MIDNIGHT = Recipe(
    mart=JOURNEYS,
    sources=(Source(table="gps", days_before=1, days_after=1), Source(table="vehicle")),
    sql="SELECT 1",
)


class Bucket:
    """An S3 client on a dictionary, with conditional puts."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key]), "ETag": str(hash(self.objects[Key]))}

    def put_object(self, *, Key: str, Body: bytes, **options: Any) -> dict[str, Any]:  # noqa: N803
        there = str(hash(self.objects[Key])) if Key in self.objects else None
        if (options.get("IfNoneMatch") and there) or options.get("IfMatch", there) != there:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.objects[Key] = Body
        return {"ETag": str(hash(Body))}

    def delete_object(self, *, Key: str, **_: Any) -> None:  # noqa: N803
        self.objects.pop(Key, None)


def test_there_is_a_recipe_for_every_mart_of_the_contract() -> None:
    assert [recipe.mart for recipe in RECIPES] == list(MARTS)
    for mart in MARTS:
        assert mart.time_column in [column.name for column in mart.columns if not column.nullable]


def test_a_neighbouring_day_touches_a_day_that_reads_it_and_no_other() -> None:
    tables = {"gps": {MONDAY: (5, 0), TUESDAY: (7, 0), FRIDAY: (1, 0)}, "vehicle": {MONDAY: (2, 0)}}
    built = {day: fingerprint(OVER_MIDNIGHT, day, tables) for day in (MONDAY, TUESDAY, FRIDAY)}
    assert touched_days(OVER_MIDNIGHT, tables, built) == []
    assert touched_days(OVER_MIDNIGHT, tables, {}) == [MONDAY, TUESDAY, FRIDAY]
    more = tables | {"gps": {MONDAY: (5, 0), TUESDAY: (8, 0), FRIDAY: (1, 0)}}
    assert touched_days(OVER_MIDNIGHT, more, built) == [MONDAY, TUESDAY]
    new = tables | {"gps": {**tables["gps"], WEDNESDAY: (1, 0)}}
    assert touched_days(OVER_MIDNIGHT, new, built) == [TUESDAY, WEDNESDAY]
    assert touched_days(OVER_MIDNIGHT, tables | {"vehicle": {MONDAY: (2, 1)}}, built) == [MONDAY]


def test_a_day_that_lost_all_rows_is_touched_until_it_is_forgotten() -> None:
    tables = {"gps": {MONDAY: (5, 0), TUESDAY: (7, 0)}, "vehicle": {}}
    built = {day: fingerprint(OVER_MIDNIGHT, day, tables) for day in (MONDAY, TUESDAY)}
    gone = {"gps": {MONDAY: (5, 0)}, "vehicle": {}}
    assert touched_days(OVER_MIDNIGHT, gone, built) == [MONDAY, TUESDAY]
    assert fingerprint(OVER_MIDNIGHT, TUESDAY, gone) == {}


def test_bounds_choose_days_whether_touched_or_not() -> None:
    state = State(Bucket(), "lake", OVER_MIDNIGHT)
    tables = {"gps": {MONDAY: (5, 0), TUESDAY: (7, 0), FRIDAY: (1, 0)}, "vehicle": {}}
    state.days = {day: fingerprint(OVER_MIDNIGHT, day, tables) for day in (MONDAY, TUESDAY, FRIDAY)}

    def days(**choice: Any) -> list[date]:
        return Choice(recipes=[OVER_MIDNIGHT], **choice).days(OVER_MIDNIGHT, tables, state)

    assert days() == []
    assert days(every=True) == [MONDAY, TUESDAY, FRIDAY]
    assert days(first=TUESDAY) == [TUESDAY, FRIDAY]
    assert days(last=TUESDAY) == [MONDAY, TUESDAY]
    assert days(first=WEDNESDAY, last=WEDNESDAY) == []


def test_the_state_is_as_it_was_written_and_another_revisions_days_are_stale() -> None:
    days = {MONDAY: {"gps/2026-11-16": [5, 0]}, TUESDAY: {"gps/2026-11-17": [7, 0]}}
    content = write_days(days, "a")
    assert read_days(content, "a") == days
    assert read_days(content, "b") == {MONDAY: STALE, TUESDAY: STALE}
    for broken in (b"", b"\xff", b"[]", b'{"revision": "a"}', b'{"revision": "a", "days": {"x": {}}}'):
        assert read_days(broken, "a") == {}


def test_two_runs_at_once_leave_the_day_to_be_built_again() -> None:
    bucket, of = Bucket(), {"gps/2026-11-16": [5, 0]}
    mine, theirs = State(bucket, "lake", OVER_MIDNIGHT), State(bucket, "lake", OVER_MIDNIGHT)
    theirs.remember(MONDAY, of)
    with pytest.raises(TransientError, match="one run at a time"):
        mine.remember(MONDAY, of)
    assert State(bucket, "lake", OVER_MIDNIGHT).days == {MONDAY: STALE}


def test_the_sql_the_sources_and_the_columns_make_the_revision() -> None:
    others = [
        Recipe(mart=SPEED_BY_KM, sources=OVER_MIDNIGHT.sources, sql="SELECT 1"),
        Recipe(mart=JOURNEYS, sources=OVER_MIDNIGHT.sources[:1], sql="SELECT 1"),
        Recipe(mart=JOURNEYS, sources=OVER_MIDNIGHT.sources, sql="SELECT 2"),
    ]
    assert len({recipe.revision for recipe in (OVER_MIDNIGHT, *others)}) == 4


ROW = {
    "slot_at": datetime(2026, 11, 16, tzinfo=UTC), "route": "r", "km": 1, "readings": 1, "vehicles": 1,
    "mean_speed_km_h": 3.0, "min_speed_km_h": 3.0, "max_speed_km_h": 3.0,
}  # fmt: skip


def arrow(**values: Any) -> Any:
    loose = pa.schema(field.with_nullable(True) for field in schema(columns(SpeedByKm)))
    return pa.Table.from_pylist([ROW | values], schema=loose)


def test_a_day_is_put_under_its_one_key_and_removed_when_empty() -> None:
    bucket, key = Bucket(), "marts/speed_by_km/dt=2026-11-16/speed_by_km.parquet"
    rows = as_contract(SPEED_BY_KM, arrow())
    assert replace_day(bucket, STORAGE, SPEED_BY_KM, MONDAY, rows) == len(bucket.objects[key])
    assert list(bucket.objects) == [key]
    read = pq.read_table(io.BytesIO(bucket.objects[key]))
    assert read.to_pylist() == [ROW]
    assert [field.nullable for field in read.schema] == [False] * len(ROW)
    assert str(read.schema.field("slot_at").type) == "timestamp[us, tz=UTC]"
    assert replace_day(bucket, STORAGE, SPEED_BY_KM, MONDAY, rows.slice(0, 0)) == 0
    assert bucket.objects == {}


def test_what_breaks_the_marts_contract_is_not_written() -> None:
    with pytest.raises(TerminalError, match="route: 1 rows have none"):
        as_contract(SPEED_BY_KM, arrow(route=None))
    with pytest.raises(TerminalError, match="vehicles: string was computed"):
        as_contract(SPEED_BY_KM, arrow().set_column(4, "vehicles", pa.array(["1"])))
    with pytest.raises(TerminalError, match="are not"):
        as_contract(SPEED_BY_KM, arrow().drop_columns(["vehicles"]))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--from", "2026-11-20", "--to", "2026-11-19"], "--from 2026-11-20 is after --to 2026-11-19"),
        (["--all", "--to", "2026-11-19"], "leave out --from and --to"),
        (["--from", "yesterday"], "'yesterday' is not a day"),
        (["--only", "trips"], "invalid choice: 'trips'"),
    ],
)
def test_flags_that_make_no_sense_are_usage_errors(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["marts", *flags])
    assert ended.value.code == EXIT_USAGE
    assert message in capsys.readouterr().err


def test_the_state_lies_outside_what_crawlers_read() -> None:
    bucket = Bucket()
    State(bucket, "lake", OVER_MIDNIGHT).remember(MONDAY, {"gps/2026-11-16": [5, 0]})
    assert json.loads(bucket.objects["checkpoints/marts/journeys.json"])["days"] == {
        "2026-11-16": {"gps/2026-11-16": [5, 0]}
    }
