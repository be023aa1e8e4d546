"""All that a run is told, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from smartcity.contracts.streams import STREAMS

from .device import WindowSettings
from .faults.plan import Plan
from .outbox import OutboxLimits
from .transport.fleet import FleetSettings
from .transport.paho import PahoSettings

Until = Literal["arrived", "never"] | datetime

Confirm = Literal["receipt", "puback"]
"""What lets a device forget a reading: the bridge's receipt, or, with a broker that has no bridge, its PUBACK."""


TransportKind = Literal["auto", "paho", "fleet"]
"""Which MQTT client carries the readings; `auto` decides by the number of devices."""

STREAM_NAMES = tuple(stream.name for stream in STREAMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSettings:
    """What makes a world the one it is, beside its start. The same values and start give the same readings."""

    seed: int = 1
    routes: tuple[str, ...]
    vehicles: int = 1
    """Per route."""
    frame_interval_s: int = 60
    """Simulated seconds between a camera's frames."""
    weather_interval_s: int = 60
    circulate: bool = False
    """Vehicles that have arrived depart again."""
    streams: tuple[str, ...] = STREAM_NAMES
    """What is observed; devices that emit none of it are not there."""
    departures_s: int = 300
    """All vehicles depart within so many simulated seconds of the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Settings of `smartcity-sim run`."""

    world: WorldSettings
    host: str
    port: int
    identity: Path | None = None
    """A bundle, or a folder of bundles: TLS, and only these devices. None: plain TCP, and all devices."""
    state: Path
    start: datetime | None
    """None: what the state directory's world says, or a default that lies far enough in the past."""
    speed: float = 1.0
    until: Until = "arrived"
    duration_s: float | None = None
    """Simulated seconds after which to end, from where this process begins."""
    confirm: Confirm = "receipt"
    drain_timeout_s: float = 60.0
    stop_drain_timeout_s: float = 3.0
    """The drain after SIGTERM: what is still pending stays in the outbox."""
    quiet: bool = False
    metrics: tuple[str, int] | None = None
    """Where Prometheus is answered; None: nowhere."""
    limits: OutboxLimits = field(default_factory=OutboxLimits)
    window: WindowSettings = field(default_factory=WindowSettings)
    faults: Plan | None = None
    transport: TransportKind = "auto"
    paho: PahoSettings = field(default_factory=PahoSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
