-- Incidents of the 48 hours before a moment that are not resolved, with where they are, from the lake's table.
-- Columns: incident_id, type, status, severity, first_step_at, latitude, longitude, location
-- Parameter: until moment now The moment
WITH steps AS (
    SELECT
        incident_id,
        type,
        status,
        severity,
        "timestamp" AS step_at,
        latitude,
        longitude,
        location,
        MIN("timestamp") OVER (PARTITION BY incident_id) AS first_step_at,
        MAX(CASE status WHEN 'resolved' THEN 1 ELSE 0 END) OVER (PARTITION BY incident_id) AS resolved,
        ROW_NUMBER() OVER (
            PARTITION BY incident_id
            ORDER BY CASE status WHEN 'responding' THEN 2 ELSE 1 END DESC, "timestamp" DESC, id DESC
        ) AS age
    FROM lake.emergency
    WHERE "timestamp" >= DATEADD(HOUR, -48, CAST(:until AS TIMESTAMPTZ))
        AND "timestamp" <= CAST(:until AS TIMESTAMPTZ)
)
SELECT
    incident_id,
    type,
    status,
    severity,
    first_step_at,
    latitude,
    longitude,
    location
FROM steps
WHERE age = 1
    AND resolved = 0
ORDER BY first_step_at, incident_id
