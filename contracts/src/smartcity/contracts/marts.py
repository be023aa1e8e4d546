"""The marts: small Parquet tables that are built from the lake, one file per day. What each row is, and its columns.

Redshift's tables, the Glue catalog's, QuickSight's data sets and the documentation are rendered from these classes;
`smartcity.lake.marts` holds how each is computed, and refuses to write anything else than what stands here.

A row belongs to the UTC day of its mart's `time_column`, whatever else of it happened later. Times in a column whose
name ends in `slot_at` are the start of an interval, which its end does not belong to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from .fields import Column, columns, nullable, required
from .streams import FUEL_TYPES, INCIDENT_STATUSES, INCIDENT_TYPES, VEHICLE_TYPES, WEATHER_CONDITIONS

MARTS_PREFIX = "marts"
"""Key prefix in the lake's bucket. Nothing but marts lies under it, so a crawler may read all of it."""

PARTITION_COLUMN = "dt"
"""The day, as `YYYY-MM-DD`. It stands in the key, not in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """One drive of one vehicle: from the start of its engine (OBD PID 1F), or after five minutes of silence, to the
    next such moment. It belongs to the day on which it starts, and is followed to the end of the next day.
    """

    device_id: str = required("The vehicle's device", carrier="lake", length_max=32)
    started_at: datetime = required("Its first reading", unit="UTC", carrier="lake")
    ended_at: datetime = required("Its last reading", unit="UTC", carrier="lake")
    duration_s: float = required("From the first to the last reading", unit="s", carrier="lake", minimum=0)
    route: str | None = nullable("Route of most of its GPS readings", carrier="lake", length_max=40)
    start_route_km: float | None = nullable("First known distance along a route", unit="km", carrier="lake")
    end_route_km: float | None = nullable("Last known distance along a route", unit="km", carrier="lake")
    start_latitude: float | None = nullable("Latitude of its first fix", unit="°", carrier="lake")
    start_longitude: float | None = nullable("Longitude of its first fix", unit="°", carrier="lake")
    end_latitude: float | None = nullable("Latitude of its last fix", unit="°", carrier="lake")
    end_longitude: float | None = nullable("Longitude of its last fix", unit="°", carrier="lake")
    distance_km: float | None = nullable("Sum of the distances between consecutive fixes", unit="km", carrier="lake")
    mean_speed_km_h: float | None = nullable("Distance over duration", unit="km/h", carrier="lake")
    max_speed_km_h: float | None = nullable("Highest speed over ground", unit="km/h", carrier="lake")
    stops: int = required("Times it stood (under 3 km/h for 10 s or longer) between driving", carrier="lake", minimum=0)
    stopped_s: float = required("Time in those stops", unit="s", carrier="lake", minimum=0)
    start_fuel_level: float | None = nullable("First fuel level", unit="%", carrier="lake")
    end_fuel_level: float | None = nullable("Last fuel level", unit="%", carrier="lake")
    fuel_used: float | None = nullable(
        "Fall of the fuel level over the drive, in percent of the tank or battery; negative where it was filled",
        unit="%",
        carrier="lake",
    )
    fuel_type: str | None = nullable("What it runs on", carrier="lake", choices=FUEL_TYPES)
    vehicle_type: str | None = nullable("Kind of vehicle", carrier="lake", choices=VEHICLE_TYPES)
    make: str | None = nullable("Manufacturer", carrier="lake", length_max=40)
    model: str | None = nullable("Model", carrier="lake", length_max=40)
    year: int | None = nullable("Model year", carrier="lake")
    had_trouble_codes: bool | None = nullable("Whether OBD showed a trouble code", carrier="lake")
    gps_readings: int = required("GPS readings of this drive", carrier="lake", minimum=0)
    obd_readings: int = required("OBD readings of this drive", carrier="lake", minimum=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedByKm:
    """How fast one kilometre of a route was driven in five minutes, from the GPS readings on it that tell a speed."""

    slot_at: datetime = required("Start of the five minutes", unit="UTC", carrier="lake")
    route: str = required("Route", carrier="lake", length_max=40)
    km: int = required("The kilometre: this distance along the route to the next one", unit="km", carrier="lake")
    readings: int = required("GPS readings there and then", carrier="lake", minimum=1)
    vehicles: int = required("Vehicles among them", carrier="lake", minimum=1)
    mean_speed_km_h: float = required("Mean over the readings", unit="km/h", carrier="lake")
    min_speed_km_h: float = required("Lowest speed", unit="km/h", carrier="lake")
    max_speed_km_h: float = required("Highest speed", unit="km/h", carrier="lake")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherSpeed:
    """Speed on the part of a route that is nearest to one weather station in five minutes, and that station's weather.

    A kilometre of a route belongs to the nearest station within 30 km that reported at most 30 minutes before the five
    minutes, or in them; the newest such report counts.
    """

    slot_at: datetime = required("Start of the five minutes", unit="UTC", carrier="lake")
    route: str = required("Route", carrier="lake", length_max=40)
    station_id: str = required("The weather station's device", carrier="lake", length_max=32)
    readings: int = required("GPS readings there and then that tell a speed", carrier="lake", minimum=1)
    mean_speed_km_h: float = required("Mean over the readings", unit="km/h", carrier="lake")
    reported_at: datetime = required("Event time of the report", unit="UTC", carrier="lake")
    condition: str = required("Weather in a word", carrier="lake", choices=WEATHER_CONDITIONS)
    temperature: float = required("Air temperature", unit="°C", carrier="lake")
    precipitation: float = required("Precipitation rate", unit="mm/h", carrier="lake")
    wind_speed: float = required("Wind speed, mean of ten minutes", unit="km/h", carrier="lake")
    humidity: float = required("Relative humidity", unit="%", carrier="lake")
    visibility: float | None = nullable("Horizontal visibility", unit="m", carrier="lake")
    air_quality_index: float = required("Air quality index on the US EPA scale", carrier="lake")


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentResponse:
    """One incident with the first time of each step. It belongs to the day of its first step, and is followed for
    three days after it.
    """

    incident_id: str = required("The incident", carrier="lake", length_max=60)
    first_step_at: datetime = required("Its first step, whichever it is", unit="UTC", carrier="lake")
    type: str = required("What happened, as the latest step says", carrier="lake", choices=INCIDENT_TYPES)
    status: str = required("The furthest step so far", carrier="lake", choices=INCIDENT_STATUSES)
    severity: int = required("1 (minor) to 5 (major), the highest that was said", carrier="lake")
    reported_at: datetime | None = nullable("First step `reported`", unit="UTC", carrier="lake")
    responding_at: datetime | None = nullable("First step `responding`", unit="UTC", carrier="lake")
    resolved_at: datetime | None = nullable("First step `resolved`", unit="UTC", carrier="lake")
    response_s: float | None = nullable("From reported to responding", unit="s", carrier="lake")
    clearance_s: float | None = nullable("From responding to resolved", unit="s", carrier="lake")
    duration_s: float | None = nullable("From reported to resolved", unit="s", carrier="lake")
    latitude: float = required("Latitude, as the latest step says", unit="°", carrier="lake")
    longitude: float = required("Longitude, as the latest step says", unit="°", carrier="lake")
    route: str | None = nullable("Route there", carrier="lake", length_max=40)
    route_km: float | None = nullable("Distance along it", unit="km", carrier="lake")
    location: str | None = nullable("Where, in words", carrier="lake", length_max=120)
    description: str | None = nullable("What happened, in a sentence", carrier="lake", length_max=500)
    responder_id: str = required("Device of the responder that reported last", carrier="lake", length_max=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraActivity:
    """What one camera sent in a quarter of an hour."""

    slot_at: datetime = required("Start of the quarter hour", unit="UTC", carrier="lake")
    device_id: str = required("The camera's device", carrier="lake", length_max=32)
    camera_id: str | None = nullable("The camera's name at its operator", carrier="lake", length_max=60)
    location: str | None = nullable("Where it stands, in words", carrier="lake", length_max=120)
    latitude: float | None = nullable("Latitude", unit="°", carrier="lake")
    longitude: float | None = nullable("Longitude", unit="°", carrier="lake")
    route: str | None = nullable("Route it watches", carrier="lake", length_max=40)
    route_km: float | None = nullable("Distance along it", unit="km", carrier="lake")
    frames: int = required("Frames", carrier="lake", minimum=1)
    frame_bytes: int = required("Size of all of them", unit="B", carrier="lake", minimum=1)
    counted_frames: int = required("Frames with a vehicle count", carrier="lake", minimum=0)
    vehicle_count: int | None = nullable("Sum of the counts", carrier="lake")
    mean_vehicle_count: float | None = nullable("Mean over the counted frames", carrier="lake")
    max_vehicle_count: int | None = nullable("Highest count", carrier="lake")
    last_snapshot: str = required("Object key of the newest frame", carrier="lake", length_max=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class CityHour:
    """One hour of the whole city. There is a row for every hour in which anything was read."""

    slot_at: datetime = required("Start of the hour", unit="UTC", carrier="lake")
    gps_readings: int = required("Readings of the stream gps", carrier="lake", minimum=0)
    vehicle_readings: int = required("Readings of the stream vehicle", carrier="lake", minimum=0)
    camera_readings: int = required("Readings of the stream camera", carrier="lake", minimum=0)
    weather_readings: int = required("Readings of the stream weather", carrier="lake", minimum=0)
    emergency_readings: int = required("Readings of the stream emergency", carrier="lake", minimum=0)
    readings: int = required("Readings of all streams", carrier="lake", minimum=1)
    vehicles: int = required("Vehicles with a GPS reading", carrier="lake", minimum=0)
    mean_speed_km_h: float | None = nullable("Mean over the GPS readings", unit="km/h", carrier="lake")
    reported_incidents: int = required("Incidents whose first step fell in it", carrier="lake", minimum=0)
    resolved_incidents: int = required("Incidents first called resolved in it", carrier="lake", minimum=0)
    active_incidents: int = required(
        "Incidents open at its end: first step in the 48 hours before, and not resolved", carrier="lake", minimum=0
    )
    median_response_s: float | None = nullable(
        "Median time from reported to responding of the incidents first called responding in it",
        unit="s",
        carrier="lake",
    )
    worst_air_quality_index: float | None = nullable("Highest air quality index", carrier="lake")
    worst_air_quality_location: str | None = nullable("Where that was, in words", carrier="lake", length_max=120)
    mean_temperature: float | None = nullable("Mean air temperature of the reports", unit="°C", carrier="lake")
    mean_precipitation: float | None = nullable("Mean precipitation rate of the reports", unit="mm/h", carrier="lake")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mart:
    """One mart: its name in keys, catalog and warehouse, what its rows are, and the time that gives a row its day."""

    name: str
    contract: type
    time_column: str

    @property
    def columns(self) -> tuple[Column, ...]:
        return columns(self.contract)

    @property
    def prefix(self) -> str:
        """Key prefix of its files in the lake's bucket."""
        return f"{MARTS_PREFIX}/{self.name}/"

    def key(self, day: date) -> str:
        """Object key of one day: always the same, so that a rebuilt day replaces the old one."""
        return f"{self.prefix}{PARTITION_COLUMN}={day.isoformat()}/{self.name}.parquet"


JOURNEYS = Mart(name="journeys", contract=Journey, time_column="started_at")
SPEED_BY_KM = Mart(name="speed_by_km", contract=SpeedByKm, time_column="slot_at")
WEATHER_SPEED = Mart(name="weather_speed", contract=WeatherSpeed, time_column="slot_at")
INCIDENT_RESPONSE = Mart(name="incident_response", contract=IncidentResponse, time_column="first_step_at")
CAMERA_ACTIVITY = Mart(name="camera_activity", contract=CameraActivity, time_column="slot_at")
CITY_HOURS = Mart(name="city_hours", contract=CityHour, time_column="slot_at")

MARTS = (JOURNEYS, SPEED_BY_KM, WEATHER_SPEED, INCIDENT_RESPONSE, CAMERA_ACTIVITY, CITY_HOURS)
