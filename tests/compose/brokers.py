"""The bridge between a Mosquitto and a Kafka in containers of testcontainers, while each of the three goes away.

The images and the configuration are those of docker-compose.yml; what is published is a stranger's MQTT, of which every
message that Mosquitto took must be in Kafka, however often.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import paho.mqtt.client as mqtt
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from paho.mqtt.enums import CallbackAPIVersion
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from smartcity.local import containers
from smartcity.local.errors import ServiceError
from smartcity.local.ports import choose
from smartcity.local.services.kafka import create_topics

from ..conftest import WEATHER_REPORT, wait_for
from .project import PORTS_FROM, SERVICES, run

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

TIMEOUT_S = 120
DEVICE = "a-station"
TAG = os.environ.get("SMARTCITY_IMAGE_TAG", "dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Mosquitto, bridge, Kafka; and where this machine reaches the first and the last."""

    mosquitto: DockerContainer
    bridge: DockerContainer
    kafka: DockerContainer
    mqtt_port: int
    kafka_address: str

    def publish(self, numbers: range) -> None:
        """A weather report for each number, as its temperature; returns when Mosquitto has them all."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.connect("127.0.0.1", self.mqtt_port)
        client.loop_start()
        reports = ({**WEATHER_REPORT, "temperature": number / 100} for number in numbers)
        sent = [client.publish(f"devices/{DEVICE}/weather", json.dumps(report), qos=1) for report in reports]
        for message in sent:
            message.wait_for_publish(TIMEOUT_S)
            assert message.is_published()
        client.disconnect()
        client.loop_stop()

    def received(self) -> Counter[int]:
        """How often each number is in Kafka."""
        found: Counter[int] = Counter()
        for value in self.records("weather_data"):
            found[round(json.loads(value)["temperature"] * 100)] += 1
        return found

    def records(self, topic: str) -> list[bytes]:
        """The values of everything in a topic now."""
        consumer = Consumer({"bootstrap.servers": self.kafka_address, "group.id": "test", "enable.auto.commit": False})
        values = []
        try:
            for number in consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions:
                place = TopicPartition(topic, number, 0)
                _, end = consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
                consumer.assign([place])
                while consumer.position([place])[0].offset < end and end:
                    message = consumer.poll(5)
                    assert message is not None, f"{topic}: nothing more, before offset {end}"
                    assert message.error() is None, message.error()
                    values.append(message.value())
        finally:
            consumer.close()
        return values

    def await_numbers(self, numbers: range) -> None:
        wait_for(lambda: set(numbers) <= set(self.received()), TIMEOUT_S, f"{numbers} in Kafka")


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    port = choose(PORTS_FROM)
    configuration = tmp_path_factory.mktemp("configuration")
    for folder in configuration.parents[:2]:
        folder.chmod(folder.stat().st_mode | 0o111)
    configuration.chmod(0o755)
    containers.configure(mosquitto=configuration, kafka=configuration, host_port=port)
    with ExitStack() as started:
        network = started.enter_context(Network())
        mosquitto = _container("mosquitto", network).with_exposed_ports(1883)
        mosquitto.with_volume_mapping(str(configuration), "/mosquitto/config", "ro")
        kafka = _container("kafka", network).with_bind_ports(29092, port).with_network_aliases(containers.BROKER)
        kafka.with_volume_mapping(str(configuration), "/mnt/shared/config", "ro")
        kafka.with_envs(**SERVICES["kafka"]["environment"])
        started.enter_context(mosquitto)
        started.enter_context(kafka)
        address = f"127.0.0.1:{port}"
        wait_for(lambda: _makes_topics(address), TIMEOUT_S, "Kafka to make the topics")
        bridge = started.enter_context(_container("bridge", network))
        wait_for(lambda: _is_ready(bridge), TIMEOUT_S, "the bridge to be ready")
        mqtt_port = int(mosquitto.get_exposed_port(1883))
        yield Way(mosquitto=mosquitto, bridge=bridge, kafka=kafka, mqtt_port=mqtt_port, kafka_address=address)


def test_what_is_published_is_received_in_kafka_once(way: Way) -> None:
    way.publish(range(200))
    way.await_numbers(range(200))
    assert way.received() == Counter(range(200))


def test_what_is_broken_is_a_dead_letter_with_its_bytes(way: Way) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", way.mqtt_port)
    client.loop_start()
    client.publish(f"devices/{DEVICE}/weather", b"no weather", qos=1).wait_for_publish(TIMEOUT_S)
    client.disconnect()
    client.loop_stop()
    wait_for(lambda: way.records("dead_letters") == [b"no weather"], TIMEOUT_S, "the dead letter")


def test_nothing_is_lost_while_kafka_is_killed_and_started_again(way: Way) -> None:
    run("kill", _id(way.kafka))
    way.publish(range(1000, 1200))
    run("start", _id(way.kafka))
    way.await_numbers(range(1000, 1200))


def test_nothing_is_lost_while_the_bridge_is_killed_and_started_again(way: Way) -> None:
    run("kill", _id(way.bridge))
    way.publish(range(2000, 2200))
    assert not set(range(2000, 2200)) & set(way.received())
    run("start", _id(way.bridge))
    way.await_numbers(range(2000, 2200))


def test_nothing_is_lost_while_kafka_hangs(way: Way) -> None:
    run("pause", _id(way.kafka))
    way.publish(range(3000, 3200))
    run("unpause", _id(way.kafka))
    way.await_numbers(range(3000, 3200))


def _container(service: str, network: Network) -> DockerContainer:
    """The image, command and user of a service of docker-compose.yml, under its name."""
    described = SERVICES[service]
    image = described["image"].replace("${SMARTCITY_IMAGE_TAG:-dev}", TAG)
    container = DockerContainer(image, network=network, network_aliases=[service])
    if "command" in described:
        container.with_command(described["command"])
    if "user" in described:
        container.with_kwargs(user=described["user"])
    return container


def _id(container: DockerContainer) -> str:
    return str(container.get_wrapped_container().id)


def _is_ready(bridge: DockerContainer) -> bool:
    """By the check that docker-compose.yml has."""
    check = [part.replace("$$", "$") for part in SERVICES["bridge"]["healthcheck"]["test"][1:]]
    return bridge.get_wrapped_container().exec_run(check).exit_code == 0


def _makes_topics(address: str) -> bool:
    try:
        create_topics(containers.container_place(address))
    except (ServiceError, KafkaException):  # It starts.
        return False
    return True
