"""The bridge from MQTT to Kafka."""

from __future__ import annotations

from .kafka import formatted_cluster_id
from .service import Place, Service, console_script, http_probe

CLIENT_ID = "smartcity-bridge"
"""One for ever: the persistent MQTT session, and what waits in it, hangs on this name."""


def _command(place: Place) -> list[str]:
    command = [console_script("smartcity-bridge"), "run"]
    command += ["--mqtt", place.address("mqtt"), "--kafka", place.address("kafka")]
    command += place.identity_flags(CLIENT_ID)
    if (cluster := formatted_cluster_id(place)) is not None:
        command += ["--kafka-cluster-id", cluster]
    return [*command, "--http", place.address("bridge_http"), "--client-id", CLIENT_ID]


def _probe(place: Place) -> str | None:
    return http_probe(f"{place.url('bridge_http')}/readyz")


BRIDGE = Service(
    name="bridge",
    needs=("mosquitto", "kafka"),
    ports={"bridge_http": 8081},
    command=_command,
    probe=_probe,
    start_timeout_s=180,
    stop_timeout_s=30,
)
