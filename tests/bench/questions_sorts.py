"""What other layouts of the two large tables would cost: orders of rows, sizes of row groups, compression.

One day of the fleet of `questions.py`, written as one file by pyarrow for each alternative; only the footers are kept.
What is counted, by the same rules: the question that the table itself answers, two more as if there were no mart, and
the look-up of a batch's (device, id) in ten minutes, which the stream does for duplicates. Spark's own files differ a
little in size; what compaction really leaves is in var/bench/questions.json. Writes var/bench/questions-sorts.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
from questions_ask import questions
from questions_rows import Departure, Fleet, fleet
from questions_scan import Condition, File, count, count_columns, read_file
from questions_world import make_world

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 11, 16)
MIB = 1024 * 1024
ORDERS = {
    "timestamp": ("timestamp",),
    "route, timestamp": ("route", "timestamp"),
    "device, timestamp": ("device_id", "timestamp"),
    "hour, device, timestamp": ("hour", "device_id", "timestamp"),
    "hour, route, timestamp": ("hour", "route", "timestamp"),
    "hour, route, km": ("hour", "route", "route_km"),
}
BEST = "hour, device, timestamp"
CODEC = ("zstd", 3)
GROUP_MIB = 4
LOOK_UP = ("device_id", "id", "timestamp")
ASKED = {
    "gps": ("slowest_kilometres", "speed_by_10_km", "speed_by_route_and_hour"),
    "vehicle": ("vehicle_track", "fuel_per_journey"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """How one file is written."""

    order: str
    group_mib: int
    codec: tuple[str, int | None] = CODEC
    dictionary: bool = True


def alternatives() -> dict[str, list[Alternative]]:
    """By what they differ in. Sizes of row groups, and codecs, with the best order alone."""
    codecs = (("snappy", None), ("zstd", 1), ("zstd", 9))
    return {
        "orders": [Alternative(order=order, group_mib=GROUP_MIB) for order in ORDERS],
        "groups": [Alternative(order=BEST, group_mib=size) for size in (1, 2, 8, 16, 128)],
        "codecs": [
            *(Alternative(order=BEST, group_mib=GROUP_MIB, codec=codec) for codec in codecs),
            Alternative(order=BEST, group_mib=GROUP_MIB, dictionary=False),
        ],
    }


def write(rows: Any, alternative: Alternative, path: Path) -> tuple[File, int]:
    """The file, and its rows per group: Parquet's writers in Java cut by bytes, pyarrow by rows."""
    codec, level = alternative.codec
    options = {"compression": codec, "compression_level": level, "use_dictionary": alternative.dictionary}
    sample = rows.slice(rows.num_rows // 2, 100_000)
    pq.write_table(sample, path, **options)
    per_group = round(alternative.group_mib * MIB / path.stat().st_size * sample.num_rows)
    pq.write_table(rows, path, row_group_size=per_group, **options)
    return read_file(str(path)), per_group


def in_order(rows: Any, order: str) -> Any:
    hours = pc.floor_temporal(rows["timestamp"], unit="hour")
    names = [(name, "ascending") for name in ORDERS[order]]
    return rows.append_column("hour", hours).sort_by(names).drop_columns(["hour"])


def measure(
    table: str, rows: Any, wanted: dict[str, str], chosen: list[Alternative], folder: Path
) -> list[dict[str, Any]]:
    """Bytes of each question, and of the look-up, for every alternative."""
    noon = datetime.combine(DAY, time(12, 30), UTC)
    ten_minutes = Condition(column="timestamp", any_of=(((">=", noon), ("<=", noon + timedelta(minutes=10))),))
    found = []
    ordered, order = rows, ""
    for alternative in chosen:
        if alternative.order != order:
            ordered, order = in_order(rows, alternative.order), alternative.order
        file, per_group = write(ordered, alternative, folder / f"{table}.parquet")
        codec, level = alternative.codec
        one = {
            "table": table, "order": order, "row_group_mib": alternative.group_mib, "row_group_rows": per_group,
            "codec": codec if level is None else f"{codec} {level}", "dictionary": alternative.dictionary,
            "stored": sum(sum(group.bytes.values()) for group in file.groups), "rows": rows.num_rows,
            "row_groups": len(file.groups),
            **{name: count(sql, {table: [file]}).bytes for name, sql in wanted.items()},
            "look_up": count_columns([file], LOOK_UP, [ten_minutes]).bytes,
        }  # fmt: skip
        print(json.dumps(one), flush=True)
        found.append(one)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="example: python tests/bench/questions_sorts.py --vehicles 50"
    )
    parser.add_argument("--vehicles", type=int, default=150, help="on that day")
    parser.add_argument("--tables", nargs="+", choices=ASKED, default=list(ASKED))
    parser.add_argument("--what", nargs="+", choices=alternatives(), default=list(alternatives()))
    parser.add_argument("--world", type=Path, help="the folder `steps/world` of an earlier `questions.py --folder`")
    parser.add_argument("--json", type=Path, default=ROOT / "var/bench/questions-sorts.json", help="where figures go")
    options = parser.parse_args()
    if options.world:
        world = {path.stem: pq.read_table(path) for path in options.world.glob("*.parquet")}
    else:
        world = make_world(DAY, 1, per_route=4)
    of_drives = world["gps"].group_by("drive").aggregate([("route", "min"), ("second", "max")]).sort_by("drive")
    departures = fleet(options.vehicles, of_drives["route_min"].to_pylist(), DAY, 1)
    track = next(one for one in departures if one.start.hour == 8)
    wanted = by_table(track, of_drives["second_max"].to_pylist()[track.drive])
    found: list[dict[str, Any]] = []
    midnight = datetime.combine(DAY, time(), UTC)
    with tempfile.TemporaryDirectory(prefix="bench-sorts-") as name:
        chosen = [one for what in options.what for one in alternatives()[what]]
        for table in options.tables:
            rows = Fleet(world, departures).chunk(table, midnight, midnight + timedelta(days=1))
            found += measure(table, rows, wanted[table], chosen, Path(name))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")


def by_table(track: Departure, track_s: int) -> dict[str, dict[str, str]]:
    """The SQL of the questions that each large table is asked, mart or not."""
    asked = {one.name: one.tables for one in questions(DAY, 1, track, track_s)}
    return {table: {name: asked[name] for name in names} for table, names in ASKED.items()}


if __name__ == "__main__":
    main()
