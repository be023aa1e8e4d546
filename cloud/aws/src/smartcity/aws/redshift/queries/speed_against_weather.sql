-- Mean speed by weather, from the mart that joins each kilometre with the newest report of the station nearest to it.
-- Columns: condition, mean_speed_km_h, mean_precipitation, readings
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    condition,
    SUM(mean_speed_km_h * readings) / SUM(readings) AS mean_speed_km_h,
    SUM(precipitation * readings) / SUM(readings) AS mean_precipitation,
    CAST(SUM(readings) AS BIGINT) AS readings
FROM marts.weather_speed
WHERE slot_at >= CAST(:first_day AS DATE)
    AND slot_at < DATEADD(DAY, 1, CAST(:last_day AS DATE))
GROUP BY condition
ORDER BY condition
