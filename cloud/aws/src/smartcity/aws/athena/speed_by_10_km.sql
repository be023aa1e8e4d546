-- Mean speed on every 10 km of one route on one day, from the mart of kilometres and five minutes.
-- Columns: from_km, mean_speed_km_h, readings
-- Parameter: route text waterloo-toronto The route
-- Parameter: day day today The day, UTC
SELECT
    CAST(floor(km / 10.0) * 10 AS integer) AS from_km,
    sum(mean_speed_km_h * readings) / sum(readings) AS mean_speed_km_h,
    sum(readings) AS readings
FROM speed_by_km
WHERE dt = :day
    AND route = :route
GROUP BY CAST(floor(km / 10.0) * 10 AS integer)
ORDER BY from_km
