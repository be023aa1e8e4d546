"""Native payloads beside their meaning: a line as the device wrote it, and what each piece of it says. Pure types."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

LINES_MAX = 40
"""Lines of one payload that are explained; a burst of one second has about nine, a poll ten."""
LINE_CHARACTERS_MAX = 200
PIECES_MAX = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a line: its characters, what they are, and the value they say."""

    raw: str
    name: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A sentence or an answer. `trouble` says why it cannot be read."""

    text: str
    title: str
    pieces: tuple[Piece, ...] = ()
    trouble: str | None = None

    def shown(self) -> dict[str, Any]:
        return asdict(self)
