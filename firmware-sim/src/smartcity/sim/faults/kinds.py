"""The kinds of fault: which streams each can strike, when it makes sense, and its own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from smartcity.contracts.fields import columns
from smartcity.contracts.limits import MQTT_PACKET_BYTES_MAX
from smartcity.contracts.streams import CAMERA, GPS, STREAMS, VEHICLE, WEATHER

OFFLINE = "offline"
DUPLICATE = "duplicate"
REORDER = "reorder"
CLOCK_SKEW = "clock_skew"
GPS_DROPOUT = "gps_dropout"
STUCK_SENSOR = "stuck_sensor"
CORRUPT_SENTENCE = "corrupt_sentence"
OVERSIZE_FRAME = "oversize_frame"

PIDS: Mapping[str, str] = MappingProxyType(
    {
        "engine_load": "04",
        "coolant_temperature": "05",
        "rpm": "0C",
        "speed": "0D",
        "intake_temperature": "0F",
        "maf": "10",
        "throttle_position": "11",
        "run_time": "1F",
        "fuel_level": "2F",
    }
)
"""SAE J1979 mode 01: the values that can be stuck, and their PID."""

STUCK_VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        VEHICLE.name: tuple(PIDS),
        WEATHER.name: tuple(c.name for c in columns(WEATHER.contract) if c.rules.carrier == "payload"),
    }
)
STUCK_DEFAULT: Mapping[str, str] = MappingProxyType({VEHICLE.name: "speed", WEATHER.name: "temperature"})

SKEW_S_MAX = 10 * 366 * 86_400
"""Ten years: RMC writes a year with two digits."""
PAYLOAD_BYTES_MAX = 16 * 1024 * 1024
DELAY_READINGS_MAX = 16
"""Fewer than a device's window lets fly without PUBACK, so that those that pass can leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A parameter that is a number (`whole`: an integer) within bounds. Without a default it must be given."""

    minimum: float
    maximum: float
    whole: bool = False
    default: float | None = None
    nonzero: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a kind of fault takes."""

    streams: tuple[str, ...]
    """Those that it can strike."""
    chosen: bool = False
    """Whether the plan may choose among them with `stream`."""
    spell: bool = False
    """It lasts for a time rather than strike single readings: it needs `from`, `to` or `every`, and no probability."""
    numbers: Mapping[str, Number] = field(default_factory=dict)
    """Its parameters that are numbers; `stuck_sensor` also takes `value`, a field of its stream."""


_ALL = tuple(stream.name for stream in STREAMS)

# In the order in which faults strike one reading: a checksum is spoiled after the sentence has got its last form.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        GPS_DROPOUT: Kind(streams=(GPS.name, VEHICLE.name)),
        STUCK_SENSOR: Kind(streams=(VEHICLE.name, WEATHER.name), chosen=True, spell=True),
        CLOCK_SKEW: Kind(
            streams=_ALL,
            chosen=True,
            numbers={"skew_s": Number(minimum=-SKEW_S_MAX, maximum=SKEW_S_MAX, nonzero=True)},
        ),
        OVERSIZE_FRAME: Kind(
            streams=(CAMERA.name,),
            numbers={
                "payload_bytes": Number(
                    minimum=1024, maximum=PAYLOAD_BYTES_MAX, whole=True, default=MQTT_PACKET_BYTES_MAX
                )
            },
        ),
        CORRUPT_SENTENCE: Kind(streams=(GPS.name,)),
        OFFLINE: Kind(streams=_ALL, spell=True),
        DUPLICATE: Kind(streams=_ALL, chosen=True),
        REORDER: Kind(
            streams=_ALL,
            chosen=True,
            numbers={"delay_readings_max": Number(minimum=1, maximum=DELAY_READINGS_MAX, whole=True, default=4)},
        ),
    }
)
