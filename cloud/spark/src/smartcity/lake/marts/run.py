"""The batch job: mart by mart, the days that are to be built, each replaced as soon as it is computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from ..drive import check_bucket, classify
from ..jars import require_jars
from ..s3 import s3_client
from ..session import start_session
from ..settings import Settings, Storage
from .build import build_day
from .files import replace_day
from .recipe import Recipe
from .state import State
from .touched import Days, days_of, fingerprint, known_days, touched_days

Say = Callable[[str], None]
"""Told each line of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to build. Without `every` and bounds: the days touched since each mart's last run."""

    recipes: Sequence[Recipe]
    every: bool = False
    first: date | None = None
    last: date | None = None
    """With a bound, every day within the bounds is built, touched or not."""

    def days(self, recipe: Recipe, tables: Mapping[str, Days], state: State) -> list[date]:
        """The days of one mart that are to be built, ascending."""
        if not self.every and self.first is None and self.last is None:
            return touched_days(recipe, tables, state.days)
        return [
            day
            for day in known_days(recipe, tables, state.days)
            if (self.first or date.min) <= day <= (self.last or date.max)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A mart's day that was built. Without rows its file was removed."""

    mart: str
    day: date
    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The days of one mart that are to be built, and what its sources hold by day."""

    recipe: Recipe
    days: Sequence[date]
    state: State
    tables: Mapping[str, Days]


def run_marts(
    choice: Choice, storage: Storage, *, jars: Path, master: str, driver_memory: str, say: Say
) -> list[Built]:
    """Look what is to be built, and only if there is anything start a Spark of its own and build it.

    Raises:
        TerminalError: a restart cannot mend it.
        TransientError: a restart may; what was built so far stays built.
    """
    require_jars(jars)
    check_bucket(storage)
    try:
        plans = plan_marts(choice, storage, say)
        if not plans:
            return []
        spark = start_session(
            Settings(kafka="", storage=storage, jars=jars, master=master, driver_memory=driver_memory)
        )
        try:
            return build_plans(spark, plans, storage, say)
        finally:
            spark.stop()
    except (PySparkException, Py4JJavaError, BotoCoreError, ClientError, OSError) as error:
        raise classify(error, error) from error


def plan_marts(choice: Choice, storage: Storage, say: Say) -> list[Plan]:
    """What is to be built, mart by mart; a mart with nothing to build is told, and left out.

    Counted before anything is read: what arrives in between is built now or counted next time, never missed.
    """
    names = {source.table for recipe in choice.recipes for source in recipe.sources}
    tables = {name: days_of(storage, name) for name in sorted(names)}
    plans = []
    for recipe in choice.recipes:
        state = State(s3_client(storage), storage.bucket, recipe)
        days = choice.days(recipe, tables, state)
        if days:
            plans.append(Plan(recipe=recipe, days=days, state=state, tables=tables))
        else:
            say(f"{recipe.mart.name}: no day to build")
    return plans


def build_marts(spark: SparkSession, choice: Choice, storage: Storage, say: Say) -> list[Built]:
    """Build what was chosen on a running Spark."""
    return build_plans(spark, plan_marts(choice, storage, say), storage, say)


def build_plans(spark: SparkSession, plans: Sequence[Plan], storage: Storage, say: Say) -> list[Built]:
    """Build what was planned, on a running Spark. Its views lie in a session of their own."""
    session = spark.newSession()
    # The stream's session is set for small batches. A day may be large: Spark sizes its shuffles by what it meets.
    session.conf.set("spark.sql.adaptive.enabled", "true")
    session.conf.set("spark.sql.shuffle.partitions", str(max(8, 4 * spark.sparkContext.defaultParallelism)))
    built: list[Built] = []
    for plan in plans:
        recipe = plan.recipe
        for number, day in enumerate(plan.days, 1):
            started = time.monotonic()
            computed_from = fingerprint(recipe, day, plan.tables)
            rows = build_day(session, recipe, day)
            size = replace_day(s3_client(storage), storage, recipe.mart, day, rows)
            plan.state.remember(day, computed_from)
            seconds = time.monotonic() - started
            one = Built(mart=recipe.mart.name, day=day, rows=rows.num_rows, bytes=size, seconds=seconds)
            say(f"{describe_built(one)} (day {number} of {len(plan.days)})")
            built.append(one)
    return built


def describe_built(one: Built) -> str:
    """One line of progress."""
    what = f"{one.rows} rows, {one.bytes} bytes" if one.rows else "no rows, so no file"
    return f"{one.mart} {one.day}: {what}, {one.seconds:.1f} s"
