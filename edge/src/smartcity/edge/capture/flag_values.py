"""What the flags of the capture commands may say. Each function raises argparse.ArgumentTypeError for anything else."""

from __future__ import annotations

import argparse

from smartcity.contracts.streams import GPS
from smartcity.contracts.topics import parse_device_topic, reading_topic

from .errors import CaptureError
from .span import Moment

_UNITS = {"": 1, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


def speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0.001 <= factor <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed: 0.5, 1, 10 …, or max")
    return factor


def moment(text: str) -> Moment:
    try:
        return Moment.parse(text)
    except CaptureError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def seconds(text: str) -> float:
    found = moment(text)
    if not found.relative:
        raise argparse.ArgumentTypeError(f"{text!r} is a time of day, not a duration such as 90s or 1h")
    return found.ns / 1e9


def size(text: str) -> int:
    for unit in sorted(_UNITS, key=len, reverse=True):
        digits = text.upper().removesuffix(unit)
        if text.upper().endswith(unit) and digits.replace(".", "", 1).isdigit():
            return int(float(digits) * _UNITS[unit])
    raise argparse.ArgumentTypeError(f"{text!r} is no size, such as 500MB or 2GB")


def number(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def device(text: str) -> str:
    if parse_device_topic(reading_topic(text, GPS)) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no device's name: a-z, 0-9 and -, at most 32")
    return text
