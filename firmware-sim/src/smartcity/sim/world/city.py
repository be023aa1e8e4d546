"""The city: one seeded world, observed by many devices.

Same settings, same observations: payloads, event times and order. The world advances in whole seconds of its own time;
within a second, each vehicle observes at its own hundredth, so that a fleet does not speak in chorus. It knows no wall
clock. Everything random comes from generators seeded with `<seed>:<purpose>`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from smartcity.contracts import streams
from smartcity.contracts.streams import STREAMS

from ..observation import Observation
from ..sensors.gps import Sky
from .devices import CameraDevice, Device, ResponderDevice, StationDevice, VehicleDevice, responder_id
from .incidents import RESPONDERS, Incidents
from .moment import HUNDREDTHS, Moment, moment
from .noise import Noise
from .roadside import camera_sites, station_sites
from .route import Road, road
from .traffic import Traffic
from .vehicle import Vehicle, stand_by
from .weather import Weather

_HEADWAY_S = 25
_LAYOVER_S = (60, 240)


@dataclass(frozen=True, slots=True, kw_only=True)
class CitySettings:
    """What a world is made of. The same settings make the same world."""

    seed: int
    start: datetime
    """First moment, UTC (aware); cut to whole seconds."""
    routes: tuple[str, ...]
    vehicles: int
    """Per route."""
    gps_interval_s: int = 1
    obd_interval_s: int = 1
    frame_interval_s: int = 60
    weather_interval_s: int = 60
    frame_width: int = 480
    frame_height: int = 270
    circulate: bool = False
    """Vehicles that have arrived depart again from the origin, on a new journey."""
    streams: tuple[str, ...] = tuple(stream.name for stream in STREAMS)
    """What is observed. The world goes on the same, whatever is."""
    departures_s: int = 300
    """All vehicles depart within this time of the start."""


class Arrival(NamedTuple):
    """A vehicle reached its destination."""

    device_id: str
    route: str
    time: datetime


class _Way:
    """A road and all that moves or happens on it."""

    def __init__(self, name: str, settings: CitySettings, weather: Weather, start: int) -> None:
        self.road: Road = road(name)
        self.cameras = camera_sites(self.road)
        self.incidents = Incidents(
            self.road, seed=settings.seed, start=start, watched=tuple(camera.distance_m for camera in self.cameras)
        )
        self.traffic = Traffic(self.road, seed=settings.seed, incidents=self.incidents)
        self.vehicles = []
        # Evenly over the second, and neighbours together: in random order a fleet cost an eighth more, for its caches.
        shift = random.Random(f"{settings.seed}:hundredth:{name}").randrange(100)
        for index in range(settings.vehicles):
            device_id = f"{self.road.prefix}-veh-{index + 1:03d}"
            jitter = random.Random(f"{settings.seed}:departure:{device_id}").randrange(15) if index else 0
            vehicle = Vehicle(
                name=device_id,
                index=index,
                road=self.road,
                traffic=self.traffic,
                weather=weather,
                seed=settings.seed,
                depart_at=start + (index * _HEADWAY_S + jitter) % settings.departures_s,
                hundredth=(shift + index * 100 // settings.vehicles) % 100,
                engine_read=streams.VEHICLE.name in settings.streams,
            )
            vehicle.on_break_down = stand_by(self.incidents)
            self.vehicles.append(vehicle)


class City:
    """One shared world. `observe` advances it and yields what its devices see; `skip` only advances it."""

    def __init__(self, settings: CitySettings) -> None:
        """
        Raises:
            KeyError: a route is unknown.
            ValueError: `start` has no time zone.
        """
        if settings.start.tzinfo is None:
            raise ValueError(f"start {settings.start.isoformat()} has no time zone: give it in UTC")
        self.settings = settings
        self.arrivals: list[Arrival] = []
        """Grows as the world advances."""
        start = int(settings.start.timestamp())
        self._moment: Moment = moment(start - 1)
        self._weather = Weather(settings.seed)
        self._ways = [_Way(name, settings, self._weather, start) for name in sorted(set(settings.routes))]
        self._arrived: set[str] = set()
        self._count = sum(len(way.vehicles) for way in self._ways)
        self._due: deque[Device] = deque()
        self._ready: deque[Observation] = deque()
        self._timetable: dict[tuple[int, int], list[Device]] = {}
        self._intervals = sorted({settings.frame_interval_s, settings.weather_interval_s})
        self._vehicles = self._install()

    @property
    def device_ids(self) -> tuple[str, ...]:
        """Every device of this world, in order."""
        sites = [device.device_id for devices in self._timetable.values() for device in devices]
        responders = [
            responder_id(way.road, number + 1)
            for way in self._ways
            for number in range(RESPONDERS)
            if streams.EMERGENCY.name in self.settings.streams
        ]
        return tuple(sorted([*(device.device_id for device in self._vehicles), *sites, *responders]))

    @property
    def time(self) -> datetime:
        """The begin of the second to which the world has advanced (one before `start` at first)."""
        return self._moment.time

    @property
    def finished(self) -> bool:
        """Every vehicle has arrived at least once."""
        return len(self._arrived) == self._count

    def observe(self, until: datetime) -> Iterator[Observation]:
        """Every observation up to a time (inclusive) that was not yielded before, in order of (time, device, stream).

        Lazy: the world advances as the iterator is consumed, and one that is abandoned loses nothing.
        """
        last = int(until.timestamp())
        while self._moment.seconds <= last:
            while self._ready:
                yield self._ready.popleft()
            if self._due_by(until):
                self._ready.extend(self._due.popleft().observe(self._moment))
            elif self._moment.seconds < last:
                self._advance(observed=True)
            else:
                return

    def _due_by(self, until: datetime) -> bool:
        """Whether a device observes in this second, up to this time."""
        return bool(self._due) and self._moment.time + HUNDREDTHS[self._due[0].hundredth] <= until

    def skip(self, until: datetime) -> None:
        """Advance to a time without payloads: what is later observed is the same as if nothing had been skipped.

        Observations up to and including `until` that were not yielded are given up.
        """
        last = int(until.timestamp())
        if last < self._moment.seconds:
            return
        self._ready.clear()
        if self._moment.seconds < last:
            self._due.clear()
        while self._moment.seconds < last:
            self._advance(observed=self._moment.seconds == last - 1)
        while self._due_by(until):
            self._due.popleft()

    def _install(self) -> list[VehicleDevice]:
        """Set up every device; sites report at a second of their interval that the seed decides."""
        settings, sky = self.settings, Sky(self.settings.seed)
        noise = Noise(f"{settings.seed}:receiver")
        size = (settings.frame_width, settings.frame_height)
        vehicle_streams = {streams.GPS.name, streams.VEHICLE.name}
        vehicles = []
        for way in self._ways:
            for camera in way.cameras if streams.CAMERA.name in settings.streams else ():
                device = CameraDevice(
                    site=camera,
                    road=way.road,
                    traffic=way.traffic,
                    weather=self._weather,
                    vehicles=way.vehicles,
                    seed=settings.seed,
                    size=size,
                )
                self._schedule(device, settings.frame_interval_s)
            for site in station_sites(way.road) if streams.WEATHER.name in settings.streams else ():
                station = StationDevice(site=site, traffic=way.traffic, weather=self._weather, seed=settings.seed)
                self._schedule(station, settings.weather_interval_s)
            vehicles += [
                VehicleDevice(
                    vehicle,
                    sky=sky,
                    noise=noise,
                    gps_s=settings.gps_interval_s,
                    obd_s=settings.obd_interval_s,
                    streams=settings.streams,
                )
                for vehicle in way.vehicles
                if not vehicle_streams.isdisjoint(settings.streams)
            ]
        return sorted(vehicles, key=_name)

    def _schedule(self, device: Device, interval_s: int) -> None:
        second = random.Random(f"{self.settings.seed}:schedule:{device.device_id}").randrange(interval_s)
        self._timetable.setdefault((interval_s, second), []).append(device)

    def _advance(self, *, observed: bool) -> None:
        """One second: incidents, then vehicles, then who has something to say."""
        seconds = self._moment.seconds + 1
        self._moment = now = moment(seconds)
        due: list[Device] = []
        for way in self._ways:
            steps = way.incidents.advance(seconds)
            if streams.EMERGENCY.name in self.settings.streams:
                due += [ResponderDevice(road=way.road, step=step) for step in steps]
            for vehicle in way.vehicles:
                if vehicle.running:
                    if vehicle.speed == 0.0 and vehicle.arrived:
                        self._park(vehicle, seconds)
                    elif vehicle.step(seconds):
                        vehicle.arrived = True
                        self._arrived.add(vehicle.name)
                        self.arrivals.append(
                            Arrival(vehicle.name, way.road.name, now.time + HUNDREDTHS[vehicle.hundredth])
                        )
                elif seconds == vehicle.depart_at:
                    vehicle.depart(seconds)
        if not observed:
            return
        due += [device for device in self._vehicles if device.due(seconds)]
        for interval in self._intervals:
            due += self._timetable.get((interval, seconds % interval), ())
        due.sort(key=_order)
        self._due.extend(due)

    def _park(self, vehicle: Vehicle, seconds: int) -> None:
        vehicle.running = False
        if self.settings.circulate:
            pause = random.Random(f"{self.settings.seed}:layover:{vehicle.name}:{seconds}")
            vehicle.depart_at = seconds + pause.randint(*_LAYOVER_S)


def _name(device: Device) -> str:
    return device.device_id


def _order(device: Device) -> tuple[int, str]:
    return device.hundredth, device.device_id
