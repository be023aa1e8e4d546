-- Mean speed on every 10 km of one route on one day, from every GPS reading.
-- Columns: from_km, mean_speed_km_h, readings
-- Parameter: route text waterloo-toronto The route
-- Parameter: day day today The day, UTC
SELECT
    CAST(floor(route_km / 10) * 10 AS integer) AS from_km,
    avg(speed) AS mean_speed_km_h,
    count(*) AS readings
FROM gps
WHERE "timestamp" >= from_iso8601_timestamp(:day)
    AND "timestamp" < from_iso8601_timestamp(:day) + INTERVAL '1' DAY
    AND route = :route
    AND speed IS NOT NULL
GROUP BY CAST(floor(route_km / 10) * 10 AS integer)
ORDER BY from_km
