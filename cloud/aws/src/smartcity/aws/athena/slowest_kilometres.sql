-- The slowest kilometres of the hour before a moment, of those with 30 readings or more. No mart is so fresh.
-- Columns: route, km, mean_speed_km_h, readings
-- Parameter: until moment now The end of the hour
SELECT
    route,
    CAST(floor(route_km) AS integer) AS km,
    avg(speed) AS mean_speed_km_h,
    count(*) AS readings
FROM gps
WHERE "timestamp" >= from_iso8601_timestamp(:until) - INTERVAL '1' HOUR
    AND "timestamp" < from_iso8601_timestamp(:until)
    AND route IS NOT NULL
    AND speed IS NOT NULL
GROUP BY route, CAST(floor(route_km) AS integer)
HAVING count(*) >= 30
ORDER BY mean_speed_km_h, route, km
LIMIT 20
