"""Transport faults, between devices and gateway: offline spells, duplicates, reordering. No sockets of its own.

What the device's window counts stays true: a reading held back is on its way and has no PUBACK yet; the PUBACK of a
duplicate is nobody's; and CONNACK's Receive Maximum is passed on less the one place that duplicates take. A duplicate
leaves before its original: so a reading that is confirmed was published twice, however the connection ended.

Only a reading's first publish of this process is struck. What was left over by an earlier process leaves as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..message import Message
from ..observation import Injected
from ..reading import Key, Reading
from ..transport import Acknowledged, Connected, Disconnected, Event, Transport
from .kinds import DUPLICATE, REORDER

HOLD_S_MAX = 1.0
"""Real time after which a reading leaves although too few others have overtaken it: at the end there are none."""
_LOOK_S = 0.05
"""How often the spells are looked at: half a tick."""
_COPY_OF = "copy-of-"
"""Marks the key of a duplicate; no boot begins like that."""


@dataclass(slots=True)
class _Store:
    """What is to happen to a reading at its first publish."""

    copies: int = 0
    delay_readings: int = 0


@dataclass(slots=True)
class _Held:
    message: Message
    key: Key
    overtaking: int
    """How many later readings are still to come before it leaves."""
    until: float


@dataclass(slots=True)
class _Device:
    will: Callable[[], Message]
    may_go_offline: bool
    shut: bool = False
    held: list[_Held] = field(default_factory=list)
    doubles: deque[tuple[Message, Key]] = field(default_factory=deque)
    """Readings that wait for their copies to leave first."""
    copy_in_flight: Key | None = None
    """Key of the original; one copy at a time waits for its PUBACK."""


class FaultyTransport:
    """A transport that suffers what a plan says. See `Transport`.

    `offline` says whether a device is offline at a simulated time, `goes_offline` whether it ever is; `now` is the
    simulated clock.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        offline: Callable[[str, datetime], bool],
        goes_offline: Callable[[str], bool],
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._inner = inner
        self._offline = offline
        self._goes_offline = goes_offline
        self._now = now
        self._monotonic = monotonic
        self._devices: dict[str, _Device] = {}
        self._store: dict[tuple[str, Key], _Store] = {}
        self._holding: dict[str, _Device] = {}
        self._look_at = 0.0

    def expect(self, reading: Reading, faults: Sequence[Injected]) -> None:
        """Tells what is in store for a reading, before it is published."""
        copies = sum(one.kind == DUPLICATE for one in faults)
        delay = max((one.delay_readings for one in faults if one.kind == REORDER), default=0)
        if copies or delay:
            self._store[reading.device_id, reading.key] = _Store(copies=copies, delay_readings=delay)

    def open(self, device_id: str, will: Callable[[], Message]) -> None:
        device = self._devices[device_id] = _Device(will, self._goes_offline(device_id))
        if device.may_go_offline and self._offline(device_id, self._now()):
            device.shut = True
        else:
            self._inner.open(device_id, will)

    def publish(self, device_id: str, message: Message, key: Key | None) -> bool:
        device = self._devices[device_id]
        if device.shut:
            return False
        if key is None:
            return self._inner.publish(device_id, message, None)
        overtaken = list(device.held)
        store = self._store.get((device_id, key))
        if store is not None and store.delay_readings:
            device.held.append(_Held(message, key, store.delay_readings, self._monotonic() + HOLD_S_MAX))
            self._holding[device_id] = device
        elif not self._send(device_id, device, message, key):
            return False
        for held in overtaken:
            held.overtaking -= 1
        self._release(device_id, device, [held for held in overtaken if held.overtaking <= 0])
        return True

    def reconnect(self, device_id: str, detail: str) -> None:
        if not self._devices[device_id].shut:
            self._inner.reconnect(device_id, detail)

    def shut(self, device_id: str, detail: str) -> None:
        device = self._devices.pop(device_id)
        self._holding.pop(device_id, None)
        if not device.shut:
            self._inner.shut(device_id, detail)

    def poll(self, timeout_s: float) -> list[Event]:
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            self._look_at_spells()
            self._look_at_held(now)
        return list(self._seen(self._inner.poll(min(timeout_s, _LOOK_S) if self._holding else timeout_s)))

    def close(self) -> None:
        self._inner.close()

    def _send(self, device_id: str, device: _Device, message: Message, key: Key) -> bool:
        """Publishes now; a reading that is to leave twice, as soon as its copies have left."""
        store = self._store.get((device_id, key))
        if store is None or not store.copies:
            self._store.pop((device_id, key), None)
            return self._inner.publish(device_id, message, key)
        device.doubles.append((message, key))
        self._send_doubles(device_id, device)
        return True

    def _send_doubles(self, device_id: str, device: _Device) -> None:
        while device.doubles and device.copy_in_flight is None:
            message, key = device.doubles[0]
            if not self._inner.publish(device_id, message, (_COPY_OF + key[0], key[1])):
                return  # The connection has ended: what was not acknowledged is void.
            device.copy_in_flight = key
            store = self._store[device_id, key]
            store.copies -= 1
            if not store.copies:
                device.doubles.popleft()
                self._send(device_id, device, message, key)

    def _release(self, device_id: str, device: _Device, due: Iterable[_Held]) -> None:
        for held in due:
            device.held.remove(held)
            self._send(device_id, device, held.message, held.key)
        if not device.held:
            self._holding.pop(device_id, None)

    def _look_at_held(self, now: float) -> None:
        for device_id, device in list(self._holding.items()):
            self._release(device_id, device, [held for held in device.held if now >= held.until])

    def _look_at_spells(self) -> None:
        now = self._now()
        for device_id, device in self._devices.items():
            if not device.may_go_offline or self._offline(device_id, now) == device.shut:
                continue
            if device.shut:
                self._inner.open(device_id, device.will)
            else:
                self._inner.shut(device_id, "an offline spell of the plan begins")
                self._forget_connection(device_id)
            device.shut = not device.shut

    def _seen(self, events: Iterable[Event]) -> Iterable[Event]:
        for event in events:
            match event:
                case Connected(device_id, receive_max, packet_bytes_max):
                    yield Connected(device_id, max(1, receive_max - 1), packet_bytes_max)
                case Disconnected(device_id):
                    self._forget_connection(device_id)
                    yield event
                case Acknowledged(device_id, (boot, _), _) if boot.startswith(_COPY_OF):
                    self._devices[device_id].copy_in_flight = None
                    self._send_doubles(device_id, self._devices[device_id])
                case _:
                    yield event

    def _forget_connection(self, device_id: str) -> None:
        """Publishes without PUBACK are void: the device sends them again, and then they are struck again."""
        device = self._devices[device_id]
        if device.copy_in_flight is not None:
            self._store.setdefault((device_id, device.copy_in_flight), _Store()).copies += 1
        device.held.clear()
        device.doubles.clear()
        device.copy_in_flight = None
        self._holding.pop(device_id, None)
