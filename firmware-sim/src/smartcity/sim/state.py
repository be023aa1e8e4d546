"""The state directory: whose it is, and which world lives in it.

`<state>/lock` is held (flock) by the running process; `<state>/world.json` names the world and ties its time to the
wall clock, so that a restarted process resumes at the world's current time; `<state>/outbox.db` is the outbox.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from smartcity.contracts.envelope import EnvelopeError, format_time, parse_time

from .clock import Anchor, default_start
from .errors import StateError
from .settings import WorldSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedWorld:
    """What `world.json` holds. `start` is the world's own; `anchor` ties a later moment of it to the wall clock."""

    settings: WorldSettings
    start: datetime
    anchor: Anchor
    finished: bool = False

    def encode(self) -> str:
        return json.dumps(
            {
                "settings": dataclasses.asdict(self.settings),
                "start": format_time(self.start),
                "anchor": {
                    "simulated": format_time(self.anchor.start),
                    "wall": format_time(self.anchor.wall),
                    "speed": self.anchor.speed,
                },
                "finished": self.finished,
            },
            indent=2,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """The world to run, whether it already ran before, and in words why."""

    world: SavedWorld
    resumed: bool
    explanation: str


class StateDirectory:
    """An opened and locked state directory.

    Raises:
        StateError: it cannot be made or written, or another process uses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _lock(path)

    @property
    def outbox_path(self) -> Path:
        return self.path / "outbox.db"

    @property
    def world_path(self) -> Path:
        return self.path / "world.json"

    def load(self) -> SavedWorld | None:
        """The saved world, if there is one.

        Raises:
            StateError: the file is damaged.
        """
        try:
            return _decode(json.loads(self.world_path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, EnvelopeError, OSError) as error:
            raise StateError(
                f"cannot read {self.world_path}: {error}. Remove this file to begin a new world (the outbox stays)"
            ) from error

    def save(self, world: SavedWorld) -> None:
        """Replaces `world.json` in one step.

        Raises:
            StateError: it cannot be written.
        """
        draft = self.world_path.with_suffix(".json.new")
        try:
            draft.write_text(world.encode() + "\n", encoding="utf-8")
            draft.replace(self.world_path)
        except OSError as error:
            raise StateError(f"cannot write {self.world_path}: {error.strerror}") from error

    def close(self) -> None:
        self._lock.close()


def resume(
    saved: SavedWorld | None, *, settings: WorldSettings, start: datetime | None, speed: float, wall: datetime
) -> Resumption:
    """The world to run: the saved one if it is the one asked for and goes on, otherwise a new one."""
    if saved is None:
        return _begin(settings, start, speed, wall, "a new world")
    if saved.settings != settings or (start is not None and start != saved.start):
        return _begin(
            settings, start, speed, wall, "a new world: seed, start or settings differ from those of the saved one"
        )
    if saved.finished and start is None:
        return _begin(settings, start, speed, wall, "a new world: in the saved one all vehicles have arrived")
    if saved.anchor.speed == speed:
        return Resumption(world=saved, resumed=True, explanation="the saved world goes on")
    now = max(saved.start, saved.anchor.simulated(wall))
    again = dataclasses.replace(saved, anchor=Anchor(start=now, wall=wall, speed=speed))
    return Resumption(world=again, resumed=True, explanation=f"the saved world goes on, now at speed {speed:g}")


def _begin(
    settings: WorldSettings, start: datetime | None, speed: float, wall: datetime, explanation: str
) -> Resumption:
    begin = start or default_start(wall, speed)
    # Without a start of its own and at speed 1, simulated time is real time, not up to a second behind it.
    tied = begin if start is None and speed == 1 else wall
    world = SavedWorld(settings=settings, start=begin, anchor=Anchor(start=begin, wall=tied, speed=speed))
    return Resumption(world=world, resumed=False, explanation=explanation)


def _decode(document: dict[str, Any]) -> SavedWorld:
    settings = dict(document["settings"])
    for name in ("routes", "streams"):
        if name in settings:
            settings[name] = tuple(settings[name])
    anchor = document["anchor"]
    return SavedWorld(
        settings=WorldSettings(**settings),
        start=parse_time("start", document["start"]),
        anchor=Anchor(
            start=parse_time("anchor.simulated", anchor["simulated"]),
            wall=parse_time("anchor.wall", anchor["wall"]),
            speed=float(anchor["speed"]),
        ),
        finished=bool(document["finished"]),
    )


def _lock(path: Path) -> IO[str]:
    lock_path = path / "lock"
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = lock_path.open("a+", encoding="utf-8")
    except OSError as error:
        raise StateError(
            f"cannot use the state directory {path}: {error.strerror}. Choose a writable one with --state"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise StateError(
            f"the state directory {path} is in use by process {holder}: stop that, or choose another --state"
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
