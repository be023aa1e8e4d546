"""What the lake holds, as tables. Who reads it, and from where, is `lake.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of the boots asked for: rows by stream, dead letters, and the frames that the camera's rows name.

    Schemas: `arrow.lake_schema`, `arrow.dead_letter_schema`, `arrow.FRAMES` (null hash: no such object).
    """

    rows: dict[str, Any]
    dead_letters: Any
    frames: Any
    heads: Any
    """`arrow.HEADS`, read from the devices' logs after the lake: a row beyond them was invented."""
