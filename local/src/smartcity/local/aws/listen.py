"""Where the local endpoints may listen: on loopback only, since they check no signatures."""

from __future__ import annotations

import argparse
import ipaddress


def listen_address(text: str) -> tuple[str, int]:
    """Parse `HOST:PORT` with a loopback host, for argparse."""
    host, _, port = text.rpartition(":")
    try:
        number = int(port)
        is_loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, for example 127.0.0.1:4566") from None
    if not is_loopback:
        raise argparse.ArgumentTypeError(f"{host!r} is not a loopback address: this endpoint checks no signatures")
    if not 0 < number < 65_536:
        raise argparse.ArgumentTypeError(f"{number} is no port")
    return ("127.0.0.1" if host == "localhost" else host.strip("[]")), number
