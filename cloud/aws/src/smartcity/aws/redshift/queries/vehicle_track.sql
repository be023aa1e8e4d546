-- Where one vehicle drove between two moments, how fast, and how fast its engine turned, from the lake's table.
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
FROM lake.vehicle
WHERE device_id = :device_id
    AND "timestamp" >= CAST(:since AS TIMESTAMPTZ)
    AND "timestamp" <= CAST(:until AS TIMESTAMPTZ)
ORDER BY read_at
