-- Fuel used per journey by fuel type, in percent of the tank or battery, from every OBD reading. A journey begins where
-- the engine starts, or after five minutes of silence; the mart knows the silence of GPS as well.
-- Columns: fuel_type, journeys, mean_fuel_used, max_fuel_used
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
WITH readings AS (
    SELECT
        device_id,
        "timestamp" AS read_at,
        fuel_level,
        fuel_type,
        run_time,
        lag("timestamp") OVER (PARTITION BY device_id ORDER BY "timestamp") AS before_at,
        lag(run_time) OVER (PARTITION BY device_id ORDER BY "timestamp") AS before_run_time
    FROM vehicle
    WHERE "timestamp" >= from_iso8601_timestamp(:first_day) - INTERVAL '5' MINUTE
        AND "timestamp" < from_iso8601_timestamp(:last_day) + INTERVAL '2' DAY
),
numbered AS (
    SELECT
        *,
        sum(
            CASE
                WHEN before_at IS NULL
                    OR date_diff('millisecond', before_at, read_at) > 300000
                    OR date_diff('millisecond', before_at, read_at) - 1000 * (run_time - before_run_time) > 5000
                    THEN 1
                ELSE 0
            END
        ) OVER (PARTITION BY device_id ORDER BY read_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS drive
    FROM readings
),
drives AS (
    SELECT
        min(read_at) AS started_at,
        max(fuel_type) AS fuel_type,
        min_by(fuel_level, read_at) - max_by(fuel_level, read_at) AS fuel_used
    FROM numbered
    GROUP BY device_id, drive
)
SELECT
    fuel_type,
    count(*) AS journeys,
    avg(fuel_used) AS mean_fuel_used,
    max(fuel_used) AS max_fuel_used
FROM drives
WHERE started_at >= from_iso8601_timestamp(:first_day)
    AND started_at < from_iso8601_timestamp(:last_day) + INTERVAL '1' DAY
    AND fuel_type IS NOT NULL
GROUP BY fuel_type
ORDER BY fuel_type
