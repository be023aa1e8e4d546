"""All marts, in the contract's order."""

from __future__ import annotations

from .speed_by_km import RECIPE as SPEED_BY_KM

RECIPES = (SPEED_BY_KM,)
