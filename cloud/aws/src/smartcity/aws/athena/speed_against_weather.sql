-- Mean speed by weather, from the mart that joins each kilometre with the newest report of the station nearest to it.
-- Columns: condition, mean_speed_km_h, mean_precipitation, readings
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    condition,
    sum(mean_speed_km_h * readings) / sum(readings) AS mean_speed_km_h,
    sum(precipitation * readings) / sum(readings) AS mean_precipitation,
    sum(readings) AS readings
FROM weather_speed
WHERE dt BETWEEN :first_day AND :last_day
GROUP BY condition
ORDER BY condition
