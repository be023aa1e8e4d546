"""What a person sees while it runs, and the summary that a script reads at the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from smartcity.contracts.envelope import format_time
from smartcity.contracts.routes import locate
from smartcity.contracts.streams import STREAMS

from .courier import Counts, Courier
from .source import Source

INTERVAL_S = 3.0
_VEHICLES_SHOWN = 4


class Progress:
    """One line every few seconds, at once when a vehicle arrives."""

    def __init__(
        self,
        *,
        source: Source,
        courier: Courier,
        monotonic: Callable[[], float],
        quiet: bool,
        out: TextIO = sys.stderr,
    ) -> None:
        self._source = source
        self._courier = courier
        self._monotonic = monotonic
        self._quiet = quiet
        self._out = out
        self._next = monotonic()
        self._arrivals = 0

    def __call__(self) -> None:
        if self._quiet:
            return
        arrivals = self._source.world.arrivals
        for device_id, route, when in arrivals[self._arrivals :]:
            self._say(f"{device_id} has arrived: {route}, {_clock(when)}")
        self._arrivals = len(arrivals)
        now = self._monotonic()
        if now >= self._next:
            self._next = now + INTERVAL_S
            self._say(self.line())

    def line(self) -> str:
        """One line: simulated time, vehicles, and where the readings are."""
        counts = self._courier.counts()
        source = self._source
        lag = f" ({source.lag_s:.0f} s behind)" if source.lag_s > 120 and not source.done else ""
        parts = [
            f"{_clock(source.reached)}{lag}",
            self._vehicles_part(),
            f"generated {counts.generated.total():,}",
            f"confirmed {counts.confirmed:,}",
            f"pending {counts.pending:,}",
        ]
        parts += [
            f"{name} {count:,}" for name, count in (("refused", counts.refused), ("dropped", counts.dropped)) if count
        ]
        if counts.connected < len(self._courier.boots):
            parts.append(f"connected {counts.connected}/{len(self._courier.boots)}")
        return " · ".join(part for part in parts if part)

    def _vehicles_part(self) -> str:
        latest = sorted(self._source.latest.items())
        places = [f"{device_id} {_place(metadata)}" for device_id, metadata in latest[:_VEHICLES_SHOWN]]
        more = f" and {len(latest) - _VEHICLES_SHOWN} more" if len(latest) > _VEHICLES_SHOWN else ""
        return ", ".join(places) + more

    def _say(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def summary(
    *, counts: Counts, source: Source, boots: dict[str, str], state: Path, start: datetime, ending: str
) -> dict[str, Any]:
    """The JSON document of `--json`. Counts are of this process, `pending` is what the outbox still holds."""
    return {
        "ending": ending,
        "generated": {stream.name: counts.generated[stream.name] for stream in STREAMS},
        "published": counts.published,
        "confirmed": counts.confirmed,
        "pending": counts.pending,
        "refused": counts.refused,
        "dropped": counts.dropped,
        "faults": dict(sorted(counts.faults.items())),
        "arrivals": [
            {"device": device, "route": route, "time": format_time(when)}
            for device, route, when in source.world.arrivals
        ],
        "start": format_time(start),
        "simulated_until": format_time(source.reached.replace(microsecond=0)),
        "state": str(state.resolve()),
        "boots": boots,
    }


def _clock(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S")


def _place(metadata: str) -> str:
    """Distance from the route's origin, of the fix in an OBD reading's metadata."""
    try:
        fix = json.loads(metadata)
        located = locate(fix["latitude"], fix["longitude"])
    except (ValueError, KeyError, TypeError):
        return "somewhere"
    return "off the road" if located is None else f"km {located[1]:.1f}"
