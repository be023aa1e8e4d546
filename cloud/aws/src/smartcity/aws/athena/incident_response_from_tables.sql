-- Incidents by what happened and how far they are, with the median time from reported to responding, from every step.
-- Columns: type, status, incidents, median_response_s
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
WITH steps AS (
    SELECT
        incident_id,
        type,
        "timestamp" AS step_at,
        CASE status WHEN 'resolved' THEN 3 WHEN 'responding' THEN 2 ELSE 1 END AS stage,
        row_number() OVER (
            PARTITION BY incident_id
            ORDER BY
                "timestamp" DESC,
                CASE status WHEN 'resolved' THEN 3 WHEN 'responding' THEN 2 ELSE 1 END DESC,
                id DESC
        ) AS age
    FROM emergency
    WHERE "timestamp" >= from_iso8601_timestamp(:first_day) - INTERVAL '3' DAY
        AND "timestamp" < from_iso8601_timestamp(:last_day) + INTERVAL '4' DAY
),
incidents AS (
    SELECT
        incident_id,
        max(CASE WHEN age = 1 THEN type END) AS type,
        CASE max(stage) WHEN 3 THEN 'resolved' WHEN 2 THEN 'responding' ELSE 'reported' END AS status,
        min(step_at) AS first_step_at,
        date_diff(
            'millisecond', min(CASE WHEN stage = 1 THEN step_at END), min(CASE WHEN stage = 2 THEN step_at END)
        ) / 1e3 AS response_s
    FROM steps
    GROUP BY incident_id
),
ranked AS (
    SELECT
        type,
        status,
        response_s,
        row_number() OVER (PARTITION BY type, status ORDER BY response_s) AS nth,
        count(response_s) OVER (PARTITION BY type, status) AS answered
    FROM incidents
    WHERE first_step_at >= from_iso8601_timestamp(:first_day)
        AND first_step_at < from_iso8601_timestamp(:last_day) + INTERVAL '1' DAY
)
SELECT
    type,
    status,
    count(*) AS incidents,
    avg(CASE WHEN 2 * nth BETWEEN answered AND answered + 2 THEN response_s END) AS median_response_s
FROM ranked
GROUP BY type, status
ORDER BY type, status
