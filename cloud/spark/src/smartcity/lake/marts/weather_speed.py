"""Speed against weather: each kilometre's speed in five minutes, and the newest report of the station nearest to it."""

from __future__ import annotations

from smartcity.contracts.marts import WEATHER_SPEED

from .distance import distance_km_sql
from .recipe import Recipe, Source

STATION_KM_MAX = 30
REPORT_MINUTES_MAX = 30
"""How much older than the five minutes a report may be; a multiple of five."""

_DISTANCE = distance_km_sql("cells.latitude", "cells.longitude", "reports.latitude", "reports.longitude")

# Readings are summed by kilometre first: what is joined is as large as the roads, however many vehicles there are.
_SQL = f"""
WITH cells AS (
  SELECT
    window(timestamp, '5 minutes').start AS slot_at,
    route,
    CAST(floor(route_km) AS BIGINT) AS km,
    count(*) AS readings,
    sum(speed) AS speed_sum,
    avg(latitude) AS latitude,
    avg(longitude) AS longitude
  FROM gps
  WHERE timestamp >= :day AND timestamp < :next_day
    AND route IS NOT NULL AND speed IS NOT NULL
  GROUP BY window(timestamp, '5 minutes'), route, CAST(floor(route_km) AS BIGINT)
),
served AS (
  SELECT
    explode(sequence(
      window(timestamp, '5 minutes').start,
      window(timestamp, '5 minutes').start + INTERVAL {REPORT_MINUTES_MAX} MINUTES,
      INTERVAL 5 MINUTES
    )) AS slot_at,
    *
  FROM weather
  WHERE timestamp >= :day - INTERVAL {REPORT_MINUTES_MAX} MINUTES AND timestamp < :next_day
),
reports AS (
  SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY device_id, slot_at ORDER BY timestamp DESC, id DESC) AS nth FROM served
  )
  WHERE nth = 1
),
near AS (
  SELECT
    cells.slot_at, cells.route, cells.readings, cells.speed_sum, reports.device_id AS station_id, reports.timestamp,
    reports.condition, reports.temperature, reports.precipitation, reports.wind_speed, reports.humidity,
    reports.visibility, reports.air_quality_index,
    row_number() OVER (
      PARTITION BY cells.slot_at, cells.route, cells.km ORDER BY {_DISTANCE}, reports.device_id
    ) AS nth
  FROM cells
  JOIN reports ON cells.slot_at = reports.slot_at AND {_DISTANCE} <= {STATION_KM_MAX}
)
SELECT
  slot_at,
  route,
  station_id,
  sum(readings) AS readings,
  sum(speed_sum) / sum(readings) AS mean_speed_km_h,
  timestamp AS reported_at,
  condition,
  temperature,
  precipitation,
  wind_speed,
  humidity,
  visibility,
  air_quality_index
FROM near
WHERE nth = 1
GROUP BY slot_at, route, station_id, timestamp, condition, temperature, precipitation, wind_speed, humidity, visibility,
  air_quality_index
ORDER BY slot_at, route, station_id
"""

RECIPE = Recipe(mart=WEATHER_SPEED, sources=(Source(table="gps"), Source(table="weather", days_before=1)), sql=_SQL)
