"""Captures of MQTT traffic: recorded, read in six formats, and replayed true to time and byte."""
