"""Speed by one kilometre of road and five minutes."""

from __future__ import annotations

from smartcity.contracts.marts import SPEED_BY_KM

from .recipe import Recipe, Source

_SQL = """
SELECT
  window(timestamp, '5 minutes').start AS slot_at,
  route,
  CAST(floor(route_km) AS BIGINT) AS km,
  count(*) AS readings,
  count(DISTINCT device_id) AS vehicles,
  avg(speed) AS mean_speed_km_h,
  min(speed) AS min_speed_km_h,
  max(speed) AS max_speed_km_h
FROM gps
WHERE timestamp >= :day AND timestamp < :next_day
  AND route IS NOT NULL AND speed IS NOT NULL
GROUP BY window(timestamp, '5 minutes'), route, CAST(floor(route_km) AS BIGINT)
ORDER BY slot_at, route, km
"""

RECIPE = Recipe(mart=SPEED_BY_KM, sources=(Source(table="gps"),), sql=_SQL)
