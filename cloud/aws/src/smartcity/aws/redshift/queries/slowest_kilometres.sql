-- The slowest kilometres of the hour before a moment, of those with 30 readings or more, from the lake's table.
-- Columns: route, km, mean_speed_km_h, readings
-- Parameter: until moment now The end of the hour
SELECT
    route,
    CAST(FLOOR(route_km) AS INTEGER) AS km,
    AVG(speed) AS mean_speed_km_h,
    COUNT(*) AS readings
FROM lake.gps
WHERE "timestamp" >= DATEADD(HOUR, -1, CAST(:until AS TIMESTAMPTZ))
    AND "timestamp" < CAST(:until AS TIMESTAMPTZ)
    AND route IS NOT NULL
    AND speed IS NOT NULL
GROUP BY route, CAST(FLOOR(route_km) AS INTEGER)
HAVING COUNT(*) >= 30
ORDER BY mean_speed_km_h, route, km
LIMIT 20
