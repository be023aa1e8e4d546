"""A fleet without its vehicle model: the simulator's own outbox, envelope and transport under constant payloads.

    python bare_fleet.py PORT STATE VEHICLES

What it costs is the floor beneath `smartcity-sim run --vehicles N --streams gps`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from smartcity.contracts.streams import GPS
from smartcity.sim.observation import Observation
from smartcity.sim.run import run
from smartcity.sim.settings import RunSettings, WorldSettings
from smartcity.sim.world.moment import HUNDREDTHS

PAYLOAD = (
    b"$GPRMC,120000.00,A,4327.84000,N,08031.24000,W,27.000,120.00,020326,,,A*5F\r\n"
    b"$GPGGA,120000.00,4327.84000,N,08031.24000,W,1,10,0.90,329.0,M,-36.2,M,,*5C\r\n" + b"x" * 330
)


@dataclass(slots=True)
class Constant:
    """Each device says the same in each second, at its own hundredth of it."""

    device_ids: Sequence[str]
    second: datetime
    said: int = 0
    """How many of the devices have spoken in this second."""
    arrivals: Sequence[tuple[str, str, datetime]] = ()
    finished: bool = False

    def observe(self, until: datetime) -> Iterator[Observation]:
        while (time := self.second + HUNDREDTHS[self.said * 100 // len(self.device_ids)]) <= until:
            yield Observation(
                device_id=self.device_ids[self.said], stream=GPS, time=time, payload=PAYLOAD,
                metadata='{"vehicle_type":"car"}',
            )  # fmt: skip
            self.said += 1
            if self.said == len(self.device_ids):
                self.second, self.said = self.second + timedelta(seconds=1), 0

    def skip(self, until: datetime) -> None:
        self.second, self.said = until, 0


def main() -> None:
    port, state, vehicles = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    names = [f"wt-veh-{number + 1:03d}" for number in range(vehicles)]
    settings = RunSettings(
        world=WorldSettings(routes=("waterloo-toronto",), vehicles=vehicles, streams=("gps",)),
        host="127.0.0.1", port=port, state=state, start=None, until="never", quiet=True,
    )  # fmt: skip
    outcome = run(settings, lambda _settings, start: Constant(names, start))
    print(json.dumps(outcome.summary))


if __name__ == "__main__":
    main()
