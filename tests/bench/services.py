"""A real Mosquitto and a real Kafka for a benchmark, with the gateway's own limits."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(what: str, condition: Callable[[], bool], deadline_s: float, pause_s: float = 0.05) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {deadline_s:.0f} s")
        time.sleep(pause_s)


def answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


class Mosquitto:
    """An unlimited queue, so that the whole drain waits in it; in memory."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        binary = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        if binary is None:
            raise SystemExit("mosquitto is not installed; run `make setup`")
        self.version = subprocess.run([binary, "-h"], capture_output=True, text=True, check=False).stdout.split()[2]
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
            "set_tcp_nodelay true\n"
        )
        log = (folder / "mosquitto.log").open("wb")
        self._process = subprocess.Popen([binary, "-c", str(config)], stdout=log, stderr=log)
        wait_for("Mosquitto", lambda: answers(port), 10)

    @property
    def pid(self) -> int:
        return self._process.pid

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.resume()
        self._process.terminate()
        self._process.wait(10)


class Kafka:
    """One KRaft node."""

    def __init__(self, jars: Path, folder: Path, port: int, controller: int) -> None:
        found = sorted(jars.glob("kafka_2.13-*.jar"))
        if not found:
            raise SystemExit(f"no Kafka jars in {jars}; run `make setup`, or set SMARTCITY_KAFKA_JARS")
        self.version = found[0].stem.rpartition("-")[2]
        self.bootstrap = f"127.0.0.1:{port}"
        java = [
            os.environ.get("JAVA", "java"), "-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-cp", f"{jars}/*",
        ]  # fmt: skip
        config = folder / "kafka.properties"
        config.write_text(
            "\n".join(
                (
                    "process.roles=broker,controller", "node.id=1", f"log.dirs={folder}/kafka",
                    f"controller.quorum.voters=1@127.0.0.1:{controller}", "controller.listener.names=CONTROLLER",
                    f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
                    f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}",
                    "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                    "offsets.topic.replication.factor=1", "offsets.topic.num.partitions=1",
                    "auto.create.topics.enable=false",
                )
            )
        )  # fmt: skip
        cluster = "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]  # Not "-": it would be an option.
        format_storage = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config)]
        subprocess.run(format_storage, check=True, capture_output=True)
        log = (folder / "kafka.log").open("wb")
        self._process = subprocess.Popen([*java, "kafka.Kafka", str(config)], stdout=log, stderr=log)
        wait_for("Kafka", lambda: answers(port), 60)
        self._consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "bench"})

    def create(self, topics: dict[str, dict[str, str]], partitions: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wanted = [
            NewTopic(name, num_partitions=partitions, replication_factor=1, config=configs)
            for name, configs in topics.items()
        ]
        for made in admin.create_topics(wanted, operation_timeout=30).values():
            made.result(30)

    def count(self, topic: str, partitions: int) -> int:
        """Records ever written to a topic.

        Raises:
            SystemExit: Kafka does not say within a minute.
        """
        deadline = time.monotonic() + 60
        while True:
            try:
                return sum(
                    self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
                    for number in range(partitions)
                )
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise SystemExit(f"Kafka does not tell the size of {topic}: {error}") from error

    def ends(self, topic: str, partitions: int) -> list[TopicPartition]:
        """Where the next records will be written."""
        return [
            TopicPartition(
                topic, number, self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
            )
            for number in range(partitions)
        ]

    def read(self, start: list[TopicPartition], count: int) -> list[Message]:
        """So many records from there on.

        Raises:
            SystemExit: they do not come within a minute.
        """
        self._consumer.assign(start)
        found: list[Message] = []
        deadline = time.monotonic() + 60
        while len(found) < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"Kafka gave {len(found)} of {count} records")
            found += [one for one in self._consumer.consume(10_000, timeout=1) if one.error() is None]
        self._consumer.unassign()
        return found

    def stop(self) -> None:
        self._consumer.close()
        self._process.kill()
        self._process.wait(10)
