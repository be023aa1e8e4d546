"""A device's connection in a fleet: its socket, and the bytes that move over it."""

from __future__ import annotations

import selectors
import socket
import ssl
from collections.abc import Callable
from typing import Any

from ..message import Message
from ..reading import Key
from .connection import Backoff

Address = tuple[Any, ...]
IDLE, DIALLING, SHAKING, GREETING, CONNECTED = range(5)
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_READ_BYTES = 16_384
_DEFERRED_MAX = 8
"""Packets that may wait for company; well below the receipts that Mosquitto sends ahead of their PUBACKs (20)."""


class Link:
    """A device's connection, or the wait for the next one."""

    __slots__ = (
        "address", "alarm", "backoff", "device_id", "dialled_at", "due", "ended", "heard_at", "ids", "keepalive_s",
        "keys", "mask", "out", "pinged", "rest", "said_at", "socket", "state", "will",
    )  # fmt: skip

    def __init__(self, device_id: str, will: Callable[[], Message], backoff: Backoff) -> None:
        self.device_id = device_id
        self.will = will
        self.backoff = backoff
        self.state = IDLE
        self.socket: socket.socket | None = None
        self.address: Address | None = None
        self.mask = 0
        self.alarm = -1
        """Which entry of the heap of deadlines is valid."""
        self.out: list[bytes] = []
        self.due = False
        """Whether what is in `out` is to be written at the next opportunity."""
        self.rest = b""
        self.ids = 0
        self.keys: dict[int, Key | None] = {}
        self.ended: tuple[str, bool] | None = None
        """Why the connection is over, and whether we are blamed."""
        self.dialled_at = self.heard_at = self.said_at = 0.0
        self.keepalive_s = 0
        self.pinged = False

    def cut(self) -> None:
        """Forgets the connection. Its socket is closed already."""
        self.socket, self.mask, self.state, self.ended = None, 0, IDLE, None
        self.out, self.due, self.rest, self.pinged, self.alarm = [], False, b"", False, -1
        self.keys.clear()


class Mover:
    """Moves bytes for all links: one selector, one `send` for all that a device says between two polls.

    `on_broken` is told of a connection that broke, and why.
    """

    def __init__(self, on_broken: Callable[[Link, str], None]) -> None:
        self._on_broken = on_broken
        self._selector = selectors.DefaultSelector()
        self._to_write: list[Link] = []

    def say(self, link: Link, packet: bytes) -> None:
        """Writes it with the next `write_all`."""
        link.out.append(packet)
        self.hurry(link)

    def say_with_the_next(self, link: Link, packet: bytes) -> None:
        """Writes it together with what the device says next: for what the gateway can wait for."""
        link.out.append(packet)
        if len(link.out) >= _DEFERRED_MAX:
            self.hurry(link)

    def hurry(self, link: Link) -> None:
        """Writes all that waits with the next `write_all`."""
        if link.out and not link.due:
            link.due = True
            self._to_write.append(link)

    def write_all(self, now: float) -> None:
        """Writes what is due; where a socket is full, the selector says when there is room again."""
        if self._to_write:
            links, self._to_write = self._to_write, []
            for link in links:
                if not link.mask & selectors.EVENT_WRITE:
                    self.write(link, now)

    def write(self, link: Link, now: float) -> None:
        """Writes as much as the socket takes."""
        if link.socket is None or not link.out or link.ended:
            return
        data = link.out[0] if len(link.out) == 1 else b"".join(link.out)
        try:
            sent = link.socket.send(data)
        except _NOT_NOW:
            sent = 0
        except OSError as error:
            self._on_broken(link, f"the connection broke: {error.strerror or error}")
            return
        link.said_at = now
        if sent == len(data):
            link.out.clear()
            link.due = False
            self.watch(link, selectors.EVENT_READ)
        else:
            link.out = [data[sent:]]
            self.watch(link, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def read(self, link: Link, now: float) -> bytes:
        """What has come; nothing where the connection broke."""
        assert link.socket is not None
        try:
            data = link.socket.recv(_READ_BYTES)
        except _NOT_NOW:
            return b""
        except OSError as error:
            self._on_broken(link, f"the connection broke: {error.strerror or error}")
            return b""
        if not data:
            self._on_broken(link, "the gateway closed the connection")
            return b""
        link.heard_at = now
        return data

    def watch(self, link: Link, mask: int) -> None:
        """What the selector waits for on this link's socket."""
        if mask == link.mask:
            return
        assert link.socket is not None
        if link.mask:
            self._selector.modify(link.socket, mask, link)
        else:
            self._selector.register(link.socket, mask, link)
        link.mask = mask

    def ready(self, wait_s: float) -> list[tuple[Link, int]]:
        """Links whose sockets can be read or written, after at most this long."""
        return [(key.data, mask) for key, mask in self._selector.select(wait_s)]

    def close_socket(self, link: Link) -> None:
        """Ends the connection without a word."""
        if link.socket is not None:
            if link.mask:
                self._selector.unregister(link.socket)
            link.socket.close()

    def close(self) -> None:
        self._selector.close()
