-- How many frames each camera sent, and how many vehicles it saw on average.
-- Columns: camera, location, frames, mean_vehicle_count
SELECT
    coalesce(camera_id, device_id) AS camera,
    max(location) AS location,
    count(*) AS frames,
    round(avg(vehicle_count), 1) AS mean_vehicle_count
FROM camera
GROUP BY coalesce(camera_id, device_id)
ORDER BY camera
