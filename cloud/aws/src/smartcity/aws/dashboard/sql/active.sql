-- Incidents of the last 48 hours that are not resolved, as their latest step says. No mart is so fresh.
-- Column: moment time - First step
-- Column: incident text - Incident
-- Column: type text - What happened
-- Column: status text - Status
-- Column: severity integer - Severity, 1 to 5
-- Column: latitude latitude ° Latitude
-- Column: longitude longitude ° Longitude
-- Column: route text - Route
-- Column: place text - Where
-- Parameter: until moment now The moment
WITH steps AS (
    SELECT
        incident_id,
        type,
        status,
        severity,
        latitude,
        longitude,
        route,
        location,
        min("timestamp") OVER (PARTITION BY incident_id) AS first_step_at,
        max(CASE status WHEN 'resolved' THEN 1 ELSE 0 END) OVER (PARTITION BY incident_id) AS resolved,
        row_number() OVER (
            PARTITION BY incident_id
            ORDER BY CASE status WHEN 'responding' THEN 2 ELSE 1 END DESC, "timestamp" DESC, id DESC
        ) AS age
    FROM emergency
    WHERE "timestamp" >= from_iso8601_timestamp(:until) - INTERVAL '48' HOUR
        AND "timestamp" <= from_iso8601_timestamp(:until)
)
SELECT
    CAST(first_step_at AS timestamp) AS moment,
    incident_id AS incident,
    type,
    status,
    severity,
    latitude,
    longitude,
    route,
    location AS place
FROM steps
WHERE age = 1
    AND resolved = 0
