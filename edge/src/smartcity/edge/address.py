"""`HOST:PORT`, as every command takes it."""

from __future__ import annotations

import argparse


def address(value: str) -> tuple[str, int]:
    """`HOST:PORT` of a flag.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise argparse.ArgumentTypeError(f"{value!r} is not HOST:PORT, e.g. 127.0.0.1:1883")
    return host, int(port)
