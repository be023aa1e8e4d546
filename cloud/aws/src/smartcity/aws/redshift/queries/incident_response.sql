-- Incidents by what happened and how far they are, with the median time from reported to responding, from the mart.
-- Columns: type, status, incidents, median_response_s
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
WITH ranked AS (
    SELECT
        type,
        status,
        response_s,
        ROW_NUMBER() OVER (PARTITION BY type, status ORDER BY response_s) AS nth,
        COUNT(response_s) OVER (PARTITION BY type, status) AS answered
    FROM marts.incident_response
    WHERE first_step_at >= CAST(:first_day AS DATE)
        AND first_step_at < DATEADD(DAY, 1, CAST(:last_day AS DATE))
)
SELECT
    type,
    status,
    COUNT(*) AS incidents,
    AVG(CASE WHEN 2 * nth BETWEEN answered AND answered + 2 THEN response_s END) AS median_response_s
FROM ranked
GROUP BY type, status
ORDER BY type, status
