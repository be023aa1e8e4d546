"""Flags that several commands take."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path


def address(value: str) -> tuple[str, int]:
    """`HOST:PORT` of a flag.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise argparse.ArgumentTypeError(f"{value!r} is not HOST:PORT, e.g. 127.0.0.1:1883")
    return host.removeprefix("[").removesuffix("]"), int(port)


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


def positive(value: str) -> int:
    """A whole number from 1.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from 1")
    return int(value)


def host(value: str) -> str:
    """A DNS name or an address, as a certificate can carry it.

    Raises:
        argparse.ArgumentTypeError: it is neither.
    """
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", value):
        raise argparse.ArgumentTypeError(f"{value!r} is no host name or address, e.g. gateway.local")
    return value.lower()
