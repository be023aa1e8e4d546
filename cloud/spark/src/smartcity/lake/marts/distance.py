"""The contract's distance between two positions (`contracts.routes.distance_km`) as a Spark SQL expression."""

from __future__ import annotations

from smartcity.contracts.routes import WGS84_ECCENTRICITY_SQUARED, WGS84_SEMI_MAJOR_AXIS_M


def distance_km_sql(latitude0: str, longitude0: str, latitude1: str, longitude1: str) -> str:
    """Kilometres between two positions, given as expressions; null where one of them is."""
    middle = f"radians(({latitude0} + {latitude1}) / 2)"
    w = f"(1 - {WGS84_ECCENTRICITY_SQUARED}D * pow(sin({middle}), 2))"
    meridional = f"{WGS84_SEMI_MAJOR_AXIS_M * (1 - WGS84_ECCENTRICITY_SQUARED)}D / pow({w}, 1.5D)"
    normal = f"{WGS84_SEMI_MAJOR_AXIS_M}D / sqrt({w})"
    north = f"radians({latitude1} - {latitude0}) * {meridional}"
    east = f"radians({longitude1} - {longitude0}) * {normal} * cos({middle})"
    return f"hypot({north}, {east}) / 1000"
