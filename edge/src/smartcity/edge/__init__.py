"""The MQTT gateway: Mosquitto's configuration, and what it guarantees."""
