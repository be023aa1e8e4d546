"""The city as last seen: one writer applies sightings, pages ask for what changed since a version."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smartcity.contracts.streams import CAMERA, EMERGENCY, GPS, STREAMS, VEHICLE, WEATHER

from .observe import Presence, Sighting
from .settings import DEVICES_MAX, FRAMES_BYTES_MAX, INCIDENTS_MAX

_KIND_OF_STREAM = {
    GPS.name: "vehicles",
    VEHICLE.name: "vehicles",
    CAMERA.name: "cameras",
    WEATHER.name: "weather",
    EMERGENCY.name: "incidents",
}
KINDS = ("vehicles", "cameras", "weather", "incidents")


@dataclass(slots=True, kw_only=True)
class _Thing:
    """A vehicle, camera, station or incident: what the page shows of it, and the version that changed it."""

    shown: dict[str, Any]
    version: int


class City:
    """State behind the page. Not for several threads. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.version = 0
        self._clock = clock
        self._things: dict[str, OrderedDict[str, _Thing]] = {kind: OrderedDict() for kind in KINDS}
        self._frames: OrderedDict[str, bytes] = OrderedDict()
        self._frames_bytes = 0
        self._latest: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()
        self._presence: OrderedDict[str, Presence] = OrderedDict()
        self.counts = {stream.name: 0 for stream in STREAMS}
        self.unreadable = {stream.name: 0 for stream in STREAMS}
        self._time: str | None = None

    def apply(self, seen: Sighting | Presence) -> None:
        """Takes in what was seen. Sequences that go back within a boot (re-sent readings) are counted, not shown."""
        self.version += 1
        if isinstance(seen, Presence):
            self._presence[seen.device_id] = seen
            _shrink(self._presence, DEVICES_MAX)
            return
        self.counts[seen.stream.name] += 1
        if seen.shown is None:
            self.unreadable[seen.stream.name] += 1
        elif self._is_news(seen):
            self._show(seen, seen.shown)

    def changes(self, since: int) -> dict[str, Any]:
        """Everything that changed after a version, and the sums; with 0, everything. Ready for JSON."""
        changed: dict[str, Any] = {
            kind: {name: thing.shown for name, thing in things.items() if thing.version > since}
            for kind, things in self._things.items()
        }
        statuses = [presence.status for presence in self._presence.values()]
        return changed | {
            "full": since == 0,
            "version": self.version,
            "now": self._clock(),
            "time": self._time,
            "counts": dict(self.counts),
            "unreadable": dict(self.unreadable),
            "devices": {
                "online": sum(status.state == "online" for status in statuses),
                "offline": sum(status.state == "offline" for status in statuses),
                "pending": sum(status.pending for status in statuses),
                "refused": sum(status.refused for status in statuses),
                "dropped": sum(status.dropped for status in statuses),
            },
        }

    def sizes(self) -> dict[str, int]:
        """How many things of each kind are remembered."""
        return {kind: len(things) for kind, things in self._things.items()}

    def frame(self, device_id: str) -> bytes | None:
        """A camera's last JPEG."""
        return self._frames.get(device_id)

    def _is_news(self, seen: Sighting) -> bool:
        if seen.boot is None:
            return True
        key = (seen.device_id, seen.stream.name)
        boot, sequence = self._latest.pop(key, ("", 0))
        is_news = boot != seen.boot or seen.sequence > sequence
        self._latest[key] = (seen.boot, seen.sequence) if is_news else (boot, sequence)
        _shrink(self._latest, len(STREAMS) * DEVICES_MAX)
        return is_news

    def _show(self, seen: Sighting, shown: dict[str, Any]) -> None:
        kind = _KIND_OF_STREAM[seen.stream.name]
        name = str(shown.get("incident_id", "")) if kind == "incidents" else seen.device_id
        if not name:
            return
        things = self._things[kind]
        before = things.pop(name).shown if name in things else {}
        now = {**before, **shown, "device_id": seen.device_id, "time": seen.time, "seen": self._clock()}
        if seen.frame is not None:
            self._keep_frame(seen.device_id, seen.frame)
            now["frame"] = self.version
        things[name] = _Thing(shown=now, version=self.version)
        _shrink(things, INCIDENTS_MAX if kind == "incidents" else DEVICES_MAX)
        self._time = seen.time or self._time

    def _keep_frame(self, device_id: str, frame: bytes) -> None:
        self._frames_bytes += len(frame) - len(self._frames.pop(device_id, b""))
        self._frames[device_id] = frame
        while self._frames_bytes > FRAMES_BYTES_MAX and len(self._frames) > 1:
            self._frames_bytes -= len(self._frames.popitem(last=False)[1])


def _shrink(things: OrderedDict[Any, Any], limit: int) -> None:
    """Forgets the longest unchanged beyond the limit."""
    while len(things) > limit:
        things.popitem(last=False)
