-- Mean speed by route and hour, from every GPS reading.
-- Columns: route, hour_at, mean_speed_km_h, readings
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    route,
    date_trunc('hour', "timestamp") AS hour_at,
    avg(speed) AS mean_speed_km_h,
    count(*) AS readings
FROM gps
WHERE "timestamp" >= from_iso8601_timestamp(:first_day)
    AND "timestamp" < from_iso8601_timestamp(:last_day) + INTERVAL '1' DAY
    AND route IS NOT NULL
    AND speed IS NOT NULL
GROUP BY route, date_trunc('hour', "timestamp")
ORDER BY route, hour_at
