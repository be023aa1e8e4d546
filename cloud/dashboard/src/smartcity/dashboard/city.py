"""The city as last seen: one writer applies sightings, pages ask for what changed since a version."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from smartcity.contracts.streams import CAMERA, EMERGENCY, GPS, STREAMS, VEHICLE, WEATHER

from .observe import Presence, Sighting
from .presence import Roll
from .settings import DEVICES_MAX, FRAMES_BYTES_MAX, INCIDENTS_MAX

_KIND_OF_STREAM = {
    GPS.name: "vehicles",
    VEHICLE.name: "vehicles",
    CAMERA.name: "cameras",
    WEATHER.name: "weather",
    EMERGENCY.name: "incidents",
}
KINDS = ("vehicles", "cameras", "weather", "incidents")
_WHERE = ("latitude", "longitude", "speed", "direction")


@dataclass(slots=True, kw_only=True)
class _Thing:
    """A vehicle, camera, station or incident: its members, the version that last changed each, the newest of them."""

    shown: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    version: int = 0

    def after(self, since: int) -> dict[str, Any]:
        return {name: value for name, value in self.shown.items() if self.versions[name] > since}


class City:
    """State behind the page. Not for several threads. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.version = 1
        """0 is the version of a page that knows nothing."""
        self.roll = Roll(clock)
        self._clock = clock
        self._things: dict[str, OrderedDict[str, _Thing]] = {kind: OrderedDict() for kind in KINDS}
        """Each in the order of their last change."""
        self._frames: OrderedDict[str, bytes] = OrderedDict()
        self._frames_bytes = 0
        self._latest: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()
        self.counts = {stream.name: 0 for stream in STREAMS}
        self.unreadable = {stream.name: 0 for stream in STREAMS}
        self._time: str | None = None

    def apply(self, seen: Sighting | Presence) -> bool:
        """Takes in what was seen; whether it is news. Sequences that go back within a boot (re-sent readings) are
        counted, not shown."""
        self.version += 1
        if isinstance(seen, Presence):
            if self.roll.apply(seen) and seen.device_id in self._things["vehicles"]:
                self._change("vehicles", seen.device_id, {"state": seen.status.state})
            return True
        self.counts[seen.stream.name] += 1
        if seen.shown is None:
            self.unreadable[seen.stream.name] += 1
            return True
        is_news = self._is_news(seen)
        if is_news:
            self._show(seen, seen.shown)
        return is_news

    def changes(self, since: int) -> dict[str, Any]:
        """The members that changed after a version, by kind and name; with 0, everything. Ready for JSON."""
        changed: dict[str, Any] = {}
        for kind, things in self._things.items():
            found = {}
            for name in reversed(things):
                if things[name].version <= since:
                    break
                found[name] = things[name].after(since)
            if found or since == 0:
                changed[kind] = found
        return changed | {"full": since == 0, "version": self.version, "now": round(self._clock(), 3)}

    def sums(self) -> dict[str, Any]:
        """Counts since the start, the newest event time, and the devices' states. Ready for JSON."""
        return {
            "time": self._time,
            "counts": dict(self.counts),
            "unreadable": dict(self.unreadable),
            "devices": self.roll.sums(),
        }

    def sizes(self) -> dict[str, int]:
        """How many things of each kind are remembered."""
        return {kind: len(things) for kind, things in self._things.items()}

    def thing(self, kind: str, name: str) -> dict[str, Any] | None:
        """What is shown of one."""
        found = self._things[kind].get(name)
        return None if found is None else dict(found.shown)

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
        self._time = seen.time or self._time
        if seen.stream is VEHICLE:
            self._change(kind, name, shown)
            return
        now = dict(shown)
        if seen.stream is GPS:
            # Without a fix it stays where it was last seen, and is not seen again.
            now["fix"] = shown["latitude"] is not None
            if not now["fix"]:
                for each in _WHERE:
                    now.pop(each)
                self._change(kind, name, now)
                return
        else:
            now["time"] = seen.time
        if seen.frame is not None:
            self._keep_frame(seen.device_id, seen.frame)
            now["frame"] = self.version
        now["seen"] = round(self._clock(), 3)
        if seen.sent_ms is not None:
            now["sent"] = seen.sent_ms
        self._change(kind, name, now)

    def _change(self, kind: str, name: str, members: dict[str, Any]) -> None:
        """Sets members; those that are as they were count as unchanged."""
        things = self._things[kind]
        thing = things.get(name)
        if thing is None:
            thing = things[name] = _Thing()
            heard = self.roll.of(name) if kind == "vehicles" else None
            if heard is not None:
                members = {"state": heard.status.state, **members}
            _shrink(things, INCIDENTS_MAX if kind == "incidents" else DEVICES_MAX)
        for member, value in members.items():
            if member not in thing.shown or thing.shown[member] != value:
                thing.shown[member] = value
                thing.versions[member] = thing.version = self.version
        if thing.version == self.version:
            things.move_to_end(name)

    def _keep_frame(self, device_id: str, frame: bytes) -> None:
        self._frames_bytes += len(frame) - len(self._frames.pop(device_id, b""))
        self._frames[device_id] = frame
        while self._frames_bytes > FRAMES_BYTES_MAX and len(self._frames) > 1:
            self._frames_bytes -= len(self._frames.popitem(last=False)[1])


def _shrink(things: OrderedDict[Any, Any], limit: int) -> None:
    """Forgets the longest unchanged beyond the limit."""
    while len(things) > limit:
        things.popitem(last=False)
