"""The weather field: smooth in space and time, seeded; every device at one place and time meets the same weather."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .noise import Noise

_DAY_S = 86_400
_YEAR_S = 365.2425 * _DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The weather at one place and time."""

    temperature: float
    """°C"""
    condition: str
    """One of the contract's WEATHER_CONDITIONS."""
    precipitation: float
    """mm/h"""
    wind_speed: float
    """km/h"""
    wind_direction: float
    """Degrees; where the wind comes from."""
    humidity: float
    """%"""
    pressure: float
    """hPa at sea level"""
    visibility: float
    """m"""
    cloud: float
    """Share of the sky that is covered, 0 … 1."""


def solar_day_s(longitude: float, seconds: float) -> float:
    """Seconds since midnight by mean solar time at a longitude: a clock without the rules of time zones."""
    return (seconds + longitude * 240.0) % _DAY_S


def sun_elevation(latitude: float, longitude: float, seconds: float) -> float:
    """Height of the sun above the horizon in degrees, within about a degree (declination after Cooper, 1969)."""
    day = seconds % _YEAR_S / _DAY_S
    declination = math.radians(23.45) * math.sin(2 * math.pi * (284 + day) / 365)
    hour = math.pi * (solar_day_s(longitude, seconds) / (_DAY_S / 2) - 1)
    sine = math.sin(math.radians(latitude)) * math.sin(declination)
    sine += math.cos(math.radians(latitude)) * math.cos(declination) * math.cos(hour)
    return math.degrees(math.asin(sine))


class Weather:
    """A seeded weather field. `at` is a pure function of place and time."""

    def __init__(self, seed: int) -> None:
        def field(purpose: str) -> Noise:
            return Noise(f"{seed}:weather:{purpose}")

        self._rain, self._showers = field("rain"), field("showers")
        self._warmth, self._cloud = field("warmth"), field("cloud")
        self._wind, self._turn = field("wind"), field("turn")
        self._moisture, self._pressure = field("moisture"), field("pressure")

    def at(self, latitude: float, longitude: float, seconds: float) -> Conditions:
        """Conditions at a place (degrees) and time (seconds since 1970)."""
        hours = seconds / 3600
        x = longitude * 111.3 * math.cos(math.radians(latitude)) - hours * 35.0  # Fronts travel east at 35 km/h.
        y = latitude * 111.2 + hours * 6.0
        bands = self._rain.plane(x / 70, y / 90) + 0.5 * self._showers.plane(x / 17, y / 17)
        precipitation = round(min(max(0.0, bands - 0.35) * 11.0, 40.0), 1)
        near_rain = min(max(bands / 0.35, 0.0), 1.0)
        cloud = max(min(max(0.45 + 0.7 * self._cloud.plane(x / 60, y / 60), 0.0), 1.0), near_rain)
        temperature = self._temperature(latitude, longitude, seconds, cloud) + 3.5 * self._warmth.plane(
            x / 200, y / 200
        )
        wind = max(0.0, 16.0 + 13.0 * self._wind.plane(x / 110, y / 110) + 4.0 * self._wind.line(hours * 6))
        humidity = 74.0 + 20.0 * self._moisture.plane(x / 120, y / 120) - (temperature - 8.0) * 0.9
        humidity = min(max(humidity + 14.0 * near_rain, 22.0), 100.0)
        visibility = 24_000.0 / (1.0 + 1.1 * precipitation) - 60.0 * max(0.0, humidity - 70.0)
        condition = "cloudy" if cloud > 0.45 else "clear"
        if precipitation:
            condition = "snow" if temperature < 0.8 else "rain"
            visibility = visibility / 4 if condition == "snow" else visibility
        elif humidity > 90.0 and wind < 15.0:
            condition, visibility = "fog", 120.0 + (100.0 - humidity) * 85.0
        return Conditions(
            temperature=round(temperature, 1),
            condition=condition,
            precipitation=precipitation,
            wind_speed=round(wind, 1),
            wind_direction=round((245.0 + 110.0 * self._turn.plane(x / 300, y / 300)) % 360.0, 0),
            humidity=round(humidity, 0),
            pressure=round(1015.0 + 16.0 * self._pressure.plane(x / 900, y / 900) - 1.5 * min(precipitation, 4.0), 1),
            visibility=round(max(visibility, 60.0), -1),
            cloud=cloud,
        )

    @staticmethod
    def _temperature(latitude: float, longitude: float, seconds: float, cloud: float) -> float:
        """Season (coldest about 20 January) and time of day (warmest about 15 h). Ontario swings more."""
        mean, season, day = (8.5, 14.0, 4.8) if longitude < -30 else (10.5, 7.0, 3.6)
        yearly = -math.cos(2 * math.pi * (seconds % _YEAR_S - 20 * _DAY_S) / _YEAR_S)
        daily = math.cos(2 * math.pi * (solar_day_s(longitude, seconds) - 15 * 3600) / _DAY_S)
        return mean + season * yearly + day * (1.0 - 0.5 * cloud) * daily
