-- Fuel used per journey by fuel type, in percent of the tank or battery, from the mart of journeys.
-- Columns: fuel_type, journeys, mean_fuel_used, max_fuel_used
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    fuel_type,
    COUNT(*) AS journeys,
    AVG(fuel_used) AS mean_fuel_used,
    MAX(fuel_used) AS max_fuel_used
FROM marts.journeys
WHERE started_at >= CAST(:first_day AS DATE)
    AND started_at < DATEADD(DAY, 1, CAST(:last_day AS DATE))
    AND fuel_type IS NOT NULL
GROUP BY fuel_type
ORDER BY fuel_type
