-- The whole city by hour, from the mart of hours; hours that are not over are left out, since they would look quiet.
-- Column: moment time - Hour
-- Column: readings_per_minute number 1/min Readings per minute
-- Column: vehicles integer - Vehicles
-- Column: mean_speed number km/h Mean speed
-- Column: worst_air_quality number AQI Worst air quality
-- Column: worst_air_quality_place text - Where that is
-- Parameter: first_day day today-30 The first day, UTC
-- Parameter: last_day day today The last day, UTC
-- Parameter: until moment now The moment
SELECT
    slot_at AS moment,
    CAST(readings AS double) / 60 AS readings_per_minute,
    vehicles,
    mean_speed_km_h AS mean_speed,
    worst_air_quality_index AS worst_air_quality,
    worst_air_quality_location AS worst_air_quality_place
FROM city_hours
WHERE dt BETWEEN :first_day AND :last_day
    AND slot_at <= CAST(from_iso8601_timestamp(:until) AS timestamp) - INTERVAL '1' HOUR
