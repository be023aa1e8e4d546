"""What a vehicle's page shows beyond the map: the last minutes of its values, and its last native payloads.

A point takes 24 bytes, a payload RAW_BYTES_MAX at most: 11 kB a vehicle, 23 MB with DEVICES_MAX of them.
"""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from smartcity.contracts.streams import GPS, VEHICLE

from .nmea import explain_nmea
from .obd import engine_values, explain_obd
from .observe import Sighting
from .settings import DEVICES_MAX, HISTORY_INTERVAL_S, HISTORY_POINTS_MAX, RAW_BYTES_MAX

COLUMNS = ("speed", "rpm", "fuel_level", "coolant_temperature")
"""In km/h, 1/min, % and °C."""
_EXPLAINED = {GPS.name: explain_nmea, VEHICLE.name: explain_obd}


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A payload as it came; `payload` is cut at RAW_BYTES_MAX."""

    payload: bytes = field(repr=False)
    size: int
    at: float
    time: str | None
    """Event time, as the device wrote it."""
    name: str | None
    """The reading's id, or None for a foreign one."""


class History:
    """The last HISTORY_POINTS_MAX points, oldest overwritten."""

    def __init__(self) -> None:
        self._at = array("d")
        self._values = tuple(array("f") for _ in COLUMNS)
        self._next = 0

    def add(self, at: float, values: tuple[float, ...]) -> None:
        """`at` is seconds since 1970; NaN stands for what is not known."""
        if len(self._at) < HISTORY_POINTS_MAX:
            self._at.append(at)
            for column, value in zip(self._values, values, strict=True):
                column.append(value)
        else:
            self._at[self._next] = at
            for column, value in zip(self._values, values, strict=True):
                column[self._next] = value
        self._next = (self._next + 1) % HISTORY_POINTS_MAX

    @property
    def last_at(self) -> float:
        return self._at[self._next - 1] if self._at else -math.inf

    def rows(self, since: float) -> list[list[float | None]]:
        """Points after a time, oldest first: time and COLUMNS."""
        whole = len(self._at)
        order = range(self._next, self._next + whole) if whole == HISTORY_POINTS_MAX else range(whole)
        found: list[list[float | None]] = []
        for place in order:
            index = place % whole
            if self._at[index] > since:
                found.append([round(self._at[index], 3), *(_known(column[index]) for column in self._values)])
        return found


@dataclass(slots=True, kw_only=True)
class _Page:
    history: History = field(default_factory=History)
    values: dict[str, float] = field(default_factory=dict)
    raw: dict[str, Raw] = field(default_factory=dict)


class Logbook:
    """A page for each vehicle. Not for several threads. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pages: OrderedDict[str, _Page] = OrderedDict()

    def apply(self, seen: Sighting) -> None:
        """Takes in a reading of GPS or vehicle; others are not for this book."""
        if seen.payload is None:
            return
        page = self._pages.pop(seen.device_id, None) or _Page()
        self._pages[seen.device_id] = page
        while len(self._pages) > DEVICES_MAX:
            self._pages.popitem(last=False)
        now = self._clock()
        page.raw[seen.stream.name] = Raw(
            payload=seen.payload[:RAW_BYTES_MAX],
            size=len(seen.payload),
            at=now,
            time=seen.time,
            name=None if seen.boot is None else f"{seen.boot}.{seen.sequence}",
        )
        if seen.stream is VEHICLE:
            page.values.update(engine_values(seen.payload))
        elif VEHICLE.name not in page.raw and seen.shown is not None and seen.shown.get("speed") is not None:
            page.values["speed"] = seen.shown["speed"]
        if page.values and now - page.history.last_at >= HISTORY_INTERVAL_S:
            page.history.add(now, tuple(page.values.get(name, math.nan) for name in COLUMNS))

    def shown(self, device_id: str, since: float) -> dict[str, Any] | None:
        """The vehicle's points after a time, and its payloads explained; None for one that is not in the book."""
        page = self._pages.get(device_id)
        if page is None:
            return None
        return {
            "columns": ("at", *COLUMNS),
            "rows": page.history.rows(since),
            "keeps_s": round(HISTORY_POINTS_MAX * HISTORY_INTERVAL_S),
            "values": page.values,
            "raw": {name: _explained(name, raw) for name, raw in page.raw.items()},
        }


def _explained(stream: str, raw: Raw) -> dict[str, Any]:
    return {
        "at": round(raw.at, 3),
        "time": raw.time,
        "id": raw.name,
        "bytes": raw.size,
        "cut": raw.size > len(raw.payload),
        "lines": [line.shown() for line in _EXPLAINED[stream](raw.payload)],
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 2)
