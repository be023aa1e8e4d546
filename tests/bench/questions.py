"""Bytes that ten questions scan of the lake, and of the way tutorials write it; the answers are equal, or this fails.

The same rows are written to both layouts (`questions_layouts.py`), of a fleet that drives what a few simulated
vehicles drove (`questions_rows.py`). Bytes are counted from the files' footers (`questions_scan.py`), answers come
from the local Athena. Writes var/bench/questions.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
import pyarrow as pa
from machine import machine
from questions_ask import Question, ask, questions
from questions_layouts import (
    BATCH_MINUTES,
    Place,
    build_all_marts,
    compact_tables,
    fill,
    lake_files,
    spark_session,
    stored_bytes,
    time_range,
    tutorial_files,
)
from questions_rows import Departure, Fleet, chunks, fleet
from questions_scan import File, count, with_range
from questions_world import FRAME_INTERVAL_S, World, make_world

from smartcity.aws.errors import DifferentAnswersError
from smartcity.aws.questions import require_equal
from smartcity.local.jars import link_jars
from smartcity.local.layout import Layout, default_var
from smartcity.local.services.aws import AWS
from smartcity.local.services.lake import LAKE
from smartcity.local.services.s3 import S3
from smartcity.local.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
FIRST_DAY = date(2026, 11, 16)
STEPS = "steps"
STARTED = datetime.now(UTC)


def say(line: str) -> None:
    print(f"{(datetime.now(UTC) - STARTED).total_seconds():6.1f} s  {line}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="example: python tests/bench/questions.py --vehicles 50 --days 2"
    )
    parser.add_argument("--vehicles", type=int, default=1_000, help="of both routes, one drive each")
    parser.add_argument("--days", type=int, default=4, help="over which the drives are spread")
    parser.add_argument("--drives", type=int, default=4, help="simulated per route; the fleet drives these")
    parser.add_argument("--frame-interval-s", type=int, default=FRAME_INTERVAL_S, help="of each camera")
    parser.add_argument("--batch-minutes", type=int, default=BATCH_MINUTES, help="in a file of the tutorials' layout")
    parser.add_argument("--folder", type=Path, help="keep the data here, and use what an earlier run left here")
    parser.add_argument("--stop-after", choices=("world", "rows", "compacted_files"), help="and go on another time")
    parser.add_argument("--driver-memory", default="2g", help="of maintenance and marts")
    parser.add_argument("--json", type=Path, default=ROOT / "var/bench/questions.json", help="where figures go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-questions-") as name:
        figures = run(options, options.folder or Path(name))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=2) + "\n")
    say(f"scanned_bytes_ratio {figures['scanned_bytes_ratio']}; wrote {options.json}")


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The figures.

    Raises:
        SystemExit: answers differ, or maintenance failed.
    """
    steps = Steps(folder / STEPS, options.stop_after)
    with running_stack(folder / "var") as (place, jars):
        make = partial(
            make_world, FIRST_DAY, options.days, per_route=options.drives, frame_interval_s=options.frame_interval_s
        )
        world = steps.tables("world", make)
        departures, lengths_s = depart(world, options)
        fleet_rows = Fleet(world, departures)
        with spark_session(place, jars, options.driver_memory) if not steps.ended else nullcontext() as spark:
            spans = list(chunks(FIRST_DAY, options.days))
            write = partial(fill, place, fleet_rows, spans, say, batch_minutes=options.batch_minutes)
            rows = steps.figures("rows", write)
            files = steps.figures("compacted_files", lambda: compact_tables(place, spark, say))
            marts = steps.figures("mart_rows", lambda: build_all_marts(place, spark, say))
        evening = datetime.combine(FIRST_DAY + timedelta(days=options.days - 1), time(16, 30), UTC)
        track = min(departures, key=lambda one: abs(one.start - evening))
        active_at = response_before(world["emergency"], track.start)
        asked = questions(FIRST_DAY, options.days, track, lengths_s[track.drive], active_at=active_at)
        try:
            measured = measure(place, asked)
        except DifferentAnswersError as error:
            raise SystemExit(f"the layouts answer differently: {error}") from error
        return report(measured, {"rows": rows, "compacted_files": files, "mart_rows": marts}, options)


def response_before(steps: pa.Table, moment: datetime) -> datetime:
    """When somebody last set out for an incident: then at least that one is active."""
    times = zip(steps["status"].to_pylist(), steps["timestamp"].to_pylist(), strict=True)
    return max(at for status, at in times if status == "responding" and at <= moment)


class Steps:
    """What is done, with its outcome, so that a later run with the same `--folder` goes on there."""

    def __init__(self, folder: Path, stop_after: str | None) -> None:
        self._folder, self._stop_after = folder, stop_after
        folder.mkdir(parents=True, exist_ok=True)

    def _rest(self, name: str) -> None:
        if name == self._stop_after:
            say(f"stopped after {name}; go on with the same --folder")
            raise SystemExit(0)

    @property
    def ended(self) -> bool:
        """The last one is done."""
        return (self._folder / "mart_rows.json").exists()

    def tables(self, name: str, make: Callable[[], World]) -> World:
        done = self._folder / name
        if not done.exists():
            partial = self._folder / f"{name}-partial"
            partial.mkdir(exist_ok=True)
            for table, rows in make().items():
                pq.write_table(rows, partial / f"{table}.parquet")
            partial.rename(done)
            say(f"{name}: done")
            self._rest(name)
        return {path.stem: pq.read_table(path) for path in sorted(done.glob("*.parquet"))}

    def figures(self, name: str, make: Callable[[], dict[str, int]]) -> dict[str, int]:
        done = self._folder / f"{name}.json"
        if not done.exists():
            done.write_text(json.dumps(make()))
            say(f"{name}: {done.read_text()}")
            self._rest(name)
        found: dict[str, int] = json.loads(done.read_text())
        return found


def depart(world: World, options: argparse.Namespace) -> tuple[list[Departure], dict[int, int]]:
    """The fleet, and how many seconds each of the drives lasts."""
    of_drives = world["gps"].group_by("drive").aggregate([("route", "min"), ("second", "max")]).sort_by("drive")
    routes, lengths_s = of_drives["route_min"].to_pylist(), of_drives["second_max"].to_pylist()
    return fleet(options.vehicles, routes, FIRST_DAY, options.days), dict(enumerate(lengths_s))


def measure(place: Place, asked: tuple[Question, ...]) -> dict[str, Any]:
    """Bytes and seconds of each question on both layouts.

    Raises:
        DifferentAnswersError: the answers are not equal.
    """
    lake, tutorial = lake_files(place), tutorial_files(place)
    pruned = {name: [with_range(one, "timestamp", time_range(one)) for one in of] for name, of in tutorial.items()}
    found = {}
    for question in asked:
        mine, theirs = ask(question.lake, place.lake), ask(question.tables, place.tutorial)
        answers = {"the lake": mine.rows, "the tutorial layout": theirs.rows}
        if question.tables != question.lake:
            answers["the lake's tables"] = ask(question.tables, place.lake).rows
        require_equal(question.name, answers)
        scans = {"lake": count(question.lake, lake), "tutorial": count(question.tables, tutorial)}
        found[question.name] = {
            "rows": len(mine.rows),
            **asdict(scans["lake"]),
            "seconds": round(mine.seconds, 3),
            "from_tables_bytes": count(question.tables, lake).bytes,
            **{f"tutorial_{key}": value for key, value in asdict(scans["tutorial"]).items()},
            "tutorial_seconds": round(theirs.seconds, 3),
            "tutorial_bytes_with_statistics": count(question.tables, pruned).bytes,
            "bytes_ratio": round(scans["tutorial"].bytes / max(scans["lake"].bytes, 1), 1),
        }
        say(f"{question.name}: {_shown(found[question.name])}")
    return {"questions": found, "stored_bytes": {"lake": stored_bytes(lake), "tutorial": stored_bytes(tutorial)},
            "files": {"lake": _files(lake), "tutorial": _files(tutorial)}}  # fmt: skip


def _shown(found: dict[str, Any]) -> str:
    return (
        f"{found['rows']} equal rows; {found['bytes']:,} bytes in {found['seconds']} s, tutorial "
        f"{found['tutorial_bytes']:,} in {found['tutorial_seconds']} s"
    )


def _files(layout: dict[str, list[File]]) -> dict[str, int]:
    return {name: len(of) for name, of in layout.items()}


def report(measured: dict[str, Any], filled: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    found = measured["questions"].values()
    total = {key: sum(one[key] for one in found) for key in ("bytes", "tutorial_bytes", "from_tables_bytes")}
    known = sum(one["tutorial_bytes_with_statistics"] for one in found)
    return {
        "scanned_bytes_ratio": round(total["tutorial_bytes"] / total["bytes"], 1),
        "scanned_bytes_ratio_with_statistics": round(known / total["bytes"], 1),
        "scanned_bytes_ratio_without_marts": round(total["tutorial_bytes"] / total["from_tables_bytes"], 1),
        "scanned_bytes": total["bytes"],
        "tutorial_scanned_bytes": total["tutorial_bytes"],
        **measured,
        **filled,
        "vehicles": options.vehicles,
        "days": options.days,
        "drives_per_route": options.drives,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("pyspark", "pyarrow", "duckdb")},
        },
    }


@contextmanager
def running_stack(var: Path) -> Iterator[tuple[Place, Path]]:
    """S3 and the local AWS, whose addresses stand in the environment meanwhile; the jars are those of `make setup`."""
    link_jars(Layout(var=default_var()), Layout(var=var))
    stack = Stack(var, services=(S3, AWS))
    before = dict(os.environ)
    try:
        stack.up(progress=print, supervise=False)
        place = stack.place()
        os.environ.update(stack.environment() | (LAKE.environment(place) if LAKE.environment else {}))
        yield Place(os.environ["SMARTCITY_BUCKET"]), place.layout.jars("spark")
    finally:
        stack.down()
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    main()
