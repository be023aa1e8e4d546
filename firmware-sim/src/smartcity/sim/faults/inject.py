"""Strikes observations as a plan says, and marks each with what struck it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from smartcity.contracts.envelope import format_time
from smartcity.contracts.streams import VEHICLE

from ..observation import Injected, Observation
from ..source import World
from . import kinds, payload
from .plan import Fault, Plan
from .schedule import Anchored, Span, draw

_ORDER = {kind: place for place, kind in enumerate(kinds.KINDS)}
_OF_THE_FIX = ("direction", "latitude", "location", "longitude")
"""What the metadata of an OBD reading says of the latest fix."""


class Injector:
    """Faults of one plan in one world. The same observations in the same order come out the same.

    Whether a fault strikes, and how, depends on seed, fault, device, stream and event time alone. Two things are
    remembered of earlier readings: what a stuck sensor showed, and the latest fix before a dropout.
    """

    def __init__(self, plan: Plan, *, seed: int, start: datetime) -> None:
        self._seed = seed if plan.seed is None else plan.seed
        ordered = sorted(plan.faults, key=lambda fault: _ORDER[fault.kind])
        self._faults = [(fault, fault.schedule.anchored(start)) for fault in ordered]
        self._of_device: dict[str, list[tuple[Fault, Anchored]]] = {}
        self._stuck: dict[tuple[int, str, str], tuple[datetime, str]] = {}
        self._fixes: dict[str, dict[str, object]] = {}
        self._without_fix: dict[str, Fault] = {}

    def offline(self, device_id: str, time: datetime) -> bool:
        """Whether an offline spell of the device covers this simulated time."""
        return any(
            fault.kind == kinds.OFFLINE and self._spell(fault, schedule, device_id, time)
            for fault, schedule in self._faults_of(device_id)
        )

    def goes_offline(self, device_id: str) -> bool:
        """Whether the plan holds offline spells for the device at all."""
        return any(fault.kind == kinds.OFFLINE for fault, _ in self._faults_of(device_id))

    def strike(self, observation: Observation) -> Observation:
        """What the device makes of an observation, with a mark for each fault."""
        faults = self._faults_of(observation.device_id)
        if not faults:
            return observation
        device_id, stream, time = observation.device_id, observation.stream.name, observation.time
        for fault, schedule in faults:
            if stream not in fault.streams:
                continue
            if fault.kind == kinds.GPS_DROPOUT and observation.stream is VEHICLE:
                observation = self._keep_fix(observation, fault)
                continue
            spell = self._spell(fault, schedule, device_id, time)
            if spell is None or not self._hit(fault, device_id, stream, time):
                if fault.kind == kinds.GPS_DROPOUT and self._without_fix.get(device_id) is fault:
                    del self._without_fix[device_id]
                continue
            observation = self._apply(fault, spell, observation, time)
        self._remember_fix(observation)
        return observation

    def _faults_of(self, device_id: str) -> list[tuple[Fault, Anchored]]:
        found = self._of_device.get(device_id)
        if found is None:
            found = [(fault, schedule) for fault, schedule in self._faults if fault.strikes(device_id)]
            self._of_device[device_id] = found
        return found

    def _spell(self, fault: Fault, schedule: Anchored, device_id: str, time: datetime) -> Span | None:
        return schedule.spell(time, self._seed, fault.number, device_id)

    def _hit(self, fault: Fault, device_id: str, stream: str, time: datetime) -> bool:
        probability = fault.schedule.probability
        return probability >= 1.0 or self._draw(fault, device_id, stream, time, "hit") < probability

    def _draw(self, fault: Fault, device_id: str, stream: str, time: datetime, what: str) -> float:
        return draw(self._seed, fault.number, device_id, stream, time, what)

    def _apply(self, fault: Fault, spell: Span, struck: Observation, time: datetime) -> Observation:
        """`time` is the true event time, which a skewed clock no longer shows."""
        device_id, stream = struck.device_id, struck.stream
        shown, sent, delay = struck.time, struck.payload, 0

        def drawn(what: str) -> float:
            return self._draw(fault, device_id, stream.name, time, what)

        match fault.kind:
            case kinds.GPS_DROPOUT:
                self._without_fix[device_id] = fault
                sent, detail = payload.without_fix(sent), "no fix"
            case kinds.STUCK_SENSOR:
                sent, detail = self._stick(fault, spell, struck)
            case kinds.CLOCK_SKEW:
                shown = struck.time + timedelta(seconds=fault.skew_s)
                sent = payload.at_time(sent, stream, shown)
                detail = f"the clock shows {format_time(shown)} at {format_time(time)}"
            case kinds.OVERSIZE_FRAME:
                sent = payload.padded(sent, fault.payload_bytes)
                detail = "" if sent is struck.payload else f"{len(struck.payload)} bytes became {len(sent)}"
            case kinds.CORRUPT_SENTENCE:
                sent, detail = payload.corrupted(sent, drawn("where"), drawn("by"))
            case kinds.REORDER:
                delay = 1 + int(drawn("delay") * fault.delay_readings_max)
                detail = f"held back for {delay} readings"
            case kinds.OFFLINE:
                detail = f"offline from {format_time(spell[0])} to {format_time(spell[1])}"
            case _:
                detail = "published twice"
        if not detail:
            return struck
        return _marked(replace(struck, time=shown, payload=sent), fault, detail, delay_readings=delay)

    def _stick(self, fault: Fault, spell: Span, struck: Observation) -> tuple[bytes, str]:
        """The first reading of a spell still tells the truth; the later ones repeat its value."""
        key = (fault.number, struck.device_id, struck.stream.name)
        begin, shown = self._stuck.get(key, (None, ""))
        if begin != spell[0]:
            self._stuck[key] = (spell[0], payload.reading_of(struck.payload, struck.stream, fault.value))
            return struck.payload, ""
        frozen = payload.with_reading(struck.payload, struck.stream, fault.value, shown)
        return frozen, f"{fault.value} stuck at {shown}"

    def _keep_fix(self, struck: Observation, fault: Fault) -> Observation:
        """While the receiver has no fix, an OBD reading names the latest one that the device had, or none."""
        if self._without_fix.get(struck.device_id) is not fault or struck.metadata is None:
            return struck
        latest = self._fixes.get(struck.device_id, dict.fromkeys(_OF_THE_FIX))
        metadata = json.dumps({**json.loads(struck.metadata), **latest}, sort_keys=True, separators=(",", ":"))
        return _marked(replace(struck, metadata=metadata), fault, "its metadata names the latest fix")

    def _remember_fix(self, observation: Observation) -> None:
        device_id = observation.device_id
        if observation.stream is not VEHICLE or observation.metadata is None or device_id in self._without_fix:
            return
        if any(fault.kind == kinds.GPS_DROPOUT for fault, _ in self._faults_of(device_id)):
            said = json.loads(observation.metadata)
            self._fixes[device_id] = {name: said.get(name) for name in _OF_THE_FIX}


class FaultyWorld:
    """A world whose observations are struck. See `World`; a skewed clock breaks the order of time."""

    def __init__(self, world: World, injector: Injector) -> None:
        self._world = world
        self._injector = injector

    @property
    def device_ids(self) -> Sequence[str]:
        return self._world.device_ids

    @property
    def arrivals(self) -> Sequence[tuple[str, str, datetime]]:
        return self._world.arrivals

    @property
    def finished(self) -> bool:
        return self._world.finished

    def observe(self, until: datetime) -> Iterator[Observation]:
        return map(self._injector.strike, self._world.observe(until))

    def skip(self, until: datetime) -> None:
        self._world.skip(until)


def _marked(observation: Observation, fault: Fault, detail: str, *, delay_readings: int = 0) -> Observation:
    mark = Injected(fault=fault.number, kind=fault.kind, detail=detail, delay_readings=delay_readings)
    return replace(observation, faults=(*observation.faults, mark))
