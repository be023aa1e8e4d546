"""What docker-compose.yml takes from this project's code instead of saying it again.

    python -m smartcity.local.containers configure --mosquitto DIR --kafka DIR
    python -m smartcity.local.containers topics --kafka HOST:PORT

    python -m smartcity.local.containers jars --spark DIR

`configure` writes the files that the native stack writes, for the network of the containers: mosquitto.conf,
server.properties (KRaft) and zookeeper-broker.properties. `topics` makes the contract's topics. `jars`
fetches Spark's for its image, and needs pyspark (for its Ivy) and Java. `configure` also looks at the settings that
people may give; every broker waits for it, so that a wrong one is named before anything else runs.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from smartcity.edge.gateway import Gateway, render

from .errors import LocalError, ServiceError
from .jars import provide
from .layout import Layout
from .programs import find_java
from .services.kafka import KAFKA, create_topics, properties
from .services.mosquitto import MOSQUITTO
from .services.service import Place

BROKER = "broker"
"""The name of Kafka in the containers' network, whichever of the two brokers runs."""
KAFKA_PORT = KAFKA.ports["kafka"]
CONTROLLER_PORT = KAFKA.ports["kafka_controller"]
HOST_LISTENER_PORT = 29092
"""Inside the container, for clients on the host, to whom the broker must give another address."""
KAFKA_DATA = "/var/lib/kafka/data"
MOSQUITTO_DATA = Path("/mosquitto/data")
ZOOKEEPER = "zookeeper:2181"
OF_KRAFT = (
    "process.roles",
    "controller.quorum.voters",
    "controller.listener.names",
    "node.id",
    "broker.session.timeout.ms",
    "broker.heartbeat.interval.ms",
    "share.coordinator.state.topic.replication.factor",
    "share.coordinator.state.topic.min.isr",
)
"""Settings that a broker with ZooKeeper does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlace(Place):
    """The containers' network, where Kafka has a name instead of a port on loopback."""

    kafka: str

    def address(self, port: str) -> str:
        """`host:port` of a named port; Kafka's alone is known here."""
        return self.kafka if port == "kafka" else f"localhost:{self.ports[port]}"


def container_place(kafka: str = f"{BROKER}:{KAFKA_PORT}") -> ContainerPlace:
    """Everything at the ports that the native stack prefers."""
    return ContainerPlace(layout=Layout(var=Path("/")), ports={**KAFKA.ports, **MOSQUITTO.ports}, kafka=kafka)


def mosquitto_conf() -> str:
    """The gateway's configuration. It listens on every address of its container; who reaches it, compose says."""
    return render(Gateway(host="0.0.0.0", port=MOSQUITTO.ports["mqtt"], data=MOSQUITTO_DATA))


def broker_properties(*, host_port: int, zookeeper: bool) -> dict[str, str]:
    """The native broker's settings, with what differs in a container: listeners, data folder and coordination."""
    listeners = f"PLAINTEXT://:{KAFKA_PORT},HOST://:{HOST_LISTENER_PORT}"
    protocols = "PLAINTEXT:PLAINTEXT,HOST:PLAINTEXT"
    place = container_place()
    common = {
        **properties(place),
        "advertised.listeners": f"PLAINTEXT://{place.address('kafka')},HOST://localhost:{host_port}",
        "log.dirs": KAFKA_DATA,
    }
    if zookeeper:
        kept = {name: value for name, value in common.items() if name not in OF_KRAFT}
        return {
            **kept,
            "broker.id": common["node.id"],
            "zookeeper.connect": ZOOKEEPER,
            # A broker that was killed leaves its registration until the session ends.
            "zookeeper.session.timeout.ms": "6000",
            "listeners": listeners,
            "listener.security.protocol.map": protocols,
        }
    return {
        **common,
        "listeners": f"{listeners},CONTROLLER://:{CONTROLLER_PORT}",
        "listener.security.protocol.map": f"{protocols},CONTROLLER:PLAINTEXT",
    }


def configure(*, mosquitto: Path, kafka: Path, host_port: int) -> list[Path]:
    """Write the files; returns their paths."""
    texts = {
        mosquitto / "mosquitto.conf": mosquitto_conf(),
        kafka / "server.properties": _lines(broker_properties(host_port=host_port, zookeeper=False)),
        kafka / "zookeeper-broker.properties": _lines(broker_properties(host_port=host_port, zookeeper=True)),
    }
    for path, text in texts.items():
        path.write_text(text)
        path.chmod(0o644)  # Read by the users of other images.
    return list(texts)


def _lines(settings: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def only_one_broker(kafka: str) -> None:
    """Both brokers have the same name in the network, so that clients need not know which of them runs.

    Raises:
        ServiceError: both run, or none; names the setting.
    """
    host, _, port = kafka.rpartition(":")
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)}
    except OSError as error:
        raise ServiceError(f"kafka: {kafka} has no address ({error}); does a broker run?") from None
    if len(found) > 1:
        raise ServiceError(
            f"kafka: {len(found)} brokers are called {host}; with the profile zookeeper set SMARTCITY_KRAFT_BROKERS=0"
        )


def _whole(low: int, high: int) -> Callable[[str], bool]:
    return lambda text: text.isascii() and text.isdigit() and low <= int(text) <= high


def _positive(text: str) -> bool:
    try:
        return 0 < float(text) <= 3600
    except ValueError:
        return False


SETTINGS: dict[str, tuple[str, Callable[[str], bool], str]] = {
    "SMARTCITY_KAFKA_PORT": ("9092", _whole(1, 65_535), "a port between 1 and 65535"),
    "SMARTCITY_KRAFT_BROKERS": ("1", _whole(0, 1), "1, or 0 with the profile zookeeper"),
    "SMARTCITY_VEHICLES": ("2", _whole(1, 10_000), "a number of vehicles between 1 and 10000"),
    "SMARTCITY_SPEED": ("1", _positive, "a speed above 0, at most 3600 times real time"),
}
"""What may be given to docker-compose.yml beside ports: the default, what is right, and how to say so."""


def wrong_settings(environment: Mapping[str, str]) -> list[str]:
    """One line for each setting that is given and wrong; it names the setting and its value."""
    return [
        f"{name} is {environment[name]!r}, not {what}"
        for name, (_, right, what) in SETTINGS.items()
        if name in environment and not right(environment[name])
    ]


def main(arguments: list[str] | None = None) -> int:
    """Entry of `python -m smartcity.local.containers`."""
    parser = argparse.ArgumentParser(
        prog="python -m smartcity.local.containers",
        description="Set-up steps of docker-compose.yml.",
        epilog="example: python -m smartcity.local.containers topics --kafka broker:9092",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    configuring = commands.add_parser("configure", help="write Mosquitto's and Kafka's configuration")
    configuring.add_argument("--mosquitto", type=Path, required=True, metavar="DIR")
    configuring.add_argument("--kafka", type=Path, required=True, metavar="DIR")
    topics = commands.add_parser("topics", help="create the contract's topics where they are missing")
    topics.add_argument("--kafka", required=True, metavar="HOST:PORT")
    jars = commands.add_parser("jars", help="fetch Spark's jars")
    jars.add_argument("--spark", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        if options.command == "configure":
            if wrong := wrong_settings(os.environ):
                raise LocalError("\n".join(wrong))
            host_port = int(os.environ.get("SMARTCITY_KAFKA_PORT", KAFKA_PORT))
            print(*configure(mosquitto=options.mosquitto, kafka=options.kafka, host_port=host_port), sep="\n")
        elif options.command == "jars":
            provide("spark", options.spark, find_java(), print)
        else:
            only_one_broker(options.kafka)
            create_topics(container_place(options.kafka))
    except (LocalError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
