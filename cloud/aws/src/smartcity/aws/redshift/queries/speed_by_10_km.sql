-- Mean speed on every 10 km of one route on one day, from the mart of kilometres and five minutes.
-- Columns: from_km, mean_speed_km_h, readings
-- Parameter: route text waterloo-toronto The route
-- Parameter: day day today The day, UTC
SELECT
    CAST(FLOOR(km / 10.0) * 10 AS INTEGER) AS from_km,
    SUM(mean_speed_km_h * readings) / SUM(readings) AS mean_speed_km_h,
    CAST(SUM(readings) AS BIGINT) AS readings
FROM marts.speed_by_km
WHERE slot_at >= CAST(:day AS DATE)
    AND slot_at < DATEADD(DAY, 1, CAST(:day AS DATE))
    AND route = :route
GROUP BY CAST(FLOOR(km / 10.0) * 10 AS INTEGER)
ORDER BY from_km
