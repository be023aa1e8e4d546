"""A GNSS receiver: one second as an NMEA 0183 burst of RMC, GGA, GSA, GSV and VTG, each with CRLF and checksum."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

_HEX = tuple(f"{i:02X}" for i in range(256))
_SKY_REFRESH_S = 30
_VARIANTS = 8
_SATELLITES = 12
KNOT_M_S = 1852.0 / 3600.0


@dataclass(slots=True, kw_only=True)
class Fix:
    """What the receiver computed. Degrees, m above mean sea level, m/s, degrees from north (None while standing)."""

    latitude: float
    longitude: float
    altitude: float
    speed: float
    course: float | None
    geoid_m: float
    """Height of the geoid above the WGS 84 ellipsoid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The sky for half a minute: finished GSA and GSV sentences, and what GGA says of them."""

    sentences: str
    used: int
    hdop: str


class Sky:
    """Satellites in view, seeded. They wander slowly; vehicles see a few variants of reception."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"{seed}:sky")
        numbers = sorted(rng.sample(range(1, 33), _SATELLITES))
        self._orbits = [
            (number, rng.uniform(0, 360), rng.uniform(0, 2 * math.pi), rng.uniform(-1, 1)) for number in numbers
        ]
        self._views: dict[int, View] = {}
        self._bucket = -1

    def view(self, seconds: int, receiver: int) -> View:
        """The sky at a time (seconds since 1970) for the receiver of an index."""
        bucket = seconds // _SKY_REFRESH_S
        if bucket != self._bucket:
            self._bucket = bucket
            self._views.clear()
        variant = receiver % _VARIANTS
        found = self._views.get(variant)
        if found is None:
            found = self._views[variant] = self._look(bucket * _SKY_REFRESH_S, variant)
        return found

    def _look(self, seconds: int, variant: int) -> View:
        seen = []
        for number, azimuth, phase, drift in self._orbits:
            angle = 2 * math.pi * (seconds % 43_082) / 43_082  # Half a sidereal day.
            elevation = round(38 + 34 * math.sin(angle + phase))
            turned = round(azimuth + drift * math.degrees(angle)) % 360
            signal = round(25 + elevation * 0.28 + 3 * math.sin(seconds / 170 + number + variant))
            seen.append((number, elevation, turned, signal))
        used = [number for number, elevation, _, _ in seen if elevation >= 9][: 12 - variant % 3]
        hdop = f"{0.75 + 0.9 / max(len(used) - 4, 1) + 0.02 * variant:.2f}"
        pdop = f"{1.35 + 1.5 / max(len(used) - 4, 1) + 0.03 * variant:.2f}"
        vdop = f"{1.1 + 1.2 / max(len(used) - 4, 1) + 0.02 * variant:.2f}"
        slots = ",".join([f"{number:02d}" for number in used] + [""] * (12 - len(used)))
        sentences = [sentence(f"GPGSA,A,3,{slots},{pdop},{hdop},{vdop}")]
        parts = [seen[i : i + 4] for i in range(0, len(seen), 4)]
        for i, part in enumerate(parts):
            body = ",".join(f"{n:02d},{e:02d},{a:03d},{s:02d}" for n, e, a, s in part)
            sentences.append(sentence(f"GPGSV,{len(parts)},{i + 1},{len(seen):02d},{body}"))
        return View(sentences="".join(sentences), used=len(used), hdop=hdop)


def burst(fix: Fix, view: View, nmea_time: str, nmea_date: str) -> bytes:
    """The burst of one second. Positions carry 1e-5 minutes (2 cm), speeds 0.001 knots."""
    latitude, north = _degrees_minutes(fix.latitude, "N", "S")
    longitude, east = _degrees_minutes(fix.longitude, "E", "W")
    place = f"{latitude:010.5f},{north},{longitude:011.5f},{east}"
    knots = f"{fix.speed / KNOT_M_S:.3f}"
    course = "" if fix.course is None else f"{fix.course % 359.995:.2f}"
    recommended = sentence(f"GPRMC,{nmea_time},A,{place},{knots},{course},{nmea_date},,,A")
    position = sentence(
        f"GPGGA,{nmea_time},{place},1,{view.used:02d},{view.hdop},{fix.altitude:.1f},M,{fix.geoid_m:.1f},M,,"
    )
    track = sentence(f"GPVTG,{course},T,,M,{knots},N,{fix.speed * 3.6:.3f},K,A")
    return f"{recommended}{position}{view.sentences}{track}".encode("ascii")


def burst_without_fix(nmea_time: str, nmea_date: str) -> bytes:
    """The burst of a receiver that sees no satellite and runs on by its clock, as u-blox receivers print it."""
    bodies = (
        f"GPRMC,{nmea_time},V,,,,,,,{nmea_date},,,N",
        f"GPGGA,{nmea_time},,,,,0,00,99.99,,,,,,",
        "GPGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99",
        "GPGSV,1,1,00",
        "GPVTG,,,,,,,,,N",
    )
    return "".join(map(sentence, bodies)).encode("ascii")


def sentence(body: str) -> str:
    """A sentence with `$`, checksum (exclusive or of the body's bytes) and CRLF. At most 128 bytes of body."""
    folded = int.from_bytes(body.encode("ascii").rjust(128, b"\0"), "big")
    folded ^= folded >> 512
    folded ^= folded >> 256
    folded ^= folded >> 128
    folded ^= folded >> 64
    folded ^= folded >> 32
    folded ^= folded >> 16
    folded ^= folded >> 8
    return f"${body}*{_HEX[folded & 0xFF]}\r\n"


def _degrees_minutes(degrees: float, positive: str, negative: str) -> tuple[float, str]:
    """`ddmm.mmmmm` as a number, rounded so that minutes never print as 60."""
    side = positive if degrees >= 0 else negative
    hundred_thousandths = round(abs(degrees) * 6_000_000)
    whole, rest = divmod(hundred_thousandths, 6_000_000)
    return whole * 100 + rest / 100_000, side
