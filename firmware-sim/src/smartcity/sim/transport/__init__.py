"""How messages reach the gateway: an interface, and two implementations of it."""

from .base import Acknowledged, Connected, Disconnected, Event, Received, Transport, Unreachable
from .fleet import FleetTransport
from .paho import PahoTransport

__all__ = [
    "Acknowledged",
    "Connected",
    "Disconnected",
    "Event",
    "FleetTransport",
    "PahoTransport",
    "Received",
    "Transport",
    "Unreachable",
]
