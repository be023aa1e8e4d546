"""Sensors: what a device sees of the world, written in its native format. Pure functions over values."""
