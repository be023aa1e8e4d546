-- Speed with the weather of the nearest station, from the mart that joins them.
-- Column: moment time - Time
-- Column: route text - Route
-- Column: weather text - Weather
-- Column: precipitation number mm/h Precipitation
-- Column: readings integer - Readings
-- Column: speed number km/h Mean speed
-- Parameter: first_day day today-30 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    slot_at AS moment,
    route,
    condition AS weather,
    precipitation,
    readings,
    mean_speed_km_h AS speed
FROM weather_speed
WHERE dt BETWEEN :first_day AND :last_day
