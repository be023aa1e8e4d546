-- Incidents with how long help took, from the mart.
-- Column: moment time - First step
-- Column: incident text - Incident
-- Column: type text - What happened
-- Column: status text - Status
-- Column: severity integer - Severity, 1 to 5
-- Column: response_minutes number min From reported to responding
-- Column: clearance_minutes number min From responding to resolved
-- Column: latitude latitude ° Latitude
-- Column: longitude longitude ° Longitude
-- Column: route text - Route
-- Column: place text - Where
-- Parameter: first_day day today-30 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    first_step_at AS moment,
    incident_id AS incident,
    type,
    status,
    severity,
    response_s / 60 AS response_minutes,
    clearance_s / 60 AS clearance_minutes,
    latitude,
    longitude,
    route,
    location AS place
FROM incident_response
WHERE dt BETWEEN :first_day AND :last_day
