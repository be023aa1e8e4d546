"""The parts of the stack, one module each, and their order."""

from .aws import AWS
from .bridge import BRIDGE
from .dashboard import DASHBOARD
from .kafka import KAFKA
from .lake import LAKE
from .maintenance import MAINTENANCE
from .mosquitto import MOSQUITTO
from .s3 import S3
from .service import Place, Service

SERVICES: tuple[Service, ...] = (S3, AWS, MOSQUITTO, KAFKA, BRIDGE, LAKE, DASHBOARD, MAINTENANCE)
"""Each stands after what it needs."""

__all__ = ["SERVICES", "Place", "Service"]
