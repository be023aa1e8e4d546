-- Fuel used per journey by fuel type, in percent of the tank or battery, from the mart of journeys.
-- Columns: fuel_type, journeys, mean_fuel_used, max_fuel_used
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    fuel_type,
    count(*) AS journeys,
    avg(fuel_used) AS mean_fuel_used,
    max(fuel_used) AS max_fuel_used
FROM journeys
WHERE dt BETWEEN :first_day AND :last_day
    AND fuel_type IS NOT NULL
GROUP BY fuel_type
ORDER BY fuel_type
