-- Mean speed by weather, from every GPS reading and report: each kilometre in five minutes meets the newest report, at
-- most 30 minutes old, of the nearest station within 30 km. The distance is that of contracts/routes.py, on WGS 84.
-- Columns: condition, mean_speed_km_h, mean_precipitation, readings
-- Parameter: first_day day today-6 The first day, UTC
-- Parameter: last_day day today The last day, UTC
WITH cells AS (
    SELECT
        date_add('minute', -(minute("timestamp") % 5), date_trunc('minute', "timestamp")) AS slot_at,
        route,
        floor(route_km) AS km,
        count(*) AS readings,
        sum(speed) AS speed_sum,
        avg(latitude) AS latitude,
        avg(longitude) AS longitude
    FROM gps
    WHERE "timestamp" >= from_iso8601_timestamp(:first_day)
        AND "timestamp" < from_iso8601_timestamp(:last_day) + INTERVAL '1' DAY
        AND route IS NOT NULL
        AND speed IS NOT NULL
    GROUP BY
        date_add('minute', -(minute("timestamp") % 5), date_trunc('minute', "timestamp")),
        route,
        floor(route_km)
),
served AS (
    SELECT
        date_add(
            'minute',
            later.minutes,
            date_add('minute', -(minute("timestamp") % 5), date_trunc('minute', "timestamp"))
        ) AS slot_at,
        device_id,
        "timestamp" AS reported_at,
        id,
        latitude,
        longitude,
        condition,
        precipitation
    FROM weather
    CROSS JOIN (VALUES 0, 5, 10, 15, 20, 25, 30) AS later (minutes)
    WHERE "timestamp" >= from_iso8601_timestamp(:first_day) - INTERVAL '30' MINUTE
        AND "timestamp" < from_iso8601_timestamp(:last_day) + INTERVAL '1' DAY
),
reports AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY device_id, slot_at ORDER BY reported_at DESC, id DESC) AS age
    FROM served
),
pairs AS (
    SELECT
        cells.slot_at,
        cells.route,
        cells.km,
        cells.readings,
        cells.speed_sum,
        reports.device_id,
        reports.condition,
        reports.precipitation,
        radians((cells.latitude + reports.latitude) / 2) AS middle,
        radians(reports.latitude - cells.latitude) AS north,
        radians(reports.longitude - cells.longitude) AS east
    FROM cells
    JOIN reports ON cells.slot_at = reports.slot_at
    WHERE reports.age = 1
),
distances AS (
    SELECT
        *,
        sqrt(
            power(north * 6335439.327292829 / power(1 - 0.00669437999014 * power(sin(middle), 2), 1.5), 2)
            + power(east * 6378137.0 / sqrt(1 - 0.00669437999014 * power(sin(middle), 2)) * cos(middle), 2)
        ) / 1000 AS distance_km
    FROM pairs
),
near AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY slot_at, route, km ORDER BY distance_km, device_id) AS nth
    FROM distances
    WHERE distance_km <= 30
)
SELECT
    condition,
    sum(speed_sum) / sum(readings) AS mean_speed_km_h,
    sum(precipitation * readings) / sum(readings) AS mean_precipitation,
    sum(readings) AS readings
FROM near
WHERE nth = 1
GROUP BY condition
ORDER BY condition
