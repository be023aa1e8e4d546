"""Drives: a vehicle's GPS and OBD readings in order of time, cut where its engine starts and where it was silent."""

from __future__ import annotations

from smartcity.contracts.marts import JOURNEYS

from .distance import distance_km_sql
from .recipe import Recipe, Source

SILENCE_S = 300
"""Nothing from a vehicle for longer than this ends a drive."""

START_TOLERANCE_S = 5
"""Two readings whose engine starts (time − run time) lie closer are of one drive: PID 1F counts whole seconds."""

RUN_TIME_MAX_S = 65_535
"""PID 1F stands still at its highest value (SAE J1979), so it tells no start any more."""

STOP_KM_H = 3
STOP_S = 10

# `kind` orders what has one time: an engine's start (0) before the readings after it. A start is taken a second early,
# since the run time is cut to whole seconds. The window begins SILENCE_S before the day: what it misses is of another
# drive, or of one that did not start on this day.
_READINGS = f"""
obd AS (
  SELECT *, timestamp - make_interval(0, 0, 0, 0, 0, 0, run_time) AS engine_at
  FROM vehicle
  WHERE timestamp >= :day - INTERVAL {SILENCE_S} SECONDS
),
starts AS (
  SELECT device_id, engine_at - INTERVAL 1 SECOND AS timestamp
  FROM (
    SELECT device_id, engine_at, lag(engine_at) OVER (PARTITION BY device_id ORDER BY timestamp, id) AS before_at
    FROM obd
    WHERE run_time < {RUN_TIME_MAX_S}
  )
  WHERE before_at IS NULL OR engine_at > before_at + INTERVAL {START_TOLERANCE_S} SECONDS
),
events AS (
  SELECT
    device_id, timestamp, 0 AS kind, '' AS id,
    CAST(NULL AS DOUBLE) AS latitude, CAST(NULL AS DOUBLE) AS longitude, CAST(NULL AS DOUBLE) AS speed,
    CAST(NULL AS STRING) AS route, CAST(NULL AS DOUBLE) AS route_km, CAST(NULL AS STRING) AS vehicle_type,
    CAST(NULL AS DOUBLE) AS fuel_level, CAST(NULL AS STRING) AS fuel_type, CAST(NULL AS STRING) AS make,
    CAST(NULL AS STRING) AS model, CAST(NULL AS BIGINT) AS year, CAST(NULL AS BOOLEAN) AS trouble
  FROM starts
  UNION ALL
  SELECT
    device_id, timestamp, 1, id, latitude, longitude, speed, route, route_km, vehicle_type,
    NULL, NULL, NULL, NULL, NULL, NULL
  FROM gps
  WHERE timestamp >= :day - INTERVAL {SILENCE_S} SECONDS
  UNION ALL
  SELECT
    device_id, timestamp, 2, id, NULL, NULL, NULL, NULL, NULL, NULL,
    fuel_level, fuel_type, make, model, year, size(trouble_codes) > 0
  FROM obd
),
numbered AS (
  SELECT
    *,
    sum(CASE
      WHEN kind = 0 OR before_at IS NULL OR timestamp > before_at + INTERVAL {SILENCE_S} SECONDS THEN 1 ELSE 0
    END) OVER (PARTITION BY device_id ORDER BY timestamp, kind, id) AS drive
  FROM (
    SELECT *, lag(timestamp) OVER (PARTITION BY device_id ORDER BY timestamp, kind, id) AS before_at FROM events
  )
),
readings AS (
  SELECT * FROM (
    SELECT *, min(timestamp) OVER (PARTITION BY device_id, drive) AS started_at FROM numbered WHERE kind > 0
  )
  WHERE started_at >= :day AND started_at < :next_day
)"""

# `lag` and `last_value` ignore nulls: an OBD reading has no position and no speed over ground.
_MOVEMENT = f"""
moves AS (
  SELECT
    *,
    lag(fix) IGNORE NULLS OVER (PARTITION BY device_id, drive ORDER BY timestamp, kind, id) AS fix0,
    lag(stands) IGNORE NULLS OVER (PARTITION BY device_id, drive ORDER BY timestamp, kind, id) AS stood
  FROM (
    SELECT
      *,
      CASE WHEN latitude IS NOT NULL AND longitude IS NOT NULL THEN struct(latitude, longitude) END AS fix,
      speed < {STOP_KM_H} AS stands
    FROM readings
  )
),
halts AS (
  SELECT
    *,
    last_value(CASE WHEN stands AND NOT stood THEN timestamp END) IGNORE NULLS OVER (
      PARTITION BY device_id, drive ORDER BY timestamp, kind, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS halted_at
  FROM moves
),
steps AS (
  SELECT
    *,
    {distance_km_sql("fix0.latitude", "fix0.longitude", "latitude", "longitude")} AS step_km,
    CASE WHEN stood AND NOT stands THEN (unix_micros(timestamp) - unix_micros(halted_at)) / 1e6D END AS stood_s
  FROM halts
)"""

_SQL = f"""
WITH {_READINGS},
{_MOVEMENT}
SELECT
  device_id,
  min(timestamp) AS started_at,
  max(timestamp) AS ended_at,
  (unix_micros(max(timestamp)) - unix_micros(min(timestamp))) / 1e6D AS duration_s,
  mode() WITHIN GROUP (ORDER BY route) AS route,
  min_by(route_km, struct(timestamp, id)) FILTER (WHERE route_km IS NOT NULL) AS start_route_km,
  max_by(route_km, struct(timestamp, id)) FILTER (WHERE route_km IS NOT NULL) AS end_route_km,
  min_by(fix.latitude, struct(timestamp, id)) FILTER (WHERE fix IS NOT NULL) AS start_latitude,
  min_by(fix.longitude, struct(timestamp, id)) FILTER (WHERE fix IS NOT NULL) AS start_longitude,
  max_by(fix.latitude, struct(timestamp, id)) FILTER (WHERE fix IS NOT NULL) AS end_latitude,
  max_by(fix.longitude, struct(timestamp, id)) FILTER (WHERE fix IS NOT NULL) AS end_longitude,
  sum(step_km) AS distance_km,
  sum(step_km) / nullif((unix_micros(max(timestamp)) - unix_micros(min(timestamp))) / 3.6e9D, 0) AS mean_speed_km_h,
  max(speed) AS max_speed_km_h,
  count_if(stood_s >= {STOP_S}) AS stops,
  coalesce(sum(stood_s) FILTER (WHERE stood_s >= {STOP_S}), 0) AS stopped_s,
  min_by(fuel_level, struct(timestamp, id)) FILTER (WHERE fuel_level IS NOT NULL) AS start_fuel_level,
  max_by(fuel_level, struct(timestamp, id)) FILTER (WHERE fuel_level IS NOT NULL) AS end_fuel_level,
  min_by(fuel_level, struct(timestamp, id)) FILTER (WHERE fuel_level IS NOT NULL)
    - max_by(fuel_level, struct(timestamp, id)) FILTER (WHERE fuel_level IS NOT NULL) AS fuel_used,
  max(fuel_type) AS fuel_type,
  max(vehicle_type) AS vehicle_type,
  max(make) AS make,
  max(model) AS model,
  max(year) AS year,
  bool_or(trouble) AS had_trouble_codes,
  count_if(kind = 1) AS gps_readings,
  count_if(kind = 2) AS obd_readings
FROM steps
GROUP BY device_id, drive
ORDER BY started_at, device_id
"""

RECIPE = Recipe(
    mart=JOURNEYS,
    sources=(
        Source(table="gps", days_before=1, days_after=1),
        Source(table="vehicle", days_before=1, days_after=1),
    ),
    sql=_SQL,
)
