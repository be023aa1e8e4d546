"""Durations as flags."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration_of(least: timedelta) -> Callable[[str], timedelta]:
    """An argparse type: `90s`, `30m`, `1h` or `3d`, not below `least`."""

    def duration(text: str) -> timedelta:
        match = re.fullmatch(r"(\d{1,6})([smhd])", text)
        if match is None:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number and one of s, m, h, d, e.g. 30m")
        value = timedelta(**{_UNITS[match[2]]: int(match[1])})
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {int(least.total_seconds())}s")
        return value

    return duration
