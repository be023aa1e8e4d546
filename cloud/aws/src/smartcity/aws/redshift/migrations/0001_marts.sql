-- The marts as tables, and which file of each day they were loaded from.

CREATE SCHEMA marts;

CREATE TABLE marts.journeys (
  device_id VARCHAR(128) NOT NULL,
  started_at TIMESTAMP NOT NULL,
  ended_at TIMESTAMP NOT NULL,
  duration_s DOUBLE PRECISION NOT NULL,
  route VARCHAR(160),
  start_route_km DOUBLE PRECISION,
  end_route_km DOUBLE PRECISION,
  start_latitude DOUBLE PRECISION,
  start_longitude DOUBLE PRECISION,
  end_latitude DOUBLE PRECISION,
  end_longitude DOUBLE PRECISION,
  distance_km DOUBLE PRECISION,
  mean_speed_km_h DOUBLE PRECISION,
  max_speed_km_h DOUBLE PRECISION,
  stops BIGINT NOT NULL,
  stopped_s DOUBLE PRECISION NOT NULL,
  start_fuel_level DOUBLE PRECISION,
  end_fuel_level DOUBLE PRECISION,
  fuel_used DOUBLE PRECISION,
  fuel_type VARCHAR(256),
  vehicle_type VARCHAR(256),
  make VARCHAR(160),
  model VARCHAR(160),
  year BIGINT,
  had_trouble_codes BOOLEAN,
  gps_readings BIGINT NOT NULL,
  obd_readings BIGINT NOT NULL
)
SORTKEY (started_at);

CREATE TABLE marts.speed_by_km (
  slot_at TIMESTAMP NOT NULL,
  route VARCHAR(160) NOT NULL,
  km BIGINT NOT NULL,
  readings BIGINT NOT NULL,
  vehicles BIGINT NOT NULL,
  mean_speed_km_h DOUBLE PRECISION NOT NULL,
  min_speed_km_h DOUBLE PRECISION NOT NULL,
  max_speed_km_h DOUBLE PRECISION NOT NULL
)
SORTKEY (slot_at);

CREATE TABLE marts.weather_speed (
  slot_at TIMESTAMP NOT NULL,
  route VARCHAR(160) NOT NULL,
  station_id VARCHAR(128) NOT NULL,
  readings BIGINT NOT NULL,
  mean_speed_km_h DOUBLE PRECISION NOT NULL,
  reported_at TIMESTAMP NOT NULL,
  condition VARCHAR(256) NOT NULL,
  temperature DOUBLE PRECISION NOT NULL,
  precipitation DOUBLE PRECISION NOT NULL,
  wind_speed DOUBLE PRECISION NOT NULL,
  humidity DOUBLE PRECISION NOT NULL,
  visibility DOUBLE PRECISION,
  air_quality_index DOUBLE PRECISION NOT NULL
)
SORTKEY (slot_at);

CREATE TABLE marts.incident_response (
  incident_id VARCHAR(240) NOT NULL,
  first_step_at TIMESTAMP NOT NULL,
  type VARCHAR(256) NOT NULL,
  status VARCHAR(256) NOT NULL,
  severity BIGINT NOT NULL,
  reported_at TIMESTAMP,
  responding_at TIMESTAMP,
  resolved_at TIMESTAMP,
  response_s DOUBLE PRECISION,
  clearance_s DOUBLE PRECISION,
  duration_s DOUBLE PRECISION,
  latitude DOUBLE PRECISION NOT NULL,
  longitude DOUBLE PRECISION NOT NULL,
  route VARCHAR(160),
  route_km DOUBLE PRECISION,
  location VARCHAR(480),
  description VARCHAR(2000),
  responder_id VARCHAR(128) NOT NULL
)
SORTKEY (first_step_at);

CREATE TABLE marts.camera_activity (
  slot_at TIMESTAMP NOT NULL,
  device_id VARCHAR(128) NOT NULL,
  camera_id VARCHAR(240),
  location VARCHAR(480),
  latitude DOUBLE PRECISION,
  longitude DOUBLE PRECISION,
  route VARCHAR(160),
  route_km DOUBLE PRECISION,
  frames BIGINT NOT NULL,
  frame_bytes BIGINT NOT NULL,
  counted_frames BIGINT NOT NULL,
  vehicle_count BIGINT,
  mean_vehicle_count DOUBLE PRECISION,
  max_vehicle_count BIGINT,
  last_snapshot VARCHAR(480) NOT NULL
)
SORTKEY (slot_at);

CREATE TABLE marts.city_hours (
  slot_at TIMESTAMP NOT NULL,
  gps_readings BIGINT NOT NULL,
  vehicle_readings BIGINT NOT NULL,
  camera_readings BIGINT NOT NULL,
  weather_readings BIGINT NOT NULL,
  emergency_readings BIGINT NOT NULL,
  readings BIGINT NOT NULL,
  vehicles BIGINT NOT NULL,
  mean_speed_km_h DOUBLE PRECISION,
  reported_incidents BIGINT NOT NULL,
  resolved_incidents BIGINT NOT NULL,
  active_incidents BIGINT NOT NULL,
  median_response_s DOUBLE PRECISION,
  worst_air_quality_index DOUBLE PRECISION,
  worst_air_quality_location VARCHAR(480),
  mean_temperature DOUBLE PRECISION,
  mean_precipitation DOUBLE PRECISION
)
SORTKEY (slot_at);

CREATE TABLE ops.loaded_days (
  mart VARCHAR(64) NOT NULL,
  day DATE NOT NULL,
  etag VARCHAR(64) NOT NULL,
  loaded_at TIMESTAMP NOT NULL
);
