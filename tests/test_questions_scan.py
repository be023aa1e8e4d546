"""What counts as scanned: columns that a question names, in row groups that its conditions leave."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parent / "bench"))
from questions_scan import File, count, read_file, with_range

from smartcity.aws.errors import DifferentAnswersError
from smartcity.aws.questions import require_equal

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
HOURS = 4
ROWS = 3600 * HOURS


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """A reading a second; the number of the hour in `hour`."""
    seconds = range(ROWS)
    return pa.table(
        {
            "timestamp": pa.array([START + timedelta(seconds=n) for n in seconds], pa.timestamp("us", "UTC")),
            "speed": [n * 0.37 % 97 for n in seconds],
            "device_id": [f"car-{n // 3600}" for n in seconds],
            "codes": [["P0171"] if n % 3 else [] for n in seconds],
        }
    )


@pytest.fixture
def file(rows: pa.Table, tmp_path: Path) -> File:
    """A row group per hour."""
    pq.write_table(rows, tmp_path / "a.parquet", row_group_size=3600)
    return read_file(str(tmp_path / "a.parquet"))


def chunk_bytes(path: Path, columns: tuple[str, ...], groups: range) -> int:
    """By pyarrow's metadata, column chunk by column chunk."""
    metadata = pq.ParquetFile(path).metadata
    chunks = [metadata.row_group(group).column(n) for group in groups for n in range(metadata.num_columns)]
    return sum(one.total_compressed_size for one in chunks if one.path_in_schema.split(".")[0] in columns)


@pytest.mark.parametrize(
    ("sql", "columns", "groups"),
    [
        ("SELECT avg(speed) FROM t", ("speed",), range(4)),
        ("SELECT count(*) FROM t", (), range(4)),
        ("SELECT codes FROM t", ("codes",), range(4)),
        ("SELECT * FROM t", ("timestamp", "speed", "device_id", "codes"), range(4)),
        ("SELECT speed FROM t WHERE device_id = 'car-2'", ("speed", "device_id"), range(2, 3)),
        ("SELECT speed FROM t WHERE device_id IN ('car-0', 'car-1', 'x')", ("speed", "device_id"), range(2)),
        (
            "SELECT speed FROM t WHERE \"timestamp\" > TIMESTAMP '2026-11-21 10:59:59 UTC' - INTERVAL '1' HOUR",
            ("speed", "timestamp"),
            range(2, 4),
        ),
        (
            "SELECT speed FROM t WHERE \"timestamp\" < TIMESTAMP '2026-11-21 09:00:00 UTC' AND speed >= 0",
            ("speed", "timestamp"),
            range(1),
        ),
        (
            "SELECT speed FROM t WHERE \"timestamp\" <= TIMESTAMP '2026-11-21 09:00:00 UTC'",
            ("speed", "timestamp"),
            range(2),
        ),
        ("SELECT speed FROM t WHERE device_id BETWEEN 'car-1' AND 'car-2'", ("speed", "device_id"), range(1, 3)),
        ("SELECT speed FROM t WHERE device_id = 'car-1' OR speed > 90", ("speed", "device_id"), range(4)),
        ("SELECT speed FROM t WHERE speed > 1000", ("speed",), range(0)),
    ],
)
def test_named_columns_of_the_row_groups_left_are_read(
    file: File, sql: str, columns: tuple[str, ...], groups: range
) -> None:
    scan = count(sql, {"t": [file]})
    assert scan.groups == len(groups)
    assert scan.files == bool(groups)
    assert scan.bytes == chunk_bytes(Path(file.path), columns, groups)
    assert bool(columns and groups) == bool(scan.bytes)


def test_each_mention_of_a_table_is_read(file: File) -> None:
    once = count("SELECT speed FROM t", {"t": [file]})
    twice = count("SELECT a.speed FROM t a JOIN t b ON a.speed = b.speed", {"t": [file]})
    assert twice.bytes == 2 * once.bytes


def test_int96_times_tell_no_range_unless_it_is_given(rows: pa.Table, tmp_path: Path) -> None:
    pq.write_table(rows, tmp_path / "b.parquet", use_deprecated_int96_timestamps=True)
    file = read_file(str(tmp_path / "b.parquet"))
    late = "SELECT speed FROM t WHERE \"timestamp\" > TIMESTAMP '2026-11-22 00:00:00 UTC'"
    assert count(late, {"t": [file]}).groups == 1
    known = with_range(file, "timestamp", (START, START + timedelta(hours=HOURS)))
    assert count(late, {"t": [known]}).groups == 0


def test_a_partition_leaves_out_whole_files(rows: pa.Table, tmp_path: Path) -> None:
    pq.write_table(rows, tmp_path / "c.parquet")
    days = ("2026-11-20", "2026-11-21", "2026-11-22")
    files = [read_file(str(tmp_path / "c.parquet"), partition={"dt": day}) for day in days]
    assert count("SELECT speed FROM t WHERE dt BETWEEN '2026-11-21' AND '2026-11-22'", {"t": files}).files == 2
    by_day = count("SELECT dt, avg(speed) FROM t GROUP BY dt", {"t": files})
    assert by_day.bytes == count("SELECT avg(speed) FROM t", {"t": files}).bytes


NEAR = (("a", 1.0 + 1e-12, START),)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ((("a", 1.001, START),), "row 0"),
        ((("b", 1.0, START),), "row 0"),
        ((("a", None, START),), "row 0"),
        ((("a", 1.0, START), ("a", 1.0, START)), "2 of the other"),
        ((), "0 of the other"),
    ],
)
def test_different_answers_are_refused(other: tuple[tuple[object, ...], ...], reason: str) -> None:
    wanted = (("a", 1.0, START),)
    require_equal("q", {"one": wanted, "the other": NEAR})
    with pytest.raises(DifferentAnswersError, match=reason):
        require_equal("q", {"one": wanted, "the other": other})


def test_nothing_is_no_answer() -> None:
    with pytest.raises(DifferentAnswersError, match="no rows"):
        require_equal("q", {"one": (), "the other": ()})
