"""Loopback ports: the preferred one if it is free, else the next free one, and who holds one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

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


class Claims(contextlib.ExitStack):
    """Ports that no other stack of this user chooses, between our choice and the moment when they are listened on.

    One locked file each. A lock goes with its process, and all of them at `close`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__()
        self._folder = folder or Path(tempfile.gettempdir()) / f"smartcity-ports-{os.getuid()}"
        self._held: set[int] = set()

    def take(self, port: int) -> bool:
        """Whether the port is free, and claimed by us now.

        Raises:
            PortError: the folder of the claims is not ours to write.
        """
        if port in self._held:
            return is_free(port)
        with contextlib.ExitStack() as if_refused:
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                claim = os.open(self._folder / str(port), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                if_refused.callback(os.close, claim)
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError as error:
                remedy = "remove it, or set TMPDIR to another folder"
                raise PortError(f"{self._folder}: {error.strerror}; {remedy}") from error
            # Looked at only once it is claimed: who claimed it before us may have begun to listen.
            if not is_free(port):
                return False
            self._held.add(port)
            self.push(if_refused.pop_all())
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
