"""What the devices of a benchmark send: distinct readings, with the envelope as a device writes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import reduce

from smartcity.contracts.envelope import Envelope, format_time
from smartcity.contracts.routes import route
from smartcity.contracts.streams import STREAM_BY_NAME, STREAMS
from smartcity.contracts.topics import reading_topic

Made = tuple[str, list[tuple[str, str]], bytes]
"""MQTT topic, user properties, payload."""

DEVICES = 50
PAYLOAD_BYTES = 280
FRAME_BYTES = 30_000
START = datetime.now(UTC) - timedelta(minutes=30)
_ROAD = [route("waterloo-toronto").point_at(metre / 1000) for metre in range(0, 100_000, 31)]
"""Where vehicles are, in degrees; a position off the road would cost the lake less."""


def make_foreign(number: int, sent_at: datetime = START) -> Made:
    """A payload that means nothing to the bridge: when it was sent, and its number."""
    payload = f"{format_time(sent_at)} {number:08d}".encode().ljust(PAYLOAD_BYTES, b".")
    return f"plant/line-{number % DEVICES}/state", [], payload


def make_reading(stream_name: str, number: int, sent_at: datetime | None = None, *, step_ms: float = 10) -> Made:
    """`step_ms` lies between the event times of two readings."""
    stream = STREAM_BY_NAME[stream_name]
    device, sequence = f"{stream_name}-{number % DEVICES:02d}", number // DEVICES + 1
    time = START + timedelta(milliseconds=step_ms * number)
    envelope = Envelope(
        boot=f"{STREAMS.index(stream):x}{number % DEVICES:015x}",
        sequence=sequence,
        device_id=device,
        event_type=stream.event_type,
        time=time,
        sent_time=sent_at or time + timedelta(milliseconds=3),
    )
    payload, metadata = make_payload(stream_name, number, time)
    pairs = envelope.properties() + ([("metadata", metadata)] if metadata else [])
    return reading_topic(device, stream), pairs, payload


def make_payload(stream_name: str, number: int, time: datetime) -> tuple[bytes, str]:
    """Another one for each number, and its metadata, which may be empty."""
    return _MAKERS[stream_name](number, time)


def _weather(number: int, time: datetime) -> tuple[bytes, str]:
    document = {
        "location": "401 at Guelph Line", "latitude": 43.4849, "longitude": -79.9683, "temperature": number % 400 / 10,
        "condition": "rain", "precipitation": 2.4, "wind_speed": 21.3, "wind_direction": 270.0, "humidity": 81.5,
        "pressure": 1003.2, "visibility": 6400.0, "air_quality_index": 31, "timestamp": format_time(time),
    }  # fmt: skip
    return json.dumps(document, separators=(",", ":")).encode(), ""


def _emergency(number: int, time: datetime) -> tuple[bytes, str]:
    document = {
        "incident_id": f"incident-{number % 997}", "type": "accident", "status": "responding", "severity": 3,
        "latitude": 43.5044, "longitude": -79.8771, "location": "401 East at James Snow Parkway",
        "description": "Two cars, right lane blocked; tow truck on its way", "timestamp": format_time(time),
    }  # fmt: skip
    return json.dumps(document, separators=(",", ":")).encode(), ""


def _sentence(body: str) -> str:
    return f"${body}*{reduce(lambda a, b: a ^ b, body.encode()):02X}\r\n"


def _gps(number: int, time: datetime) -> tuple[bytes, str]:
    clock, day = time.strftime("%H%M%S.") + f"{time.microsecond // 10_000:02d}", time.strftime("%d%m%y")
    latitude, longitude = _ROAD[number % len(_ROAD)]
    north = f"{int(latitude):02d}{latitude % 1 * 60:07.4f},N"
    west = f"{int(-longitude):03d}{-longitude % 1 * 60:07.4f},W"
    burst = (
        _sentence(f"GPRMC,{clock},A,{north},{west},54.00,87.5,{day},,,A")
        + _sentence(f"GPGGA,{clock},{north},{west},1,09,0.9,329.0,M,-35.0,M,,")
        + _sentence("GPGSA,A,3,02,05,07,09,13,15,18,26,29,,,,1.7,0.9,1.4")
        + _sentence("GPVTG,87.5,T,,M,54.00,N,100.01,K,A")
    )
    return burst.encode(), '{"vehicle_type":"car"}'


def _vehicle(number: int, _time: datetime) -> tuple[bytes, str]:
    moving = number * 40_503  # Every value is another one in each reading, in no simple order.
    answers = (
        f"7E8 04 41 0C {moving >> 8 & 0x3F:02X} {moving & 0xFF:02X} ", f"7E8 03 41 0D {moving >> 3 & 0x7F:02X} ",
        f"7E8 03 41 05 {0x70 + moving % 13:02X} ", f"7E8 03 41 04 {moving >> 5 & 0xFF:02X} ",
        f"7E8 03 41 11 {moving >> 2 & 0xFF:02X} ", f"7E8 03 41 2F {0x80 + moving % 61:02X} ",
        f"7E8 03 41 0F {0x30 + moving % 17:02X} ", f"7E8 04 41 10 {moving >> 7 & 0x1F:02X} {moving >> 1 & 0xFF:02X} ",
        f"7E8 04 41 1F {number >> 8 & 0xFF:02X} {number & 0xFF:02X} ", "7E8 02 43 00 ",
    )  # fmt: skip
    latitude, longitude = _ROAD[number % len(_ROAD)]
    metadata = {
        "make": "Toyota", "model": "Corolla", "year": 2021, "fuel_type": "petrol",
        "latitude": round(latitude, 5), "longitude": round(longitude, 5), "location": "401 East", "direction": 87.5,
    }  # fmt: skip
    return "".join(f"{answer}\r\r>" for answer in answers).encode(), json.dumps(metadata, separators=(",", ":"))


def _camera(number: int, _time: datetime) -> tuple[bytes, str]:
    """The segments of a JPEG of 320 x 240 around bytes that nobody decodes."""
    head = "ffd8ffe000104a46494600010100000100010000ffc0000b0800f0014001011100ffda0008010100003f00"
    frame = bytes.fromhex(head) + f"{number:08d}".encode().ljust(FRAME_BYTES, b".") + b"\xff\xd9"
    return frame, '{"camera_id":"cam-1","vehicle_count":4,"latitude":43.5,"longitude":-79.9,"location":"401 East"}'


_MAKERS = {"weather": _weather, "emergency": _emergency, "gps": _gps, "vehicle": _vehicle, "camera": _camera}
