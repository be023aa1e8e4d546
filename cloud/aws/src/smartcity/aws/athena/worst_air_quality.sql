-- The worst air quality of each place, and when that was first.
-- Columns: location, air_quality_index, first_at
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
WITH ranked AS (
    SELECT
        location,
        air_quality_index,
        "timestamp" AS first_at,
        row_number() OVER (PARTITION BY location ORDER BY air_quality_index DESC, "timestamp") AS nth
    FROM weather
    WHERE "timestamp" >= from_iso8601_timestamp(:first_day)
        AND "timestamp" < from_iso8601_timestamp(:last_day) + INTERVAL '1' DAY
)
SELECT
    location,
    air_quality_index,
    first_at
FROM ranked
WHERE nth = 1
ORDER BY air_quality_index DESC, location
