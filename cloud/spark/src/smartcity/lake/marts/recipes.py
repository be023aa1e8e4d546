"""All marts, in the contract's order."""

from __future__ import annotations

from .camera_activity import RECIPE as CAMERA_ACTIVITY
from .city_hours import RECIPE as CITY_HOURS
from .incident_response import RECIPE as INCIDENT_RESPONSE
from .journeys import RECIPE as JOURNEYS
from .speed_by_km import RECIPE as SPEED_BY_KM
from .weather_speed import RECIPE as WEATHER_SPEED

RECIPES = (JOURNEYS, SPEED_BY_KM, WEATHER_SPEED, INCIDENT_RESPONSE, CAMERA_ACTIVITY, CITY_HOURS)
