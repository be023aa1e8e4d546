-- The contract as Redshift tables. Rendered by `python -m smartcity.contracts.render --write`; edits are overwritten.

CREATE TABLE IF NOT EXISTS "smartcity"."gps" (
  "id" VARCHAR(256) NOT NULL,
  "device_id" VARCHAR(256) NOT NULL,
  "timestamp" TIMESTAMP NOT NULL,
  "latitude" DOUBLE PRECISION,
  "longitude" DOUBLE PRECISION,
  "altitude" DOUBLE PRECISION,
  "speed" DOUBLE PRECISION,
  "direction" DOUBLE PRECISION,
  "fix_quality" BIGINT NOT NULL,
  "satellites" BIGINT,
  "hdop" DOUBLE PRECISION,
  "vehicle_type" VARCHAR(256),
  "route" VARCHAR(160),
  "route_km" DOUBLE PRECISION,
  "sent_at" TIMESTAMP,
  "bridged_at" TIMESTAMP,
  "kafka_at" TIMESTAMP NOT NULL,
  "lake_at" TIMESTAMP NOT NULL,
  "payload_sha256" VARCHAR(256)
)
SORTKEY ("timestamp");
COMMENT ON COLUMN "smartcity"."gps"."id" IS 'Identity of the reading: boot and sequence';
COMMENT ON COLUMN "smartcity"."gps"."device_id" IS 'Device that made it, as the MQTT topic says';
COMMENT ON COLUMN "smartcity"."gps"."timestamp" IS 'Event time: when the device observed it [UTC]';
COMMENT ON COLUMN "smartcity"."gps"."latitude" IS 'Latitude; null without a fix [°]';
COMMENT ON COLUMN "smartcity"."gps"."longitude" IS 'Longitude; null without a fix [°]';
COMMENT ON COLUMN "smartcity"."gps"."altitude" IS 'Height above mean sea level [m]';
COMMENT ON COLUMN "smartcity"."gps"."speed" IS 'Speed over ground [km/h]';
COMMENT ON COLUMN "smartcity"."gps"."direction" IS 'Course over ground; null while standing [°]';
COMMENT ON COLUMN "smartcity"."gps"."fix_quality" IS 'GGA fix quality: 0 none, 1 GPS, 2 DGPS, …';
COMMENT ON COLUMN "smartcity"."gps"."satellites" IS 'Satellites used for the fix';
COMMENT ON COLUMN "smartcity"."gps"."hdop" IS 'Horizontal dilution of precision';
COMMENT ON COLUMN "smartcity"."gps"."vehicle_type" IS 'Kind of vehicle';
COMMENT ON COLUMN "smartcity"."gps"."route" IS 'Route whose line is within 250 m, by name';
COMMENT ON COLUMN "smartcity"."gps"."route_km" IS 'Distance along that route from its origin [km]';
COMMENT ON COLUMN "smartcity"."gps"."sent_at" IS 'Wall clock of the device at publishing [UTC]';
COMMENT ON COLUMN "smartcity"."gps"."bridged_at" IS 'Wall clock of the bridge at reception [UTC]';
COMMENT ON COLUMN "smartcity"."gps"."kafka_at" IS 'Timestamp of the Kafka record [UTC]';
COMMENT ON COLUMN "smartcity"."gps"."lake_at" IS 'Wall clock of the batch that committed it [UTC]';
COMMENT ON COLUMN "smartcity"."gps"."payload_sha256" IS 'SHA-256 of the native payload as received';

CREATE TABLE IF NOT EXISTS "smartcity"."vehicle" (
  "id" VARCHAR(256) NOT NULL,
  "device_id" VARCHAR(256) NOT NULL,
  "timestamp" TIMESTAMP NOT NULL,
  "speed" DOUBLE PRECISION NOT NULL,
  "rpm" DOUBLE PRECISION NOT NULL,
  "engine_load" DOUBLE PRECISION,
  "coolant_temperature" DOUBLE PRECISION,
  "throttle_position" DOUBLE PRECISION,
  "fuel_level" DOUBLE PRECISION,
  "intake_temperature" DOUBLE PRECISION,
  "maf" DOUBLE PRECISION,
  "run_time" DOUBLE PRECISION,
  "trouble_codes" SUPER NOT NULL,
  "latitude" DOUBLE PRECISION,
  "longitude" DOUBLE PRECISION,
  "location" VARCHAR(480),
  "direction" DOUBLE PRECISION,
  "make" VARCHAR(160),
  "model" VARCHAR(160),
  "year" BIGINT,
  "fuel_type" VARCHAR(256),
  "route" VARCHAR(160),
  "route_km" DOUBLE PRECISION,
  "sent_at" TIMESTAMP,
  "bridged_at" TIMESTAMP,
  "kafka_at" TIMESTAMP NOT NULL,
  "lake_at" TIMESTAMP NOT NULL,
  "payload_sha256" VARCHAR(256)
)
SORTKEY ("timestamp");
COMMENT ON COLUMN "smartcity"."vehicle"."id" IS 'Identity of the reading: boot and sequence';
COMMENT ON COLUMN "smartcity"."vehicle"."device_id" IS 'Device that made it, as the MQTT topic says';
COMMENT ON COLUMN "smartcity"."vehicle"."timestamp" IS 'Event time: when the device observed it [UTC]';
COMMENT ON COLUMN "smartcity"."vehicle"."speed" IS 'Vehicle speed (PID 0D) [km/h]';
COMMENT ON COLUMN "smartcity"."vehicle"."rpm" IS 'Engine speed (PID 0C) [1/min]';
COMMENT ON COLUMN "smartcity"."vehicle"."engine_load" IS 'Calculated engine load (PID 04) [%]';
COMMENT ON COLUMN "smartcity"."vehicle"."coolant_temperature" IS 'Coolant temperature (PID 05) [°C]';
COMMENT ON COLUMN "smartcity"."vehicle"."throttle_position" IS 'Throttle position (PID 11) [%]';
COMMENT ON COLUMN "smartcity"."vehicle"."fuel_level" IS 'Fuel tank level (PID 2F) [%]';
COMMENT ON COLUMN "smartcity"."vehicle"."intake_temperature" IS 'Intake air temperature (PID 0F) [°C]';
COMMENT ON COLUMN "smartcity"."vehicle"."maf" IS 'Mass air flow (PID 10) [g/s]';
COMMENT ON COLUMN "smartcity"."vehicle"."run_time" IS 'Time since engine start (PID 1F) [s]';
COMMENT ON COLUMN "smartcity"."vehicle"."trouble_codes" IS 'Stored trouble codes (mode 03), e.g. P0171';
COMMENT ON COLUMN "smartcity"."vehicle"."latitude" IS 'Latitude of the latest fix [°]';
COMMENT ON COLUMN "smartcity"."vehicle"."longitude" IS 'Longitude of the latest fix [°]';
COMMENT ON COLUMN "smartcity"."vehicle"."location" IS 'Where that is, in words';
COMMENT ON COLUMN "smartcity"."vehicle"."direction" IS 'Course over ground of the latest fix [°]';
COMMENT ON COLUMN "smartcity"."vehicle"."make" IS 'Manufacturer';
COMMENT ON COLUMN "smartcity"."vehicle"."model" IS 'Model';
COMMENT ON COLUMN "smartcity"."vehicle"."year" IS 'Model year';
COMMENT ON COLUMN "smartcity"."vehicle"."fuel_type" IS 'What it runs on';
COMMENT ON COLUMN "smartcity"."vehicle"."route" IS 'Route whose line is within 250 m, by name';
COMMENT ON COLUMN "smartcity"."vehicle"."route_km" IS 'Distance along that route from its origin [km]';
COMMENT ON COLUMN "smartcity"."vehicle"."sent_at" IS 'Wall clock of the device at publishing [UTC]';
COMMENT ON COLUMN "smartcity"."vehicle"."bridged_at" IS 'Wall clock of the bridge at reception [UTC]';
COMMENT ON COLUMN "smartcity"."vehicle"."kafka_at" IS 'Timestamp of the Kafka record [UTC]';
COMMENT ON COLUMN "smartcity"."vehicle"."lake_at" IS 'Wall clock of the batch that committed it [UTC]';
COMMENT ON COLUMN "smartcity"."vehicle"."payload_sha256" IS 'SHA-256 of the native payload as received';

CREATE TABLE IF NOT EXISTS "smartcity"."camera" (
  "id" VARCHAR(256) NOT NULL,
  "device_id" VARCHAR(256) NOT NULL,
  "timestamp" TIMESTAMP NOT NULL,
  "camera_id" VARCHAR(240),
  "location" VARCHAR(480),
  "latitude" DOUBLE PRECISION,
  "longitude" DOUBLE PRECISION,
  "snapshot" VARCHAR(480) NOT NULL,
  "frame_bytes" BIGINT NOT NULL,
  "frame_sha256" VARCHAR(256) NOT NULL,
  "frame_width" BIGINT NOT NULL,
  "frame_height" BIGINT NOT NULL,
  "vehicle_count" BIGINT,
  "route" VARCHAR(160),
  "route_km" DOUBLE PRECISION,
  "sent_at" TIMESTAMP,
  "bridged_at" TIMESTAMP,
  "kafka_at" TIMESTAMP NOT NULL,
  "lake_at" TIMESTAMP NOT NULL,
  "payload_sha256" VARCHAR(256)
)
SORTKEY ("timestamp");
COMMENT ON COLUMN "smartcity"."camera"."id" IS 'Identity of the reading: boot and sequence';
COMMENT ON COLUMN "smartcity"."camera"."device_id" IS 'Device that made it, as the MQTT topic says';
COMMENT ON COLUMN "smartcity"."camera"."timestamp" IS 'Event time: when the device observed it [UTC]';
COMMENT ON COLUMN "smartcity"."camera"."camera_id" IS 'The camera''s name at its operator';
COMMENT ON COLUMN "smartcity"."camera"."location" IS 'Where it stands, in words';
COMMENT ON COLUMN "smartcity"."camera"."latitude" IS 'Latitude [°]';
COMMENT ON COLUMN "smartcity"."camera"."longitude" IS 'Longitude [°]';
COMMENT ON COLUMN "smartcity"."camera"."snapshot" IS 'Object key of the frame in the lake''s bucket';
COMMENT ON COLUMN "smartcity"."camera"."frame_bytes" IS 'Size of the frame [B]';
COMMENT ON COLUMN "smartcity"."camera"."frame_sha256" IS 'SHA-256 of the frame, hexadecimal';
COMMENT ON COLUMN "smartcity"."camera"."frame_width" IS 'Width of the frame [px]';
COMMENT ON COLUMN "smartcity"."camera"."frame_height" IS 'Height of the frame [px]';
COMMENT ON COLUMN "smartcity"."camera"."vehicle_count" IS 'Vehicles in view, as the camera counts';
COMMENT ON COLUMN "smartcity"."camera"."route" IS 'Route whose line is within 250 m, by name';
COMMENT ON COLUMN "smartcity"."camera"."route_km" IS 'Distance along that route from its origin [km]';
COMMENT ON COLUMN "smartcity"."camera"."sent_at" IS 'Wall clock of the device at publishing [UTC]';
COMMENT ON COLUMN "smartcity"."camera"."bridged_at" IS 'Wall clock of the bridge at reception [UTC]';
COMMENT ON COLUMN "smartcity"."camera"."kafka_at" IS 'Timestamp of the Kafka record [UTC]';
COMMENT ON COLUMN "smartcity"."camera"."lake_at" IS 'Wall clock of the batch that committed it [UTC]';
COMMENT ON COLUMN "smartcity"."camera"."payload_sha256" IS 'SHA-256 of the native payload as received';

CREATE TABLE IF NOT EXISTS "smartcity"."weather" (
  "id" VARCHAR(256) NOT NULL,
  "device_id" VARCHAR(256) NOT NULL,
  "timestamp" TIMESTAMP NOT NULL,
  "location" VARCHAR(480),
  "latitude" DOUBLE PRECISION NOT NULL,
  "longitude" DOUBLE PRECISION NOT NULL,
  "temperature" DOUBLE PRECISION NOT NULL,
  "condition" VARCHAR(256) NOT NULL,
  "precipitation" DOUBLE PRECISION NOT NULL,
  "wind_speed" DOUBLE PRECISION NOT NULL,
  "wind_direction" DOUBLE PRECISION,
  "humidity" DOUBLE PRECISION NOT NULL,
  "pressure" DOUBLE PRECISION,
  "visibility" DOUBLE PRECISION,
  "air_quality_index" DOUBLE PRECISION NOT NULL,
  "route" VARCHAR(160),
  "route_km" DOUBLE PRECISION,
  "sent_at" TIMESTAMP,
  "bridged_at" TIMESTAMP,
  "kafka_at" TIMESTAMP NOT NULL,
  "lake_at" TIMESTAMP NOT NULL,
  "payload_sha256" VARCHAR(256)
)
SORTKEY ("timestamp");
COMMENT ON COLUMN "smartcity"."weather"."id" IS 'Identity of the reading: boot and sequence';
COMMENT ON COLUMN "smartcity"."weather"."device_id" IS 'Device that made it, as the MQTT topic says';
COMMENT ON COLUMN "smartcity"."weather"."timestamp" IS 'Event time: when the device observed it [UTC]';
COMMENT ON COLUMN "smartcity"."weather"."location" IS 'Where it stands, in words';
COMMENT ON COLUMN "smartcity"."weather"."latitude" IS 'Latitude [°]';
COMMENT ON COLUMN "smartcity"."weather"."longitude" IS 'Longitude [°]';
COMMENT ON COLUMN "smartcity"."weather"."temperature" IS 'Air temperature [°C]';
COMMENT ON COLUMN "smartcity"."weather"."condition" IS 'Weather in a word';
COMMENT ON COLUMN "smartcity"."weather"."precipitation" IS 'Precipitation rate [mm/h]';
COMMENT ON COLUMN "smartcity"."weather"."wind_speed" IS 'Wind speed, mean of ten minutes [km/h]';
COMMENT ON COLUMN "smartcity"."weather"."wind_direction" IS 'Direction the wind comes from [°]';
COMMENT ON COLUMN "smartcity"."weather"."humidity" IS 'Relative humidity [%]';
COMMENT ON COLUMN "smartcity"."weather"."pressure" IS 'Air pressure at sea level [hPa]';
COMMENT ON COLUMN "smartcity"."weather"."visibility" IS 'Horizontal visibility [m]';
COMMENT ON COLUMN "smartcity"."weather"."air_quality_index" IS 'Air quality index on the US EPA scale';
COMMENT ON COLUMN "smartcity"."weather"."route" IS 'Route whose line is within 250 m, by name';
COMMENT ON COLUMN "smartcity"."weather"."route_km" IS 'Distance along that route from its origin [km]';
COMMENT ON COLUMN "smartcity"."weather"."sent_at" IS 'Wall clock of the device at publishing [UTC]';
COMMENT ON COLUMN "smartcity"."weather"."bridged_at" IS 'Wall clock of the bridge at reception [UTC]';
COMMENT ON COLUMN "smartcity"."weather"."kafka_at" IS 'Timestamp of the Kafka record [UTC]';
COMMENT ON COLUMN "smartcity"."weather"."lake_at" IS 'Wall clock of the batch that committed it [UTC]';
COMMENT ON COLUMN "smartcity"."weather"."payload_sha256" IS 'SHA-256 of the native payload as received';

CREATE TABLE IF NOT EXISTS "smartcity"."emergency" (
  "id" VARCHAR(256) NOT NULL,
  "device_id" VARCHAR(256) NOT NULL,
  "timestamp" TIMESTAMP NOT NULL,
  "incident_id" VARCHAR(240) NOT NULL,
  "type" VARCHAR(256) NOT NULL,
  "status" VARCHAR(256) NOT NULL,
  "severity" BIGINT NOT NULL,
  "latitude" DOUBLE PRECISION NOT NULL,
  "longitude" DOUBLE PRECISION NOT NULL,
  "location" VARCHAR(480),
  "description" VARCHAR(2000),
  "route" VARCHAR(160),
  "route_km" DOUBLE PRECISION,
  "sent_at" TIMESTAMP,
  "bridged_at" TIMESTAMP,
  "kafka_at" TIMESTAMP NOT NULL,
  "lake_at" TIMESTAMP NOT NULL,
  "payload_sha256" VARCHAR(256)
)
SORTKEY ("timestamp");
COMMENT ON COLUMN "smartcity"."emergency"."id" IS 'Identity of the reading: boot and sequence';
COMMENT ON COLUMN "smartcity"."emergency"."device_id" IS 'Device that made it, as the MQTT topic says';
COMMENT ON COLUMN "smartcity"."emergency"."timestamp" IS 'Event time: when the device observed it [UTC]';
COMMENT ON COLUMN "smartcity"."emergency"."incident_id" IS 'The incident; its steps share it';
COMMENT ON COLUMN "smartcity"."emergency"."type" IS 'What happened';
COMMENT ON COLUMN "smartcity"."emergency"."status" IS 'Where its life stands';
COMMENT ON COLUMN "smartcity"."emergency"."severity" IS '1 (minor) to 5 (major)';
COMMENT ON COLUMN "smartcity"."emergency"."latitude" IS 'Latitude [°]';
COMMENT ON COLUMN "smartcity"."emergency"."longitude" IS 'Longitude [°]';
COMMENT ON COLUMN "smartcity"."emergency"."location" IS 'Where, in words';
COMMENT ON COLUMN "smartcity"."emergency"."description" IS 'What happened, in a sentence';
COMMENT ON COLUMN "smartcity"."emergency"."route" IS 'Route whose line is within 250 m, by name';
COMMENT ON COLUMN "smartcity"."emergency"."route_km" IS 'Distance along that route from its origin [km]';
COMMENT ON COLUMN "smartcity"."emergency"."sent_at" IS 'Wall clock of the device at publishing [UTC]';
COMMENT ON COLUMN "smartcity"."emergency"."bridged_at" IS 'Wall clock of the bridge at reception [UTC]';
COMMENT ON COLUMN "smartcity"."emergency"."kafka_at" IS 'Timestamp of the Kafka record [UTC]';
COMMENT ON COLUMN "smartcity"."emergency"."lake_at" IS 'Wall clock of the batch that committed it [UTC]';
COMMENT ON COLUMN "smartcity"."emergency"."payload_sha256" IS 'SHA-256 of the native payload as received';

CREATE TABLE IF NOT EXISTS "smartcity"."dead_letters" (
  "reason" VARCHAR(160) NOT NULL,
  "detail" VARCHAR(2000),
  "refused_by" VARCHAR(256) NOT NULL,
  "device_id" VARCHAR(65535),
  "id" VARCHAR(65535),
  "mqtt_topic" VARCHAR(65535),
  "properties" VARCHAR(65535),
  "payload" VARBYTE(3145728) NOT NULL,
  "payload_sha256" VARCHAR(256) NOT NULL,
  "received_at" TIMESTAMP NOT NULL,
  "kafka_topic" VARCHAR(65535) NOT NULL,
  "kafka_partition" BIGINT NOT NULL,
  "kafka_offset" BIGINT NOT NULL,
  "lake_at" TIMESTAMP NOT NULL
)
SORTKEY ("received_at");
COMMENT ON COLUMN "smartcity"."dead_letters"."reason" IS 'Reason code, see the list of reasons';
COMMENT ON COLUMN "smartcity"."dead_letters"."detail" IS 'What exactly was wrong';
COMMENT ON COLUMN "smartcity"."dead_letters"."refused_by" IS 'Who refused it';
COMMENT ON COLUMN "smartcity"."dead_letters"."device_id" IS 'Device, as the MQTT topic says';
COMMENT ON COLUMN "smartcity"."dead_letters"."id" IS 'Id, as far as the envelope was readable';
COMMENT ON COLUMN "smartcity"."dead_letters"."mqtt_topic" IS 'MQTT topic it came on';
COMMENT ON COLUMN "smartcity"."dead_letters"."properties" IS 'MQTT 5 user properties as a JSON list of pairs';
COMMENT ON COLUMN "smartcity"."dead_letters"."payload" IS 'The bytes as received';
COMMENT ON COLUMN "smartcity"."dead_letters"."payload_sha256" IS 'SHA-256 of those bytes';
COMMENT ON COLUMN "smartcity"."dead_letters"."received_at" IS 'Wall clock at reception (bridge), or the Kafka record''s timestamp';
COMMENT ON COLUMN "smartcity"."dead_letters"."kafka_topic" IS 'Kafka topic the lake read it from';
COMMENT ON COLUMN "smartcity"."dead_letters"."kafka_partition" IS 'Partition there';
COMMENT ON COLUMN "smartcity"."dead_letters"."kafka_offset" IS 'Offset there';
COMMENT ON COLUMN "smartcity"."dead_letters"."lake_at" IS 'Wall clock of the batch that committed it [UTC]';
