"""The five streams. Everything else (schemas, DDL, checks, documentation) is rendered from these classes.

Within a major version a stream only grows, by nullable fields at its end.
Angles are degrees (WGS 84 for positions, clockwise from true north for directions), times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .envelope import BOOT_ID_PATTERN
from .fields import nullable, required
from .limits import DEVICE_NAME_PATTERN

ID_PATTERN = rf"{BOOT_ID_PATTERN}|foreign-[0-9a-f]{{32}}"
"""`<boot>.<sequence>` for our devices; for messages without an envelope, an id that the bridge gives per reception."""

SHA256_PATTERN = r"[0-9a-f]{64}"

FUEL_TYPES = ("petrol", "diesel", "hybrid", "electric")
VEHICLE_TYPES = ("car", "van", "truck", "bus")
WEATHER_CONDITIONS = ("clear", "cloudy", "fog", "rain", "snow")
INCIDENT_TYPES = ("accident", "breakdown", "fire", "medical", "police")
INCIDENT_STATUSES = ("reported", "responding", "resolved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What every stream has in common. (device_id, id) is unique in the lake."""

    id: str = required("Identity of the reading: boot and sequence", carrier="envelope", pattern=ID_PATTERN)
    device_id: str = required(
        "Device that made it, as the MQTT topic says", carrier="envelope", pattern=DEVICE_NAME_PATTERN
    )
    timestamp: datetime = required("Event time: when the device observed it", unit="UTC", carrier="envelope")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gps(Reading):
    """One second of a GNSS receiver: an NMEA 0183 burst of RMC, GGA, GSA, GSV and VTG."""

    latitude: float | None = nullable("Latitude; null without a fix", unit="°", minimum=-90, maximum=90)
    longitude: float | None = nullable("Longitude; null without a fix", unit="°", minimum=-180, maximum=180)
    altitude: float | None = nullable("Height above mean sea level", unit="m", minimum=-500, maximum=20_000)
    speed: float | None = nullable("Speed over ground", unit="km/h", minimum=0, maximum=500)
    direction: float | None = nullable("Course over ground; null while standing", unit="°", minimum=0, maximum=360)
    fix_quality: int = required("GGA fix quality: 0 none, 1 GPS, 2 DGPS, …", minimum=0, maximum=8)
    satellites: int | None = nullable("Satellites used for the fix", minimum=0, maximum=99)
    hdop: float | None = nullable("Horizontal dilution of precision", minimum=0, maximum=100)
    vehicle_type: str | None = nullable("Kind of vehicle", carrier="metadata", choices=VEHICLE_TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle(Reading):
    """One poll of a vehicle's OBD-II port: mode 01 responses and mode 03 trouble codes (SAE J1979)."""

    speed: float = required("Vehicle speed (PID 0D)", unit="km/h", minimum=0, maximum=255)
    rpm: float = required("Engine speed (PID 0C)", unit="1/min", minimum=0, maximum=16_384)
    engine_load: float | None = nullable("Calculated engine load (PID 04)", unit="%", minimum=0, maximum=100)
    coolant_temperature: float | None = nullable("Coolant temperature (PID 05)", unit="°C", minimum=-40, maximum=215)
    throttle_position: float | None = nullable("Throttle position (PID 11)", unit="%", minimum=0, maximum=100)
    fuel_level: float | None = nullable("Fuel tank level (PID 2F)", unit="%", minimum=0, maximum=100)
    intake_temperature: float | None = nullable("Intake air temperature (PID 0F)", unit="°C", minimum=-40, maximum=215)
    maf: float | None = nullable("Mass air flow (PID 10)", unit="g/s", minimum=0, maximum=656)
    run_time: float | None = nullable("Time since engine start (PID 1F)", unit="s", minimum=0, maximum=65_535)
    trouble_codes: tuple[str, ...] = required("Stored trouble codes (mode 03), e.g. P0171", length_max=64)
    latitude: float | None = nullable(
        "Latitude of the latest fix", unit="°", carrier="metadata", minimum=-90, maximum=90
    )
    longitude: float | None = nullable(
        "Longitude of the latest fix", unit="°", carrier="metadata", minimum=-180, maximum=180
    )
    location: str | None = nullable("Where that is, in words", carrier="metadata", length_max=120)
    direction: float | None = nullable(
        "Course over ground of the latest fix", unit="°", carrier="metadata", minimum=0, maximum=360
    )
    make: str | None = nullable("Manufacturer", carrier="metadata", length_max=40)
    model: str | None = nullable("Model", carrier="metadata", length_max=40)
    year: int | None = nullable("Model year", carrier="metadata", minimum=1950, maximum=2100)
    fuel_type: str | None = nullable("What it runs on", carrier="metadata", choices=FUEL_TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera(Reading):
    """One frame of a roadside camera. The JPEG lies in the lake once, under its hash; the row names it."""

    camera_id: str | None = nullable("The camera's name at its operator", carrier="metadata", length_max=60)
    location: str | None = nullable("Where it stands, in words", carrier="metadata", length_max=120)
    latitude: float | None = nullable("Latitude", unit="°", carrier="metadata", minimum=-90, maximum=90)
    longitude: float | None = nullable("Longitude", unit="°", carrier="metadata", minimum=-180, maximum=180)
    snapshot: str = required("Object key of the frame in the lake's bucket", carrier="gateway", length_max=120)
    frame_bytes: int = required("Size of the frame", unit="B", carrier="gateway", minimum=1)
    frame_sha256: str = required("SHA-256 of the frame, hexadecimal", carrier="gateway", pattern=SHA256_PATTERN)
    frame_width: int = required("Width of the frame", unit="px", minimum=1, maximum=65_535)
    frame_height: int = required("Height of the frame", unit="px", minimum=1, maximum=65_535)
    vehicle_count: int | None = nullable(
        "Vehicles in view, as the camera counts", carrier="metadata", minimum=0, maximum=10_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather(Reading):
    """One report of a weather station."""

    location: str | None = nullable("Where it stands, in words", length_max=120)
    latitude: float = required("Latitude", unit="°", minimum=-90, maximum=90)
    longitude: float = required("Longitude", unit="°", minimum=-180, maximum=180)
    temperature: float = required("Air temperature", unit="°C", minimum=-90, maximum=60)
    condition: str = required("Weather in a word", choices=WEATHER_CONDITIONS)
    precipitation: float = required("Precipitation rate", unit="mm/h", minimum=0, maximum=500)
    wind_speed: float = required("Wind speed, mean of ten minutes", unit="km/h", minimum=0, maximum=450)
    wind_direction: float | None = nullable("Direction the wind comes from", unit="°", minimum=0, maximum=360)
    humidity: float = required("Relative humidity", unit="%", minimum=0, maximum=100)
    pressure: float | None = nullable("Air pressure at sea level", unit="hPa", minimum=850, maximum=1_100)
    visibility: float | None = nullable("Horizontal visibility", unit="m", minimum=0, maximum=100_000)
    air_quality_index: float = required("Air quality index on the US EPA scale", minimum=0, maximum=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency(Reading):
    """One step in an incident's life, reported by a responder: reported, responding, resolved."""

    incident_id: str = required("The incident; its steps share it", length_max=60)
    type: str = required("What happened", choices=INCIDENT_TYPES)
    status: str = required("Where its life stands", choices=INCIDENT_STATUSES)
    severity: int = required("1 (minor) to 5 (major)", minimum=1, maximum=5)
    latitude: float = required("Latitude", unit="°", minimum=-90, maximum=90)
    longitude: float = required("Longitude", unit="°", minimum=-180, maximum=180)
    location: str | None = nullable("Where, in words", length_max=120)
    description: str | None = nullable("What happened, in a sentence", length_max=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A contract and its names along the way."""

    name: str
    leaf: str
    """Last level of the MQTT topic `devices/<device>/<leaf>`."""
    kafka_topic: str
    contract: type[Reading]
    content_type: str
    """MQTT 5 Content Type of the payload; CloudEvents `datacontenttype`."""

    @property
    def event_type(self) -> str:
        """CloudEvents `type`; its last part is the contract's major version."""
        return f"smartcity.{self.name}.v1"

    @property
    def table(self) -> str:
        """Name of the Iceberg table in the Glue database."""
        return self.name


GPS = Stream(name="gps", leaf="gps", kafka_topic="gps_data", contract=Gps, content_type="application/vnd.nmea0183")
VEHICLE = Stream(
    name="vehicle", leaf="obd", kafka_topic="vehicle_data", contract=Vehicle, content_type="text/vnd.elm327"
)
CAMERA = Stream(name="camera", leaf="frame", kafka_topic="traffic_data", contract=Camera, content_type="image/jpeg")
WEATHER = Stream(
    name="weather", leaf="weather", kafka_topic="weather_data", contract=Weather, content_type="application/json"
)
EMERGENCY = Stream(
    name="emergency",
    leaf="emergency",
    kafka_topic="emergency_data",
    contract=Emergency,
    content_type="application/json",
)

STREAMS = (GPS, VEHICLE, CAMERA, WEATHER, EMERGENCY)
STREAM_BY_NAME = {stream.name: stream for stream in STREAMS}
STREAM_BY_LEAF = {stream.leaf: stream for stream in STREAMS}
STREAM_BY_KAFKA_TOPIC = {stream.kafka_topic: stream for stream in STREAMS}
