-- Incidents by what happened and where they stand: the status is that of each incident's latest step.
-- Columns: type, status, incidents, mean_severity
WITH steps AS (
    SELECT
        type,
        status,
        severity,
        row_number() OVER (
            PARTITION BY incident_id
            ORDER BY
                "timestamp" DESC,
                CASE status WHEN 'resolved' THEN 3 WHEN 'responding' THEN 2 ELSE 1 END DESC
        ) AS age
    FROM emergency
)
SELECT
    type,
    status,
    count(*) AS incidents,
    round(avg(severity), 1) AS mean_severity
FROM steps
WHERE age = 1
GROUP BY type, status
ORDER BY type, status
