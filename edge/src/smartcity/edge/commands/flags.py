"""What flags may say, and flags that several commands take. Each function of a value raises
argparse.ArgumentTypeError for anything else."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from smartcity.contracts.limits import DEVICE_NAME_PATTERN

from ..capture.errors import CaptureError
from ..capture.span import Moment

_UNITS = {"": 1, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


def add_gateway(parser: argparse.ArgumentParser) -> None:
    """`--gateway`: the folder that `init` made."""
    default = Path(os.environ.get("SMARTCITY_GATEWAY") or "gateway")
    parser.add_argument(
        "--gateway",
        type=Path,
        default=default,
        metavar="DIR",
        help=f"the gateway's folder (SMARTCITY_GATEWAY; default: {default})",
    )


def address(value: str) -> tuple[str, int]:
    """`HOST:PORT`."""
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise argparse.ArgumentTypeError(f"{value!r} is not HOST:PORT, e.g. 127.0.0.1:1883")
    return host.removeprefix("[").removesuffix("]"), int(port)


def host(value: str) -> str:
    """A DNS name or an address, as a certificate can carry it."""
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", value):
        raise argparse.ArgumentTypeError(f"{value!r} is no host name or address, e.g. gateway.local")
    return value.lower()


def device(value: str) -> str:
    """The name of a device."""
    if not re.fullmatch(DEVICE_NAME_PATTERN, value):
        raise argparse.ArgumentTypeError(f"{value!r} is no device's name: a-z, 0-9 and -, at most 32")
    return value


def positive(value: str) -> int:
    """A whole number from 1."""
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from 1")
    return int(value)


def size(value: str) -> int:
    """Bytes, such as 500MB."""
    for unit in sorted(_UNITS, key=len, reverse=True):
        digits = value.upper().removesuffix(unit)
        if value.upper().endswith(unit) and digits.replace(".", "", 1).isdigit():
            return int(float(digits) * _UNITS[unit])
    raise argparse.ArgumentTypeError(f"{value!r} is no size, such as 500MB or 2GB")


def speed(value: str) -> float | None:
    """A factor of real time; None for `max`."""
    if value == "max":
        return None
    try:
        factor = float(value)
    except ValueError:
        factor = 0.0
    if not 0.001 <= factor <= 100_000:
        raise argparse.ArgumentTypeError(f"{value!r} is no speed: 0.5, 1, 10 …, or max")
    return factor


def moment(value: str) -> Moment:
    """A place in a capture: a time of day, or counted from its first message."""
    try:
        return Moment.parse(value)
    except CaptureError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def seconds(value: str) -> float:
    """A duration, such as 90s or 1h."""
    found = moment(value)
    if not found.relative:
        raise argparse.ArgumentTypeError(f"{value!r} is a time of day, not a duration such as 90s or 1h")
    return found.ns / 1e9
