"""What the loop asks of a transport: connections of many devices behind one `poll`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..message import Message
from ..reading import Key

FAILURE = 0x80
"""MQTT 5 reason codes from here on are failures (MQTT 5.0, section 2.4)."""

BLAMING = frozenset({0x81, 0x82, 0x90, 0x95, 0x99, 0x9B})
"""Server DISCONNECT codes that say: something you sent is not acceptable (MQTT 5.0, section 3.14.2.1)."""


@dataclass(frozen=True, slots=True)
class Connected:
    """CONNACK came, and the subscription to the device's receipts is on its way."""

    device_id: str
    receive_max: int
    packet_bytes_max: int | None


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection ended; publishes without PUBACK are void. `blamed`: by a protocol error."""

    device_id: str
    detail: str
    blamed: bool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """PUBACK for the publish that was given this key (None: a status)."""

    device_id: str
    key: Key | None
    reason_code: int


@dataclass(frozen=True, slots=True)
class Received:
    """A message on the device's receipt topic."""

    device_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The gateway could not be reached at all; it is tried again by itself."""

    detail: str


Event = Connected | Disconnected | Acknowledged | Received | Unreachable


class Transport(Protocol):
    """One MQTT 5 connection per device, kept up with back-off. For one thread.

    An implementation never keeps a message beyond its connection: after `Disconnected` the caller sends again.
    """

    def open(self, device_id: str, will: Callable[[], Message]) -> None:
        """Connects the device, and again whenever the connection ends. `will` is asked at each attempt."""

    def publish(self, device_id: str, message: Message, key: Key | None) -> bool:
        """Publishes at QoS 1 on the present connection. False if there is none."""

    def reconnect(self, device_id: str, detail: str) -> None:
        """Breaks the present connection."""

    def shut(self, device_id: str, detail: str) -> None:
        """Ends the connection of a device, or its attempts at one, without DISCONNECT; until `open` it is unknown."""

    def poll(self, timeout_s: float) -> list[Event]:
        """Moves bytes for at most this long, and returns what happened; returns early when something did."""

    def close(self) -> None:
        """Sends DISCONNECT on all connections, without last wills, and ends."""
