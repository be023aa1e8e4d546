-- Mean speed by route and hour, from the mart of kilometres and five minutes.
-- Columns: route, hour_at, mean_speed_km_h, readings
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    route,
    DATE_TRUNC('hour', slot_at) AS hour_at,
    SUM(mean_speed_km_h * readings) / SUM(readings) AS mean_speed_km_h,
    CAST(SUM(readings) AS BIGINT) AS readings
FROM marts.speed_by_km
WHERE slot_at >= CAST(:first_day AS DATE)
    AND slot_at < DATEADD(DAY, 1, CAST(:last_day AS DATE))
GROUP BY route, DATE_TRUNC('hour', slot_at)
ORDER BY route, hour_at
