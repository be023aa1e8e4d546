"""Incidents from reported over responding to resolved."""

from __future__ import annotations

from smartcity.contracts.marts import INCIDENT_RESPONSE

from .recipe import Recipe, Source

INCIDENT_DAYS_MAX = 3
"""Steps further than this from an incident's first are not looked for."""

# `latest` orders an incident's steps: by time, then by how far they are, then by id.
_SQL = """
WITH steps AS (
  SELECT
    *,
    CASE status WHEN 'resolved' THEN 3 WHEN 'responding' THEN 2 ELSE 1 END AS stage
  FROM emergency
),
incidents AS (
  SELECT
    incident_id,
    min(timestamp) AS first_step_at,
    max_by(type, struct(timestamp, stage, id)) AS type,
    max_by(status, stage) AS status,
    max(severity) AS severity,
    min(timestamp) FILTER (WHERE status = 'reported') AS reported_at,
    min(timestamp) FILTER (WHERE status = 'responding') AS responding_at,
    min(timestamp) FILTER (WHERE status = 'resolved') AS resolved_at,
    max_by(latitude, struct(timestamp, stage, id)) AS latitude,
    max_by(longitude, struct(timestamp, stage, id)) AS longitude,
    max_by(route, struct(timestamp, stage, id)) AS route,
    max_by(route_km, struct(timestamp, stage, id)) AS route_km,
    max_by(location, struct(timestamp, stage, id)) AS location,
    max_by(description, struct(timestamp, stage, id)) AS description,
    max_by(device_id, struct(timestamp, stage, id)) AS responder_id
  FROM steps
  GROUP BY incident_id
)
SELECT
  incident_id,
  first_step_at,
  type,
  status,
  severity,
  reported_at,
  responding_at,
  resolved_at,
  (unix_micros(responding_at) - unix_micros(reported_at)) / 1e6D AS response_s,
  (unix_micros(resolved_at) - unix_micros(responding_at)) / 1e6D AS clearance_s,
  (unix_micros(resolved_at) - unix_micros(reported_at)) / 1e6D AS duration_s,
  latitude,
  longitude,
  route,
  route_km,
  location,
  description,
  responder_id
FROM incidents
WHERE first_step_at >= :day AND first_step_at < :next_day
ORDER BY first_step_at, incident_id
"""

RECIPE = Recipe(
    mart=INCIDENT_RESPONSE,
    sources=(Source(table="emergency", days_before=INCIDENT_DAYS_MAX, days_after=INCIDENT_DAYS_MAX),),
    sql=_SQL,
)
