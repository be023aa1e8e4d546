-- Frames and vehicles of each camera per quarter hour, from the mart.
-- Columns: device_id, slot_at, frames, vehicle_count
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    device_id,
    slot_at,
    frames,
    vehicle_count
FROM camera_activity
WHERE dt BETWEEN :first_day AND :last_day
ORDER BY device_id, slot_at
