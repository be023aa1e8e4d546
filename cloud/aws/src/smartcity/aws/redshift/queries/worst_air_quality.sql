-- The worst air quality of each place, and when that was first, from the lake's table.
-- Columns: location, air_quality_index, first_at
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
WITH ranked AS (
    SELECT
        location,
        air_quality_index,
        "timestamp" AS first_at,
        ROW_NUMBER() OVER (PARTITION BY location ORDER BY air_quality_index DESC, "timestamp") AS nth
    FROM lake.weather
    WHERE "timestamp" >= CAST(:first_day AS TIMESTAMPTZ)
        AND "timestamp" < DATEADD(DAY, 1, CAST(:last_day AS TIMESTAMPTZ))
)
SELECT
    location,
    air_quality_index,
    first_at
FROM ranked
WHERE nth = 1
ORDER BY air_quality_index DESC, location
