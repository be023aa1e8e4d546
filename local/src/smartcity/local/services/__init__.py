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
from .spark_cluster import LAKE_ON_CLUSTER, SPARK_MASTER, SPARK_WORKERS

SERVICES: tuple[Service, ...] = (S3, AWS, MOSQUITTO, KAFKA, BRIDGE, LAKE, DASHBOARD, MAINTENANCE)
"""Each stands after what it needs."""

CLUSTER_SERVICES: tuple[Service, ...] = (
    S3, AWS, MOSQUITTO, KAFKA, BRIDGE, SPARK_MASTER, *SPARK_WORKERS, LAKE_ON_CLUSTER, DASHBOARD, MAINTENANCE,
)  # fmt: skip
"""The same with the lake's tasks on a Spark cluster instead of in its driver."""

__all__ = ["CLUSTER_SERVICES", "SERVICES", "Place", "Service"]
