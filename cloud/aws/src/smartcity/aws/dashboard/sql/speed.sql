-- Speed by kilometre and five minutes, from the mart.
-- Column: moment time - Time
-- Column: hour_of_day integer - Hour of the day, UTC
-- Column: route text - Route
-- Column: km integer km Kilometre
-- Column: from_km integer km From kilometre
-- Column: readings integer - Readings
-- Column: speed number km/h Mean speed
-- Parameter: first_day day today-30 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    slot_at AS moment,
    CAST(extract(HOUR FROM slot_at) AS bigint) AS hour_of_day,
    route,
    km,
    km - km % 10 AS from_km,
    readings,
    mean_speed_km_h AS speed
FROM speed_by_km
WHERE dt BETWEEN :first_day AND :last_day
