-- Where one vehicle drove between two moments, how fast, and how fast its engine turned.
-- Columns: read_at, latitude, longitude, speed, rpm
-- Parameter: device_id text required The vehicle's device
-- Parameter: since moment required Start of the journey, from the mart journeys for instance
-- Parameter: until moment required Its end
SELECT
    "timestamp" AS read_at,
    latitude,
    longitude,
    speed,
    rpm
FROM vehicle
WHERE device_id = :device_id
    AND "timestamp" >= from_iso8601_timestamp(:since)
    AND "timestamp" <= from_iso8601_timestamp(:until)
ORDER BY read_at
