-- Drives with the fuel that they took, from the mart. Fuel is percent of the tank or battery; negative: it was filled.
-- Column: moment time - Start
-- Column: vehicle text - Vehicle
-- Column: route text - Route
-- Column: vehicle_type text - Kind of vehicle
-- Column: fuel_type text - Fuel
-- Column: make text - Make
-- Column: model text - Model
-- Column: distance number km Distance
-- Column: duration_minutes number min Duration
-- Column: mean_speed number km/h Mean speed
-- Column: stops integer - Stops
-- Column: fuel_used number % Fuel used
-- Column: fuel_per_100_km number % Fuel per 100 km
-- Parameter: first_day day today-30 The first day, UTC
-- Parameter: last_day day today The last day, UTC
SELECT
    started_at AS moment,
    device_id AS vehicle,
    route,
    vehicle_type,
    fuel_type,
    make,
    model,
    distance_km AS distance,
    duration_s / 60 AS duration_minutes,
    mean_speed_km_h AS mean_speed,
    stops,
    fuel_used,
    100 * fuel_used / nullif(distance_km, 0) AS fuel_per_100_km
FROM journeys
WHERE dt BETWEEN :first_day AND :last_day
