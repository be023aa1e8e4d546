"""How messages reach the gateway: an interface, and one implementation of it."""

from .base import Acknowledged, Connected, Disconnected, Event, Received, Transport, Unreachable
from .paho import PahoTransport

__all__ = [
    "Acknowledged",
    "Connected",
    "Disconnected",
    "Event",
    "PahoTransport",
    "Received",
    "Transport",
    "Unreachable",
]
