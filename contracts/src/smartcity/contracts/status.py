"""A device's retained status: birth when it connects, a report every ten seconds, `offline` as its last will."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

REPORT_INTERVAL_S = 10


class StatusError(ValueError):
    """The payload is not a status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Counts are of this boot. `sequence` is the last one generated, so that gaps show without its log."""

    state: Literal["online", "offline"]
    boot: str
    sequence: int
    pending: int = 0
    refused: int = 0
    dropped: int = 0
    time: str = ""
    """Wall clock of the report, RFC 3339; empty in a last will, which is written before the connection breaks."""

    def encode(self) -> bytes:
        # Not `asdict`, which copies what it finds, at twice the cost of all the rest: a fleet reports all the time.
        document = {name: getattr(self, name) for name in _MEMBERS}
        return json.dumps(document, separators=(",", ":")).encode()


_MEMBERS = tuple(field.name for field in dataclasses.fields(Status))


def decode_status(payload: bytes) -> Status:
    """A status. Unknown members are ignored, so that newer devices may say more.

    Raises:
        StatusError: not JSON or not of the shape above.
    """
    try:
        document = json.loads(payload)
        known = {name: document[name] for name in _MEMBERS if name in document}
        status = Status(**known)
    except (ValueError, TypeError) as error:
        raise StatusError(str(error)) from error
    if status.state not in ("online", "offline"):
        raise StatusError(f"state is {status.state!r}, not online or offline")
    if not isinstance(status.boot, str) or not isinstance(status.time, str):
        raise StatusError("boot and time must be strings")
    for name in ("sequence", "pending", "refused", "dropped"):
        if type(getattr(status, name)) is not int or getattr(status, name) < 0:
            raise StatusError(f"{name} is {getattr(status, name)!r}, not a count")
    return status
