-- What the weather stations report, from their table: the marts have no report of a place where nobody drove.
-- Column: moment time - Time
-- Column: place text - Place
-- Column: weather text - Weather
-- Column: temperature number °C Temperature
-- Column: precipitation number mm/h Precipitation
-- Column: air_quality number AQI Air quality index
-- Column: latitude latitude ° Latitude
-- Column: longitude longitude ° Longitude
-- Parameter: first_day day today-30 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    CAST("timestamp" AS timestamp) AS moment,
    coalesce(location, device_id) AS place,
    condition AS weather,
    temperature,
    precipitation,
    air_quality_index AS air_quality,
    latitude,
    longitude
FROM weather
WHERE "timestamp" >= from_iso8601_timestamp(:first_day)
    AND "timestamp" < from_iso8601_timestamp(:last_day) + INTERVAL '1' DAY
