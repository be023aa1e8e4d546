-- Frames and vehicles of each camera per quarter hour, from the mart.
-- Columns: device_id, slot_at, frames, vehicle_count
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    device_id,
    slot_at,
    frames,
    vehicle_count
FROM marts.camera_activity
WHERE slot_at >= CAST(:first_day AS DATE)
    AND slot_at < DATEADD(DAY, 1, CAST(:last_day AS DATE))
ORDER BY device_id, slot_at
