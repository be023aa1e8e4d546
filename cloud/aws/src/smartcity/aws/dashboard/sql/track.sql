-- Speed of each vehicle by hour and cell of a hundredth of a degree over 24 hours, from the GPS readings: no mart has
-- latitude and longitude of speed, and the readings themselves are too many for a map.
-- Column: moment time - Hour
-- Column: vehicle text - Vehicle
-- Column: route text - Route
-- Column: latitude latitude ° Latitude
-- Column: longitude longitude ° Longitude
-- Column: readings integer - Readings
-- Column: speed number km/h Mean speed
-- Column: speed_band text - Speed
-- Parameter: until moment now The moment
WITH cells AS (
    SELECT
        date_trunc('hour', "timestamp") AS hour_at,
        device_id,
        route,
        round(latitude, 2) AS cell_latitude,
        round(longitude, 2) AS cell_longitude,
        count(*) AS readings,
        avg(speed) AS mean_speed
    FROM gps
    WHERE "timestamp" >= from_iso8601_timestamp(:until) - INTERVAL '24' HOUR
        AND "timestamp" <= from_iso8601_timestamp(:until)
        AND latitude IS NOT NULL
        AND longitude IS NOT NULL
        AND speed IS NOT NULL
    GROUP BY date_trunc('hour', "timestamp"), device_id, route, round(latitude, 2), round(longitude, 2)
)
SELECT
    CAST(hour_at AS timestamp) AS moment,
    device_id AS vehicle,
    route,
    cell_latitude AS latitude,
    cell_longitude AS longitude,
    readings,
    mean_speed AS speed,
    CASE
        WHEN mean_speed < 30 THEN '0 to 30 km/h'
        WHEN mean_speed < 60 THEN '30 to 60 km/h'
        WHEN mean_speed < 90 THEN '60 to 90 km/h'
        ELSE '90 km/h and more'
    END AS speed_band
FROM cells
