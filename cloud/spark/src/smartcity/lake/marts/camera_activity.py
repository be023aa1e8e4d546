"""Frames and vehicle counts per camera and quarter hour."""

from __future__ import annotations

from smartcity.contracts.marts import CAMERA_ACTIVITY

from .recipe import Recipe, Source

# What describes the camera is taken from its newest frame; the id decides between frames of the same moment.
_SQL = """
SELECT
  window(timestamp, '15 minutes').start AS slot_at,
  device_id,
  max_by(camera_id, struct(timestamp, id)) AS camera_id,
  max_by(location, struct(timestamp, id)) AS location,
  max_by(latitude, struct(timestamp, id)) AS latitude,
  max_by(longitude, struct(timestamp, id)) AS longitude,
  max_by(route, struct(timestamp, id)) AS route,
  max_by(route_km, struct(timestamp, id)) AS route_km,
  count(*) AS frames,
  sum(frame_bytes) AS frame_bytes,
  count(vehicle_count) AS counted_frames,
  sum(vehicle_count) AS vehicle_count,
  avg(vehicle_count) AS mean_vehicle_count,
  max(vehicle_count) AS max_vehicle_count,
  max_by(snapshot, struct(timestamp, id)) AS last_snapshot
FROM camera
WHERE timestamp >= :day AND timestamp < :next_day
GROUP BY window(timestamp, '15 minutes'), device_id
ORDER BY slot_at, device_id
"""

RECIPE = Recipe(mart=CAMERA_ACTIVITY, sources=(Source(table="camera"),), sql=_SQL)
