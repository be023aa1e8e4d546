"""Apache Kafka: one node in KRaft mode, formatted once, with the topics of the contract."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from smartcity.contracts.limits import DEAD_LETTER_RECORD_BYTES_MAX
from smartcity.contracts.topics import KAFKA_TOPICS

from ..errors import ServiceError
from ..jars import expected, missing
from ..programs import find_java
from .service import PROBE_TIMEOUT_S, Place, Service

HEAP = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""One small node: the serial collector and the first compiler tier halve its start and its memory."""
FORMAT_TIMEOUT_S = 60
TOPICS_TIMEOUT_S = 30


def properties(place: Place) -> dict[str, str]:
    """The broker's settings. Everything is on loopback and on one node, hence each replication factor of 1."""
    client, controller = place.address("kafka"), place.address("kafka_controller")
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{client}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(place.layout.data("kafka")),
        "auto.create.topics.enable": "false",
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # Topics set their own, smaller limit; the largest record of all is a dead letter.
        "message.max.bytes": str(DEAD_LETTER_RECORD_BYTES_MAX),
        "replica.fetch.max.bytes": str(DEAD_LETTER_RECORD_BYTES_MAX),
        # After a kill -9 the controller waits this long before it lets the same broker in again.
        "broker.session.timeout.ms": "1000",
        "broker.heartbeat.interval.ms": "200",
        # An acknowledged record survives a killed process (page cache); a power cut can cost the last second.
        "log.flush.scheduler.interval.ms": "1000",
        "log.flush.interval.ms": "1000",
        "log.segment.bytes": str(128 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    }


def _folder(place: Place) -> Path:
    return place.layout.config("kafka")


def _java(place: Place, *arguments: str) -> list[str]:
    return [
        str(find_java().program),
        *HEAP,
        f"-Dlog4j2.configurationFile={_folder(place) / 'log4j2.properties'}",
        "-cp",
        f"{place.layout.jars('kafka')}/*",
        *arguments,
    ]


def _prepare(place: Place) -> None:
    wrong = missing(place.layout.jars("kafka"), expected("kafka"))
    if wrong:
        raise ServiceError(f"kafka: {wrong[0]} in {place.layout.jars('kafka')}; run: smartcity setup")
    folder = _folder(place)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name}={value}" for name, value in properties(place).items()]
    (folder / "server.properties").write_text("\n".join(lines) + "\n")
    (folder / "log4j2.properties").write_text(LOGGING)
    data = place.layout.data("kafka")
    if not ((data / "meta.properties").exists() and (data / "bootstrap.checkpoint").exists()):
        _format(place)


def cluster_id(identity: uuid.UUID) -> str:
    """Base64 as Kafka wants it, but never with a dash in front, which its command line takes for an option."""
    return "A" + base64.urlsafe_b64encode(identity.bytes).decode().rstrip("=")[1:]


def formatted_cluster_id(place: Place) -> str | None:
    """The id that the stack's own Kafka was formatted with; None before its first start."""
    try:
        lines = (place.layout.data("kafka") / "meta.properties").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), None)


def _format(place: Place) -> None:
    place.layout.data("kafka").mkdir(parents=True, exist_ok=True)
    command = _java(place, "kafka.tools.StorageTool", "format", "--ignore-formatted")
    command += ["--cluster-id", cluster_id(uuid.uuid4())]
    command += ["--config", str(_folder(place) / "server.properties")]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"kafka: formatting took longer than {FORMAT_TIMEOUT_S} s") from error
    if run.returncode != 0:
        raise ServiceError(f"kafka: formatting {place.layout.data('kafka')} failed: {run.stderr[-500:]}")


def _command(place: Place) -> list[str]:
    return _java(place, "kafka.Kafka", str(_folder(place) / "server.properties"))


def admin(address: str) -> AdminClient:
    """An admin client that keeps its connection complaints to itself: the caller sees the errors."""
    return AdminClient({"bootstrap.servers": address, "socket.timeout.ms": 5000, "log_level": 0})


def _probe(place: Place) -> str | None:
    try:
        admin(place.address("kafka")).list_topics(timeout=PROBE_TIMEOUT_S)
    except KafkaException as error:
        return f"{place.address('kafka')}: {error.args[0].str()}"
    return None


def create_topics(place: Place) -> None:
    """Create the contract's topics where they are missing.

    Raises:
        ServiceError: Kafka refuses.
    """
    client = admin(place.address("kafka"))
    new = [
        NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=1, config=topic.configs())
        for topic in KAFKA_TOPICS
    ]
    for name, future in client.create_topics(new, operation_timeout=TOPICS_TIMEOUT_S).items():
        try:
            future.result(timeout=TOPICS_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise ServiceError(f"kafka: topic {name} was refused: {error.args[0].str()}") from error


LOGGING = """\
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSX}{UTC} %p %c{1}: %m%n
# Each prints its whole configuration at start.
logger.config.name = org.apache.kafka.common.config.AbstractConfig
logger.config.level = warn
logger.server.name = kafka.server.KafkaConfig
logger.server.level = warn
"""

KAFKA = Service(
    name="kafka",
    ports={"kafka": 9092, "kafka_controller": 9093},
    prepare=_prepare,
    command=_command,
    probe=_probe,
    finish=create_topics,
    start_timeout_s=180,
    stop_timeout_s=20,
    keeps_data=True,
)


def watermarks(address: str) -> dict[str, dict[int, tuple[int, int]]]:
    """First and end offset of each of the contract's topics, by partition; empty where Kafka is away."""
    # A consumer is needed to ask for offsets; it subscribes to nothing and joins no group.
    consumer = Consumer({"bootstrap.servers": address, "group.id": "smartcity-status", "log_level": 0})
    found: dict[str, dict[int, tuple[int, int]]] = {}
    try:
        topics = consumer.list_topics(timeout=PROBE_TIMEOUT_S).topics
        for name in (topic.name for topic in KAFKA_TOPICS if topic.name in topics):
            found[name] = {}
            for number in topics[name].partitions:
                offsets = consumer.get_watermark_offsets(TopicPartition(name, number), timeout=PROBE_TIMEOUT_S)
                found[name][number] = offsets or (0, 0)
    except KafkaException:
        return {}
    finally:
        consumer.close()
    return found


def record_counts(address: str) -> dict[str, int]:
    """Records that each of the contract's topics holds now (end minus start offsets); empty where Kafka is away."""
    return counts_of(watermarks(address))


def counts_of(found: dict[str, dict[int, tuple[int, int]]]) -> dict[str, int]:
    """Records by topic, of `watermarks`."""
    return {topic: sum(end - first for first, end in partitions.values()) for topic, partitions in found.items()}
