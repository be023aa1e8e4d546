"""Hourly indicators of the whole city, as a dashboard shows them."""

from __future__ import annotations

from smartcity.contracts.marts import CITY_HOURS

from .incident_response import INCIDENT_DAYS_MAX
from .recipe import Recipe, Source

ACTIVE_DAYS_MAX = 2
"""An incident counts as active for no longer, if nobody calls it resolved."""


def _readings_per_hour(table: str) -> str:
    return f"""{table}_hours AS (
  SELECT date_trunc('HOUR', timestamp) AS slot_at, count(*) AS readings
  FROM {table} WHERE timestamp >= :day AND timestamp < :next_day
  GROUP BY 1
)"""


_SQL = f"""
WITH gps_hours AS (
  SELECT
    date_trunc('HOUR', timestamp) AS slot_at,
    count(*) AS readings,
    count(DISTINCT device_id) AS vehicles,
    avg(speed) AS mean_speed_km_h
  FROM gps WHERE timestamp >= :day AND timestamp < :next_day
  GROUP BY 1
),
{_readings_per_hour("vehicle")},
{_readings_per_hour("camera")},
weather_hours AS (
  SELECT
    date_trunc('HOUR', timestamp) AS slot_at,
    count(*) AS readings,
    max(air_quality_index) AS worst_air_quality_index,
    max_by(location, struct(air_quality_index, timestamp, id)) AS worst_air_quality_location,
    avg(temperature) AS mean_temperature,
    avg(precipitation) AS mean_precipitation
  FROM weather WHERE timestamp >= :day AND timestamp < :next_day
  GROUP BY 1
),
{_readings_per_hour("emergency")},
incidents AS (
  SELECT
    min(timestamp) AS first_step_at,
    min(timestamp) FILTER (WHERE status = 'reported') AS reported_at,
    min(timestamp) FILTER (WHERE status = 'responding') AS responding_at,
    min(timestamp) FILTER (WHERE status = 'resolved') AS resolved_at
  FROM emergency
  GROUP BY incident_id
),
hours AS (
  SELECT slot_at FROM gps_hours
  UNION SELECT slot_at FROM vehicle_hours
  UNION SELECT slot_at FROM camera_hours
  UNION SELECT slot_at FROM weather_hours
  UNION SELECT slot_at FROM emergency_hours
),
incident_hours AS (
  SELECT
    slot_at,
    count_if(date_trunc('HOUR', first_step_at) = slot_at) AS reported,
    count_if(date_trunc('HOUR', resolved_at) = slot_at) AS resolved,
    count_if(
      first_step_at < slot_at + INTERVAL 1 HOUR
      AND first_step_at >= slot_at + INTERVAL 1 HOUR - INTERVAL {ACTIVE_DAYS_MAX} DAYS
      AND (resolved_at IS NULL OR resolved_at >= slot_at + INTERVAL 1 HOUR)
    ) AS active,
    median((unix_micros(responding_at) - unix_micros(reported_at)) / 1e6D)
      FILTER (WHERE date_trunc('HOUR', responding_at) = slot_at) AS median_response_s
  FROM hours CROSS JOIN incidents
  GROUP BY slot_at
)
SELECT
  slot_at,
  coalesce(gps_hours.readings, 0) AS gps_readings,
  coalesce(vehicle_hours.readings, 0) AS vehicle_readings,
  coalesce(camera_hours.readings, 0) AS camera_readings,
  coalesce(weather_hours.readings, 0) AS weather_readings,
  coalesce(emergency_hours.readings, 0) AS emergency_readings,
  coalesce(gps_hours.readings, 0) + coalesce(vehicle_hours.readings, 0) + coalesce(camera_hours.readings, 0)
    + coalesce(weather_hours.readings, 0) + coalesce(emergency_hours.readings, 0) AS readings,
  coalesce(gps_hours.vehicles, 0) AS vehicles,
  mean_speed_km_h,
  coalesce(incident_hours.reported, 0) AS reported_incidents,
  coalesce(incident_hours.resolved, 0) AS resolved_incidents,
  coalesce(incident_hours.active, 0) AS active_incidents,
  median_response_s,
  worst_air_quality_index,
  worst_air_quality_location,
  mean_temperature,
  mean_precipitation
FROM hours
LEFT JOIN gps_hours USING (slot_at)
LEFT JOIN vehicle_hours USING (slot_at)
LEFT JOIN camera_hours USING (slot_at)
LEFT JOIN weather_hours USING (slot_at)
LEFT JOIN emergency_hours USING (slot_at)
LEFT JOIN incident_hours USING (slot_at)
ORDER BY slot_at
"""

RECIPE = Recipe(
    mart=CITY_HOURS,
    sources=(
        Source(table="gps"),
        Source(table="vehicle"),
        Source(table="camera"),
        Source(table="weather"),
        Source(table="emergency", days_before=ACTIVE_DAYS_MAX + INCIDENT_DAYS_MAX),
    ),
    sql=_SQL,
)
