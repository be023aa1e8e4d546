"""An MQTT message with the time at which it was received: what every format holds and every command passes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from .errors import DamageError

DAMAGES_SHOWN_MAX = 20


class Message(NamedTuple):
    """A tuple, since one is made for every message that passes, at a third of a dataclass's price."""

    time_ns: int
    """When it was received: nanoseconds since 1970, UTC."""
    topic: str
    qos: int
    retain: bool
    properties: bytes
    """MQTT 5 properties as on the wire (2.2.2.2), without their length; empty for MQTT 3.1.1."""
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A place in a capture that could not be read."""

    position: str
    """`line 7, byte 1234`, or `byte 1234`."""
    what: str

    def __str__(self) -> str:
        return f"{self.position}: {self.what}"


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a reader could not give. Everything else of the capture is given all the same.

    `skipped` counts what was left out by its nature, such as packets that are no PUBLISH; `damages` is what is broken.
    """

    strict: bool = False
    """Raise at the first damage instead of noting it."""
    damages: list[Damage] = field(default_factory=list)
    """The first DAMAGES_SHOWN_MAX of them."""
    damages_total: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def damage(self, position: str, what: str) -> None:
        """Note it.

        Raises:
            DamageError: the capture is read strictly.
        """
        found = Damage(position=position, what=what)
        if self.strict:
            raise DamageError(str(found))
        self.damages_total += 1
        if len(self.damages) < DAMAGES_SHOWN_MAX:
            self.damages.append(found)

    def clear(self) -> None:
        """As before reading."""
        self.damages.clear()
        self.damages_total = 0
        self.skipped.clear()
        self.notes.clear()

    def lines(self) -> list[str]:
        """For people."""
        said = [f"damaged at {damage}" for damage in self.damages]
        if self.damages_total > len(self.damages):
            said.append(f"damaged at {self.damages_total - len(self.damages)} places more")
        said += [f"left out: {count} {what}" for what, count in sorted(self.skipped.items())]
        return said + self.notes
