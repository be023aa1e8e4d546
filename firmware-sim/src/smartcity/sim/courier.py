"""Between outbox and transport: carries every device's readings out and their receipts in.

It owns the devices' state machines. Once per tick it writes what has come together in *one* transaction (receipts,
refusals, new readings), and only then publishes.

A tick visits only devices to which something happened (an event, a new reading, a backlog for which there is room) and
those whose deadline has come (an overdue receipt, the next status report): with thousands of devices, few.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from random import Random

from smartcity.contracts.envelope import format_time
from smartcity.contracts.receipts import Ranges, ReceiptError, decode_receipt
from smartcity.contracts.status import REPORT_INTERVAL_S, Status

from .device import Device, Publish, Refusal, WindowSettings
from .message import Message, reading_message, status_message
from .observation import Injected, Observation
from .outbox import Outbox
from .reading import Reading
from .settings import Confirm
from .transport import Acknowledged, Connected, Disconnected, Event, Received, Transport, Unreachable

log = logging.getLogger(__name__)

_BACKLOG_ROWS = 64
_SAY_AGAIN_S = 15.0
_RECEIPTS_MISSED_AFTER_S = 30.0
_RECEIPTS_MISSED_LOOK_S = 1.0


@dataclass(slots=True)
class Counts:
    """What happened since this process started; `pending` is what the outbox holds, of earlier boots too."""

    generated: Counter[str]
    faults: Counter[str] = field(default_factory=Counter)
    """Readings struck, by kind of fault."""
    confirmed: int = 0
    refused: int = 0
    dropped: int = 0
    published: int = 0
    connected: int = 0
    pending: int = 0


@dataclass(slots=True)
class _Endpoint:
    """A device, where its backlog is read from, and its counts of this boot."""

    device: Device
    boots: deque[str]
    backlog: bool
    """Whether the outbox may hold readings that are not in the window."""
    after: int = 0
    pending: int = 0
    refused: int = 0
    dropped: int = 0
    report_at: float = math.inf
    alarm_at: float = math.inf
    """The entry in the heap of deadlines that counts; later ones are not needed, earlier ones are void."""
    status_in_flight: int = 0
    rival_named: bool = False


class Courier:
    """Sends for all devices of a process. Clocks and randomness are passed in."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        transport: Transport,
        window: WindowSettings,
        confirm: Confirm,
        monotonic: Callable[[], float],
        wall_clock: Callable[[], datetime],
        random: Random,
        on_faults: Callable[[Reading, Sequence[Injected]], None] | None = None,
    ) -> None:
        """`on_faults` is told what a plan of faults has in store for a reading, before that is published."""
        self._on_faults = on_faults
        self._outbox = outbox
        self._transport = transport
        self._window = window
        self._confirm = confirm
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._random = random
        self._endpoints: dict[str, _Endpoint] = {}
        self._receipts: list[tuple[str, Ranges]] = []
        self._confirmed: list[Reading] = []
        self._refusals: list[Refusal] = []
        self._unreachable_said_at: float | None = None
        self._confirmed_at = monotonic()
        self._receipts_missed = False
        self._receipts_looked_at = monotonic()
        self._counts = Counts(generated=Counter())
        self._touched: dict[str, _Endpoint] = {}
        self._alarms: list[tuple[float, int, _Endpoint]] = []
        self._order = itertools.count()

    def start(self, device_ids: Iterable[str]) -> None:
        """A new boot of each device; devices that only have a backlog of earlier boots are started to send it."""
        backlog = self._outbox.boots_pending()
        names = list(dict.fromkeys([*device_ids, *backlog]))
        with self._outbox.transaction():
            for device_id in names:
                boot = self._outbox.start(device_id)
                device = Device(device_id=device_id, boot=boot, settings=self._window, random=self._random)
                old = backlog.get(device_id, [])
                self._endpoints[device_id] = _Endpoint(device, deque([*old, boot]), bool(old))
        self._touched = {device_id: self._endpoints[device_id] for device_id in backlog}
        for device_id, endpoint in self._endpoints.items():
            self._transport.open(device_id, partial(self._status, endpoint, "offline", will=True))

    @property
    def boots(self) -> dict[str, str]:
        """Each device's boot."""
        return {device_id: endpoint.device.boot for device_id, endpoint in self._endpoints.items()}

    def counts(self) -> Counts:
        self._counts.pending = self._outbox.pending()
        return self._counts

    def handle(self, events: Iterable[Event]) -> None:
        """Takes in what the transport reports, and publishes what that makes possible."""
        touched: dict[str, _Endpoint] = {}
        for event in events:
            if isinstance(event, Unreachable):
                self._say_unreachable(event)
                continue
            endpoint = touched[event.device_id] = self._endpoints[event.device_id]
            self._handle_one(endpoint, event)
        now = self._monotonic()
        for endpoint in touched.values():
            if endpoint.device.ready(now):
                self._act(endpoint, now)
            self._set_alarm(endpoint)
            if endpoint.backlog:
                self._touched[endpoint.device.device_id] = endpoint  # The next tick looks whether it finds room.

    def tick(self, observations: Sequence[Observation]) -> None:
        """Writes all that has come together since the last tick, then publishes."""
        batch = [self._identify(observation) for observation in observations]
        kept: list[Reading] = []
        struck = [(one, seen.faults) for one, seen in zip(batch, observations, strict=True) if seen.faults]
        if batch or self._confirmed or self._receipts or self._refusals:
            with self._outbox.transaction():
                self._write_outcomes()
                kept = self._outbox.append(batch)
                if struck:
                    self._outbox.record_faults(struck)
        for reading, faults in struck:
            self._counts.faults.update(one.kind for one in faults)
            if self._on_faults is not None:
                self._on_faults(reading, faults)
        self._count(batch, kept)
        touched, self._touched = self._touched, {}
        for reading in kept:
            endpoint = touched[reading.device_id] = self._endpoints[reading.device_id]
            if not endpoint.device.offer(reading):
                endpoint.backlog = True
        now = self._monotonic()
        self._collect_alarms(now, touched)
        for device_id, endpoint in touched.items():
            if endpoint.backlog and self._fill_from_backlog(endpoint):
                self._touched[device_id] = endpoint
            self._act(endpoint, now)
            if endpoint.device.connected and now >= endpoint.report_at:
                self._report(endpoint, "online")
            self._set_alarm(endpoint)
        self._say_receipts_missed(now)

    def say_goodbye(self) -> None:
        """Publishes each connected device's retained `offline`."""
        for endpoint in self._endpoints.values():
            if endpoint.device.connected:
                self._report(endpoint, "offline")

    @property
    def statuses_in_flight(self) -> int:
        """Status publishes without PUBACK."""
        return sum(endpoint.status_in_flight for endpoint in self._endpoints.values())

    def _handle_one(self, endpoint: _Endpoint, event: Connected | Disconnected | Acknowledged | Received) -> None:
        device = endpoint.device
        match event:
            case Acknowledged(_, (boot, sequence), reason_code):
                device.on_puback((boot, sequence), reason_code)
                if self._confirm == "puback" and reason_code < 0x80:
                    self._take_receipt(device, {boot: [(sequence, sequence)]})
            case Received(_, payload):
                try:
                    ranges = decode_receipt(payload)
                except ReceiptError as error:
                    log.warning("%s: a receipt that is none: %s", device.device_id, error)
                    return
                self._take_receipt(device, ranges)
            case Acknowledged(_, None, reason_code):
                endpoint.status_in_flight -= 1
                if reason_code >= 0x80:
                    log.warning("%s: the gateway refuses its status (PUBACK 0x%02X)", device.device_id, reason_code)
            case Connected(_, receive_max, packet_bytes_max):
                if self._unreachable_said_at is not None:
                    self._unreachable_said_at = None
                    log.info("connected to the gateway again")
                self._counts.connected += not device.connected
                device.on_connected(receive_max=receive_max, packet_bytes_max=packet_bytes_max)
                self._report(endpoint, "online", spread=True)
            case Disconnected(_, detail, blamed):
                log.debug("%s: disconnected: %s", device.device_id, detail)
                if "taken over" in detail and not endpoint.rival_named:
                    endpoint.rival_named = True
                    log.warning("%s: another client connects under this name: stop the other one", device.device_id)
                endpoint.status_in_flight = 0
                endpoint.report_at = math.inf
                self._counts.connected -= device.connected
                device.on_disconnected(blamed=blamed)

    def _take_receipt(self, device: Device, ranges: Ranges) -> None:
        confirmed = device.on_receipt(ranges)
        if len(confirmed) == sum(last - first + 1 for spans in ranges.values() for first, last in spans):
            self._confirmed += confirmed  # It named nothing else.
        else:
            self._receipts.append((device.device_id, ranges))
        self._confirmed_at = self._monotonic()
        self._receipts_missed = False

    def _say_receipts_missed(self, now: float) -> None:
        if self._receipts_missed or now < self._confirmed_at + _RECEIPTS_MISSED_AFTER_S:
            return
        if now < self._receipts_looked_at + _RECEIPTS_MISSED_LOOK_S:
            return
        self._receipts_looked_at = now
        if any(endpoint.device.connected and endpoint.device.window for endpoint in self._endpoints.values()):
            self._receipts_missed = True
            log.warning(
                "no receipt for %.0f s: readings stay in the outbox until a bridge confirms them."
                " For a broker without a bridge use --confirm puback",
                _RECEIPTS_MISSED_AFTER_S,
            )

    def _collect_alarms(self, now: float, touched: dict[str, _Endpoint]) -> None:
        while self._alarms and self._alarms[0][0] <= now:
            at, _, endpoint = heapq.heappop(self._alarms)
            if at == endpoint.alarm_at:
                endpoint.alarm_at = math.inf
                touched[endpoint.device.device_id] = endpoint

    def _set_alarm(self, endpoint: _Endpoint) -> None:
        """One that comes too early costs a look; so an earlier one that is already set serves."""
        at = min(endpoint.report_at, endpoint.device.wake_at())
        if at < endpoint.alarm_at:
            endpoint.alarm_at = at
            heapq.heappush(self._alarms, (at, next(self._order), endpoint))

    def _act(self, endpoint: _Endpoint, now: float) -> None:
        device = endpoint.device
        for action in device.due(now):
            match action:
                case Publish(reading):
                    message = reading_message(reading, self._wall_clock())
                    if self._transport.publish(device.device_id, message, reading.key):
                        self._counts.published += 1
                case Refusal():
                    self._refusals.append(action)
                case _:
                    self._transport.reconnect(device.device_id, action.detail)

    def _identify(self, observation: Observation) -> Reading:
        device = self._endpoints[observation.device_id].device
        return Reading(
            device_id=observation.device_id,
            boot=device.boot,
            sequence=device.next_sequence(),
            stream=observation.stream,
            time=observation.time,
            payload=observation.payload,
            metadata=observation.metadata,
        )

    def _write_outcomes(self) -> None:
        self._outbox.forget(self._confirmed)
        self._counts.confirmed += len(self._confirmed)
        for reading in self._confirmed:
            endpoint = self._endpoints[reading.device_id]
            endpoint.pending -= reading.boot == endpoint.device.boot
        self._confirmed.clear()
        for device_id, ranges in self._receipts:
            endpoint = self._endpoints[device_id]
            for boot, spans in ranges.items():
                count = self._outbox.confirm(device_id, boot, spans)
                self._counts.confirmed += count
                endpoint.pending -= count if boot == endpoint.device.boot else 0
        self._receipts.clear()
        for refusal in self._refusals:
            reading = refusal.reading
            if self._outbox.refuse(reading, reason=refusal.reason, detail=refusal.detail):
                self._counts.refused += 1
                endpoint = self._endpoints[reading.device_id]
                if reading.boot == endpoint.device.boot:
                    endpoint.pending -= 1
                    endpoint.refused += 1
                log.warning("%s: refused: %s: %s", reading.device_id, refusal.reason, refusal.detail)
        self._refusals.clear()

    def _count(self, batch: Sequence[Reading], kept: Sequence[Reading]) -> None:
        for reading in batch:
            self._counts.generated[reading.stream.name] += 1
            self._endpoints[reading.device_id].dropped += 1
        for reading in kept:
            endpoint = self._endpoints[reading.device_id]
            endpoint.dropped -= 1
            endpoint.pending += 1
        self._counts.dropped += len(batch) - len(kept)

    def _fill_from_backlog(self, endpoint: _Endpoint) -> bool:
        """True if it has to be asked again although nothing happens: rows were left and there was room."""
        device = endpoint.device
        while self._outbox.pending(device.device_id) > device.window and (room := device.backlog_room()):
            rows = self._outbox.next_to_send(
                device.device_id, endpoint.boots[0], after=endpoint.after, limit=min(room, _BACKLOG_ROWS)
            )
            if rows:
                last = device.offer_backlog(rows)
                if last is not None:
                    endpoint.after = last.sequence
                if last is not rows[-1]:
                    return False
            elif len(endpoint.boots) > 1:
                endpoint.boots.popleft()
                endpoint.after = 0
            else:
                return device.window == 0
        endpoint.backlog = self._outbox.pending(device.device_id) > device.window
        return False

    def _report(self, endpoint: _Endpoint, state: str, *, spread: bool = False) -> None:
        """`spread`: the next one comes after a random part of the interval, so that devices do not report in step."""
        interval_s = REPORT_INTERVAL_S * (self._random.random() if spread else 1.0)
        endpoint.report_at = self._monotonic() + interval_s
        if self._transport.publish(endpoint.device.device_id, self._status(endpoint, state), None):
            endpoint.status_in_flight += 1

    def _status(self, endpoint: _Endpoint, state: str, *, will: bool = False) -> Message:
        status = Status(
            state="online" if state == "online" else "offline",
            boot=endpoint.device.boot,
            sequence=endpoint.device.sequence,
            pending=endpoint.pending,
            refused=endpoint.refused,
            dropped=endpoint.dropped,
            time="" if will else format_time(self._wall_clock()),
        )
        return status_message(endpoint.device.device_id, status.encode())

    def _say_unreachable(self, event: Unreachable) -> None:
        now = self._monotonic()
        if self._unreachable_said_at is None or now >= self._unreachable_said_at + _SAY_AGAIN_S:
            self._unreachable_said_at = now
            log.warning("cannot reach the gateway (%s): readings wait in the outbox, trying again", event.detail)
