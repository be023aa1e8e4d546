"""Loopback ports: the preferred one if it is free, else the next free one, and who holds one."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection

import psutil

from .errors import PortError

LOOPBACK = "127.0.0.1"
PORT_TRIES_MAX = 100


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections in TIME_WAIT must not count as a holder; a listening socket still does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listening(port: int) -> int | None:
    """The process that listens on a port. None where nobody does, or the system does not tell."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.AccessDenied, PermissionError):
        return None
    for each in connections:
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port:
            return each.pid
    return None


def holder(port: int) -> str:
    """Who listens on a port, for people: `mosquitto (pid 812)`; says so where the system does not tell."""
    pid = listening(port)
    if pid is None:
        return f"a process of another user (see: sudo lsof -i :{port})"
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"


def choose(preferred: int, taken: Collection[int] = (), free: Callable[[int], bool] = is_free) -> int:
    """The preferred port, or the next one above it that is free and not in `taken`.

    Raises:
        PortError: none of the next PORT_TRIES_MAX ports is free.
    """
    for port in range(preferred, min(preferred + PORT_TRIES_MAX, 65_536)):
        if port not in taken and free(port):
            return port
    raise PortError(
        f"no free port from {preferred} on ({PORT_TRIES_MAX} tried; {preferred} is held by {holder(preferred)}); "
        "set SMARTCITY_PORT_BASE to another range"
    )
