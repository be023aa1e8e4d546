"""The devices of the world: what each observes at a moment, written in its native format."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from smartcity.contracts import streams
from smartcity.contracts.streams import GPS, VEHICLE

from ..observation import Observation
from ..sensors import camera, emergency, gps, obd
from ..sensors import weather as weather_report
from .incidents import Step
from .moment import HUNDREDTHS, NMEA_HUNDREDTHS, Moment
from .noise import Noise
from .roadside import (
    CameraSite,
    StationSite,
    camera_metadata,
    scene_before,
    station_values,
)
from .route import Road
from .traffic import Traffic
from .vehicle import Vehicle
from .weather import Weather

_DEGREE_M = 111_200.0
_NOISE_M = 2.2
"""Largest receiver error to the north and to the east; it drifts within half a minute."""
_GEOID_M = {"wt": -36.2, "lb": 46.4}


class Device(Protocol):
    """Something that observes. Pure: observing changes nothing in the world."""

    @property
    def device_id(self) -> str: ...
    @property
    def hundredth(self) -> int:
        """When in a second it observes."""

    def observe(self, moment: Moment) -> Iterator[Observation]:
        """What it has to say in a second, in order of stream."""
        ...


class VehicleDevice:
    """A vehicle's receiver and its OBD-II adapter."""

    __slots__ = ("_fix", "_geoid_m", "_gps", "_gps_metadata", "_intervals", "_make", "_noise", "_obd", "_place", "_sky",
                 "device_id", "hundredth", "vehicle")  # fmt: skip

    def __init__(
        self, vehicle: Vehicle, *, sky: gps.Sky, noise: Noise, gps_s: int, obd_s: int, streams: Collection[str]
    ) -> None:
        self.vehicle = vehicle
        self.device_id = vehicle.name
        self.hundredth = vehicle.hundredth
        self._sky, self._noise = sky, noise
        self._intervals = (gps_s, obd_s)
        self._gps, self._obd = GPS.name in streams, VEHICLE.name in streams
        self._geoid_m = _GEOID_M[vehicle.road.prefix]
        model = vehicle.model
        self._gps_metadata = f'{{"vehicle_type":"{model.vehicle_type}"}}'
        self._make = f'"make":{json.dumps(model.make)},"model":{json.dumps(model.model)},"year":{vehicle.year}}}'
        self._place = (-1, "")
        self._fix: gps.Fix | None = None

    def due(self, seconds: int) -> bool:
        """Whether it has something to say: readings are spread over their interval by the vehicle's index."""
        phase = seconds + self.vehicle.index
        gps_s, obd_s = self._intervals
        if not self.vehicle.running:
            return False
        return (self._gps and phase % gps_s == 0) or (self._obd and phase % obd_s == 0)

    def observe(self, moment: Moment) -> Iterator[Observation]:
        phase = moment.seconds + self.vehicle.index
        gps_s, obd_s = self._intervals
        time = moment.time + HUNDREDTHS[self.hundredth]
        if phase % gps_s == 0 or self._fix is None:
            self._fix = self._receive(moment.seconds)
        if self._gps and phase % gps_s == 0:
            view = self._sky.view(moment.seconds, self.vehicle.index)
            yield Observation(
                device_id=self.device_id,
                stream=streams.GPS,
                time=time,
                payload=gps.burst(
                    self._fix, view, moment.nmea_time + NMEA_HUNDREDTHS[self.hundredth], moment.nmea_date
                ),
                metadata=self._gps_metadata,
            )
        if self._obd and phase % obd_s == 0:
            yield Observation(
                device_id=self.device_id,
                stream=streams.VEHICLE,
                time=time,
                payload=self._poll(),
                metadata=self._obd_metadata(self._fix),
            )

    def _receive(self, seconds: int) -> gps.Fix:
        """The receiver's idea of where it is. Its error drifts, and holds still while the vehicle stands."""
        vehicle = self.vehicle
        line, at = self._noise.line, vehicle.noise_at
        drift = vehicle.distance / 400.0
        latitude = vehicle.latitude + _NOISE_M / _DEGREE_M * line(at + drift)
        longitude = vehicle.longitude + 1.5 * _NOISE_M / _DEGREE_M * line(at + drift + 317.7)
        height, _ = vehicle.road.height(vehicle.distance)
        moving = vehicle.speed > 0.3
        return gps.Fix(
            latitude=latitude,
            longitude=longitude,
            altitude=height + 3.0 * line(at + drift / 2 + 711.1),
            speed=max(vehicle.speed + 0.06 * line(at + seconds / 3), 0.0) if moving else 0.0,
            course=(vehicle.road.headings[vehicle.piece] + 0.6 * line(at + seconds / 2 + 100.0)) % 360.0
            if moving
            else None,
            geoid_m=self._geoid_m,
        )

    def _poll(self) -> bytes:
        vehicle = self.vehicle
        engine = vehicle.engine
        return obd.poll(
            obd.Engine(
                load_percent=engine.load_percent,
                coolant_c=engine.coolant_c,
                rpm=engine.rpm,
                speed_kmh=vehicle.speed * 3.6,
                intake_c=engine.intake_c,
                maf_g_s=engine.maf_g_s,
                throttle_percent=engine.throttle_percent,
                run_time_s=engine.run_time_s,
                fuel_percent=engine.fuel_percent,
                trouble_codes=vehicle.trouble_codes,
            )
        )

    def _obd_metadata(self, fix: gps.Fix) -> str:
        """Compact JSON with sorted keys; `latitude` and `longitude` are those of the latest fix."""
        vehicle = self.vehicle
        if self._place[0] != vehicle.place:
            self._place = (vehicle.place, json.dumps(vehicle.road.places[vehicle.place][1]))
        course = "null" if fix.course is None else f"{fix.course:.2f}"
        return (
            f'{{"direction":{course},"fuel_type":"{vehicle.model.fuel_type}","latitude":{fix.latitude:.7f},'
            f'"location":{self._place[1]},"longitude":{fix.longitude:.7f},{self._make}'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraDevice:
    """A roadside camera."""

    hundredth: ClassVar[int] = 0
    site: CameraSite
    road: Road
    traffic: Traffic
    weather: Weather
    vehicles: Sequence[Vehicle]
    """Those of its route."""
    seed: int
    size: tuple[int, int]

    @property
    def device_id(self) -> str:
        return self.site.device_id

    def observe(self, moment: Moment) -> Iterator[Observation]:
        scene = scene_before(
            self.site,
            road=self.road,
            traffic=self.traffic,
            weather=self.weather,
            vehicles=self.vehicles,
            seed=self.seed,
            seconds=moment.seconds,
            size=self.size,
            utc=moment.rfc3339,
        )
        yield Observation(
            device_id=self.device_id,
            stream=streams.CAMERA,
            time=moment.time,
            payload=camera.snapshot(scene),
            metadata=camera_metadata(self.site, scene),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StationDevice:
    """A weather station."""

    hundredth: ClassVar[int] = 0
    site: StationSite
    traffic: Traffic
    weather: Weather
    seed: int

    @property
    def device_id(self) -> str:
        return self.site.device_id

    def observe(self, moment: Moment) -> Iterator[Observation]:
        conditions = self.weather.at(self.site.latitude, self.site.longitude, moment.seconds)
        demand = self.traffic.demand(moment.seconds)
        values = station_values(self.site, conditions, demand, self.seed, moment.seconds)
        yield Observation(
            device_id=self.device_id,
            stream=streams.WEATHER,
            time=moment.time,
            payload=weather_report.report(values, device_id=self.device_id, timestamp=moment.rfc3339),
            metadata=None,
        )


def responder_id(road: Road, number: int) -> str:
    """Device name of a responder, numbered from 1."""
    return f"{road.prefix}-resp-{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponderDevice:
    """A responder with one step of an incident to report."""

    hundredth: ClassVar[int] = 0
    road: Road
    step: Step

    @property
    def device_id(self) -> str:
        return responder_id(self.road, self.step.incident.responder)

    def observe(self, moment: Moment) -> Iterator[Observation]:
        incident = self.step.incident
        values = {
            "description": incident.description,
            "incident_id": incident.id,
            "latitude": incident.latitude,
            "location": incident.location,
            "longitude": incident.longitude,
            "severity": incident.severity,
            "status": self.step.status,
            "type": incident.type,
        }
        yield Observation(
            device_id=self.device_id,
            stream=streams.EMERGENCY,
            time=moment.time,
            payload=emergency.report(values, device_id=self.device_id, timestamp=moment.rfc3339),
            metadata=None,
        )
