-- Mean speed by route and hour, from the mart of kilometres and five minutes.
-- Columns: route, hour_at, mean_speed_km_h, readings
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    route,
    date_trunc('hour', slot_at) AS hour_at,
    sum(mean_speed_km_h * readings) / sum(readings) AS mean_speed_km_h,
    sum(readings) AS readings
FROM speed_by_km
WHERE dt BETWEEN :first_day AND :last_day
GROUP BY route, date_trunc('hour', slot_at)
ORDER BY route, hour_at
