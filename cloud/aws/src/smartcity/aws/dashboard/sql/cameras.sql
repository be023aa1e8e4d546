-- What each camera sent in a quarter of an hour, from the mart, with the object key of its newest frame.
-- Column: moment time - Quarter of an hour
-- Column: camera text - Camera
-- Column: place text - Where
-- Column: route text - Route
-- Column: frames integer - Frames
-- Column: counted_frames integer - Frames with a count
-- Column: vehicles number - Vehicles in view
-- Column: frame text - Newest frame
-- Parameter: first_day day today-30 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    slot_at AS moment,
    coalesce(camera_id, device_id) AS camera,
    location AS place,
    route,
    frames,
    counted_frames,
    mean_vehicle_count AS vehicles,
    last_snapshot AS frame
FROM camera_activity
WHERE dt BETWEEN :first_day AND :last_day
