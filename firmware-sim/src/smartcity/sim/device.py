"""A device's sending side, as a pure state machine: what to publish now, and what to give up on.

It performs nothing and knows no clock: the caller passes the monotonic time in seconds, performs the actions that
`due` returns and reports what happened. Its promises:

- A reading leaves the window through a receipt or a refusal. A PUBACK only says that the gateway has it in memory.
- At most `readings_max` readings and `bytes_max` bytes are in the window, and at most CONNACK's Receive Maximum of
  them await their PUBACK.
- What was acknowledged but not confirmed in time is sent again: first the oldest one alone (a probe), with exponential
  back-off and jitter. Each confirmed probe doubles how many of the overdue follow at once, so that an outage makes no
  storm and a recovery takes a few round trips. What is *not* acknowledged is TCP's business, until `puback_timeout_s`.
- After a reconnect the whole window is sent again, oldest first.
- A reading that the gateway cannot take is refused with a reason and never stands in the way of the next one.
- Until the first receipt nobody knows whether a bridge listens at all. Then a reading that finds the window full is
  published once all the same, so that a plain broker sees a living device; it stays in the outbox, and waits for its
  turn in the window like the rest of the backlog.
- Live readings pass a backlog: what is read back from the outbox may fill three quarters of the window, so that
  readings generated now find room beside an hour's backlog. (What finds none joins the backlog.)
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from smartcity.contracts.receipts import Ranges

from .message import packet_bytes, reading_message
from .reading import Key, Reading

REFUSED_PACKET_TOO_LARGE = "packet_too_large"
REFUSED_PUBACK = "puback"
REFUSED_CONNECTION = "connection_closed"
_PUBACK_FAILURE = 0x80  # MQTT 5.0, section 3.4.2.1: reason codes from here on are failures.

_ENVELOPE_BYTES_MAX = 1024  # Header, topic and attributes: all of bounded length, about 300 bytes.


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSettings:
    """Limits and times of one device's window."""

    readings_max: int = 256
    bytes_max: int = 2 * 1024 * 1024
    in_flight_max: int = 18
    """Publishes without PUBACK; two below Mosquitto's Receive Maximum of 20, which leaves room for the status."""
    confirm_timeout_s: float = 5.0
    """A receipt usually comes within a second; a restart of Kafka takes about fifteen."""
    backoff_max_s: float = 30.0
    puback_timeout_s: float = 30.0
    blames_max: int = 2
    """How often a connection may end by protocol error over one and the same reading before that is refused."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish this reading now."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class Refusal:
    """Move this reading to `refused`."""

    reading: Reading
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Break this connection: the gateway no longer answers on it."""

    detail: str


Action = Publish | Refusal | Reconnect


@dataclass(slots=True)
class _Slot:
    reading: Reading
    sent_at: float | None = None
    acknowledged: bool = False
    resent: bool = False
    blames: int = 0


class Device:
    """One device's window. `boot` is this start's; readings of older boots pass through the same window."""

    def __init__(self, *, device_id: str, boot: str, settings: WindowSettings, random: Random) -> None:
        self.device_id = device_id
        self.boot = boot
        self.sequence = 0
        """The last one given out."""
        self._settings = settings
        self._random = random
        self._window: dict[Key, _Slot] = {}  # In the order of entry, which is age.
        self._window_bytes = 0
        self._unsent: deque[Key] = deque()
        self._unacknowledged: set[Key] = set()
        self._suspects: set[Key] = set()
        self._receipted = False
        self._passing: deque[Reading] = deque(maxlen=settings.readings_max)
        self._connected = False
        self._in_flight_max = settings.in_flight_max
        self._packet_bytes_max: int | None = None
        self._refusals: list[Refusal] = []
        self._burst = 1
        self._wait_s = settings.confirm_timeout_s
        self._backoff_s = settings.confirm_timeout_s
        self._progressed = True

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def window(self) -> int:
        """How many readings are in the window."""
        return len(self._window)

    def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence

    # Filling the window.

    def offer(self, reading: Reading) -> bool:
        """Takes a reading just generated, if there is room; otherwise it is part of the backlog."""
        if not self._room(self._settings.readings_max, self._settings.bytes_max, len(reading.payload)):
            if self._connected and not self._receipted:
                self._passing.append(reading)
            return False
        self._enter(reading)
        return True

    def backlog_room(self) -> int:
        """How many readings of the backlog may be offered now."""
        if self._window_bytes >= self._settings.bytes_max * 3 // 4:
            return 0
        return max(0, self._settings.readings_max * 3 // 4 - len(self._window))

    def offer_backlog(self, readings: Iterable[Reading]) -> Reading | None:
        """Takes readings read back from the outbox, in order. Returns the last one taken or known, None if none was."""
        last = None
        for reading in readings:
            if reading.key not in self._window:
                if not self._room(self._settings.readings_max, self._settings.bytes_max * 3 // 4, len(reading.payload)):
                    break
                self._enter(reading)
            last = reading
        return last

    # What happened.

    def on_connected(self, *, receive_max: int, packet_bytes_max: int | None) -> None:
        """CONNACK: its Receive Maximum and Maximum Packet Size."""
        self._connected = True
        self._in_flight_max = max(1, min(self._settings.in_flight_max, receive_max - 2))
        self._packet_bytes_max = packet_bytes_max
        self._reset_backoff()

    def on_disconnected(self, *, blamed: bool) -> None:
        """The connection ended; `blamed`: by a protocol error, so that something we sent may have caused it."""
        self._connected = False
        if blamed:
            if len(self._unacknowledged) == 1:
                self._blame(next(iter(self._unacknowledged)))
            self._suspects = {key for key in self._unacknowledged if key in self._window}
        self._unacknowledged.clear()
        self._passing.clear()
        for slot in self._window.values():
            slot.sent_at, slot.acknowledged = None, False
        self._unsent = deque(self._window)

    def on_puback(self, key: Key, reason_code: int) -> None:
        """PUBACK for a publish of this connection."""
        self._unacknowledged.discard(key)
        self._suspects.discard(key)
        slot = self._window.get(key)
        if slot is None:
            return
        slot.acknowledged = True
        if reason_code >= _PUBACK_FAILURE:
            self._give_up(key, f"{REFUSED_PUBACK}_{reason_code}", f"the gateway answered PUBACK 0x{reason_code:02X}")

    def on_receipt(self, ranges: Ranges) -> list[Reading]:
        """Kafka has these. Returns those that were in the window."""
        confirmed: list[Reading] = []
        for key in dict.fromkeys(key for boot, spans in ranges.items() for key in self._within(boot, spans)):
            slot = self._leave(key)
            confirmed.append(slot.reading)
            if slot.resent:
                self._burst = min(self._burst * 2, self._settings.readings_max)
        if confirmed:
            self._receipted = True
            self._passing.clear()
            self._reset_backoff()
        return confirmed

    # What to do.

    def ready(self, now: float) -> bool:
        """Whether `due` may have something to do now."""
        return bool(self._unsent or self._passing or self._refusals) or now >= self.wake_at()

    def wake_at(self) -> float:
        """When `due` has something to do although nothing happens until then: infinity, or a monotonic time."""
        oldest = next(iter(self._window.values()), None)
        if not self._connected or oldest is None or oldest.sent_at is None:
            return math.inf
        if oldest.acknowledged:
            return oldest.sent_at + self._wait_s
        return oldest.sent_at + max(self._wait_s, self._settings.puback_timeout_s)

    def due(self, now: float) -> list[Action]:
        """What to perform at this time. A publish counts as done: its PUBACK or the connection's end is reported."""
        actions: list[Action] = []
        if self._connected:
            self._collect_overdue(now, actions)
            self._collect_unsent(now, actions)
            self._collect_passing(actions)
        actions.extend(self._refusals)
        self._refusals.clear()
        return actions

    def _collect_unsent(self, now: float, actions: list[Action]) -> None:
        limit = 1 if self._suspects else self._in_flight_max
        while self._unsent and len(self._unacknowledged) < limit:
            key = self._unsent.popleft()
            slot = self._window.get(key)
            if slot is not None:
                self._send(slot, now, actions)

    def _collect_passing(self, actions: list[Action]) -> None:
        while self._passing and not self._suspects and len(self._unacknowledged) < self._in_flight_max:
            reading = self._passing.popleft()
            if reading.key not in self._window and self._too_large(reading) is None:
                self._unacknowledged.add(reading.key)
                actions.append(Publish(reading))

    def _collect_overdue(self, now: float, actions: list[Action]) -> None:
        oldest = next(iter(self._window.values()), None)
        if oldest is None or oldest.sent_at is None or now < oldest.sent_at + self._wait_s:
            return
        if not oldest.acknowledged:
            if now >= oldest.sent_at + self._settings.puback_timeout_s:
                actions.append(Reconnect(f"no PUBACK within {self._settings.puback_timeout_s:g} s"))
            return
        if not self._progressed:
            self._burst = 1
            self._backoff_s = min(self._backoff_s * 2, self._settings.backoff_max_s)
        self._progressed = False
        self._wait_s = self._backoff_s * self._random.uniform(0.75, 1.25)
        before = now - self._settings.confirm_timeout_s * 0.75
        overdue = (s for s in self._window.values() if s.acknowledged and s.sent_at is not None and s.sent_at <= before)
        room = self._in_flight_max - len(self._unacknowledged)
        burst = list(itertools.islice(overdue, min(self._burst, max(room, 1))))
        for slot in burst:
            slot.resent = True
            self._send(slot, now, actions)

    def _send(self, slot: _Slot, now: float, actions: list[Action]) -> None:
        reading = slot.reading
        if self._packet_bytes_max is not None and _packet_bytes_bound(reading) > self._packet_bytes_max:
            # The time of sending has a fixed width, so that any time gives the size.
            size = packet_bytes(reading_message(reading, reading.time))
            if size > self._packet_bytes_max:
                detail = f"the packet has {size} bytes, the gateway takes {self._packet_bytes_max}"
                self._give_up(reading.key, REFUSED_PACKET_TOO_LARGE, detail)
                return
        slot.sent_at, slot.acknowledged = now, False
        self._unacknowledged.add(reading.key)
        actions.append(Publish(reading))

    def _too_large(self, reading: Reading) -> str | None:
        """Why the gateway's CONNACK forbids this packet, or None."""
        if self._packet_bytes_max is None:
            return None
        # The time of sending has a fixed width, so that any time gives the size.
        size = packet_bytes(reading_message(reading, reading.time))
        if size <= self._packet_bytes_max:
            return None
        return f"the packet has {size} bytes, the gateway takes {self._packet_bytes_max}"

    def _blame(self, key: Key) -> None:
        slot = self._window.get(key)
        if slot is None:
            return
        slot.blames += 1
        if slot.blames >= self._settings.blames_max:
            detail = f"the gateway ended {slot.blames} connections by protocol error over this reading alone"
            self._give_up(key, REFUSED_CONNECTION, detail)

    def _give_up(self, key: Key, reason: str, detail: str) -> None:
        self._refusals.append(Refusal(self._leave(key).reading, reason, detail))

    def _within(self, boot: str, spans: list[tuple[int, int]]) -> Iterator[Key]:
        """What of the window lies in these spans. A receipt names few readings, the window may hold many."""
        for first, last in spans:
            if last - first < len(self._window):
                yield from (key for n in range(first, last + 1) if (key := (boot, n)) in self._window)
            else:
                yield from (key for key in self._window if key[0] == boot and first <= key[1] <= last)

    def _room(self, readings_max: int, bytes_max: int, payload_bytes: int) -> bool:
        """Whether one more fits; an empty window takes a reading of any size."""
        if not self._window:
            return True
        return len(self._window) < readings_max and self._window_bytes + payload_bytes <= bytes_max

    def _enter(self, reading: Reading) -> None:
        self._window[reading.key] = _Slot(reading)
        self._window_bytes += len(reading.payload)
        self._unsent.append(reading.key)

    def _leave(self, key: Key) -> _Slot:
        slot = self._window.pop(key)
        self._window_bytes -= len(slot.reading.payload)
        self._suspects.discard(key)
        return slot

    def _reset_backoff(self) -> None:
        self._progressed = True
        self._backoff_s = self._wait_s = self._settings.confirm_timeout_s


def _packet_bytes_bound(reading: Reading) -> int:
    """No packet of this reading is larger: spares the exact size, which needs the whole envelope, almost always."""
    return len(reading.payload) + 4 * len(reading.metadata or "") + _ENVELOPE_BYTES_MAX
