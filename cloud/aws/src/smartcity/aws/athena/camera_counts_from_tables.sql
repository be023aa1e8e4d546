-- Frames and vehicles of each camera per quarter hour, from every frame.
-- Columns: device_id, slot_at, frames, vehicle_count
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    device_id,
    date_add('minute', -(minute("timestamp") % 15), date_trunc('minute', "timestamp")) AS slot_at,
    count(*) AS frames,
    sum(vehicle_count) AS vehicle_count
FROM camera
WHERE "timestamp" >= from_iso8601_timestamp(:first_day)
    AND "timestamp" < from_iso8601_timestamp(:last_day) + INTERVAL '1' DAY
GROUP BY device_id, date_add('minute', -(minute("timestamp") % 15), date_trunc('minute', "timestamp"))
ORDER BY device_id, slot_at
