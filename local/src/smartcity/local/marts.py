"""The stack's marts, brought up to date: its maintenance builds them now instead of in some minutes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import date

from smartcity.lake.marts.recipes import RECIPES
from smartcity.lake.marts.state import State
from smartcity.lake.marts.touched import days_of, touched_days
from smartcity.lake.s3 import s3_client
from smartcity.lake.settings import Storage

from . import process
from .errors import LocalError
from .services.maintenance import MAINTENANCE
from .stack import Stack

POLL_S = 2.0
AGAIN_AFTER_S = 60.0
"""Maintenance that was started anew meanwhile is told again."""
TIMEOUT_S = 600.0


class MartsError(LocalError):
    """The marts could not be built."""


def hurry_marts(stack: Stack) -> None:
    """Have the touched days built as soon as maintenance does nothing else.

    Raises:
        MartsError: maintenance does not run.
    """
    running = process.find(process.read_record(stack.layout.run, MAINTENANCE.name))
    if running is None:
        raise MartsError("maintenance does not run, and it is what builds the marts; run: smartcity up")
    os.kill(running.pid, signal.SIGUSR1)


def await_marts(
    stack: Stack, storage: Storage, day: date, say: Callable[[str], None], *, timeout_s: float = TIMEOUT_S
) -> None:
    """Until no table has anything of this day that its marts lack.

    Raises:
        MartsError: they are not built in time.
    """
    told = started = time.monotonic()
    left = _touched(storage, day)
    while left:
        now = time.monotonic()
        if now - started > timeout_s:
            log = stack.layout.log(MAINTENANCE.name)
            raise MartsError(f"{', '.join(left)} of {day} not built after {timeout_s:g} s; see {log}")
        if now - told > AGAIN_AFTER_S:
            told = now
            hurry_marts(stack)
        time.sleep(POLL_S)
        before, left = left, _touched(storage, day)
        if left != before:
            say(f"marts of {day}: {len(RECIPES) - len(left)} of {len(RECIPES)} built")


def _touched(storage: Storage, day: date) -> list[str]:
    """Marts whose day is to be built."""
    tables = {source.table for recipe in RECIPES for source in recipe.sources}
    days = {table: days_of(storage, table) for table in tables}
    client = s3_client(storage)
    return [
        recipe.mart.name
        for recipe in RECIPES
        if day in touched_days(recipe, days, State(client, storage.bucket, recipe).days)
    ]
