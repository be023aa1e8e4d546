-- Mean speed on every 10 km of each route, with the number of readings behind it.
-- Columns: route, from_km, to_km, mean_speed_km_h, readings
SELECT
    route,
    CAST(floor(route_km / 10) * 10 AS integer) AS from_km,
    CAST(floor(route_km / 10) * 10 AS integer) + 10 AS to_km,
    round(avg(speed), 1) AS mean_speed_km_h,
    count(*) AS readings
FROM gps
WHERE route IS NOT NULL
    AND speed IS NOT NULL
GROUP BY route, floor(route_km / 10)
ORDER BY route, from_km
