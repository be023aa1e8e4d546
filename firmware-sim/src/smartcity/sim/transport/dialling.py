"""Whom a fleet dials next, and when: at most so many at once, and a single one while the gateway cannot be reached."""

from __future__ import annotations

import errno
import os
import socket
from collections import deque

from .connection import Backoff
from .link import Address, Link


class Dialling:
    """The links that wait for a connection, the gateway's addresses and its back-off."""

    def __init__(self, host: str, port: int, *, connecting_max: int, backoff: Backoff) -> None:
        self.waiting: deque[Link] = deque()
        self.connecting = 0
        """Connections that await TCP's handshake or their CONNACK."""
        self._host, self._port = host, port
        self._connecting_max = connecting_max
        self._backoff = backoff
        self._addresses: deque[Address] = deque()
        self._reached = False
        self._at = 0.0

    def next(self, now: float) -> Link | None:
        """Who may dial now."""
        allowed = self._connecting_max if self._reached else 1
        if now < self._at or not self.waiting or self.connecting >= allowed:
            return None
        return self.waiting.popleft()

    def next_at(self) -> float:
        """When to look again although nothing happens until then."""
        return self._at if self.waiting and not self.connecting else float("inf")

    def dial(self, link: Link) -> None:
        """Begins a TCP connection.

        Raises:
            OSError: it cannot even begin; the link waits on.
        """
        link.address = None
        try:
            if not self._addresses:
                self._addresses.extend(socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
            link.address = self._addresses[0]
            link.socket = _begin(link.address)
        except OSError:
            self.waiting.appendleft(link)
            raise
        self.connecting += 1

    def reached(self) -> None:
        """TCP's handshake succeeded."""
        self._reached = True
        self._backoff.reset()

    def failed(self, address: Address | None, detail: str, now: float) -> str | None:
        """An address did not answer: the next one is tried, or all wait. Then it returns what to tell the user."""
        self._reached = False
        if address is not None:
            if not self._addresses or self._addresses[0] is not address:
                return None  # Another device has told already.
            self._addresses.popleft()
        if self._addresses:
            return None
        self._at = now + self._backoff.failed()  # All have been tried; the name is looked up again next time.
        return f"{self._host}:{self._port}: {detail}"


def _begin(address: Address) -> socket.socket:
    family, kind, protocol, _, target = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        result = sock.connect_ex(target)
        if result not in (0, errno.EINPROGRESS):
            raise OSError(result, os.strerror(result))
    except OSError:
        sock.close()
        raise
    return sock
