"""Fixtures: builders of readings, and a real Mosquitto, Kafka and bridge process for the tests marked `broker`."""

from __future__ import annotations

import base64
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from smartcity.bridge.message import Message, Reception
from smartcity.bridge.route import make_route
from smartcity.bridge.stamp import read_stamp
from smartcity.contracts.envelope import Envelope
from smartcity.contracts.streams import STREAM_BY_NAME, Stream
from smartcity.contracts.topics import KAFKA_TOPICS, reading_topic

from .loop_rig import Rig

NOW = datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC)
BOOT = "0123456789abcdef"
RAW_TOPIC = "plant_state"


def sentence(body: str) -> str:
    return f"${body}*{reduce(lambda a, b: a ^ b, body.encode()):02X}\r\n"


GPS_PAYLOAD = (
    sentence("GPRMC,080000.00,A,4327.8960,N,08031.2340,W,54.00,87.5,211126,,,A")
    + sentence("GPGGA,080000.00,4327.8960,N,08031.2340,W,1,09,0.9,329.0,M,-35.0,M,,")
    + sentence("GPGSA,A,3,02,05,07,09,13,15,18,26,29,,,,1.7,0.9,1.4")
    + sentence("GPVTG,87.5,T,,M,54.00,N,100.01,K,A")
).encode()
OBD_PAYLOAD = (
    b"7E8 04 41 0C 1A F8 \r\r>7E8 03 41 0D 64 \r\r>7E8 03 41 05 7B \r\r>7E8 03 41 04 80 \r\r>7E8 03 41 11 33 \r\r>"
    b"7E8 03 41 2F BF \r\r>7E8 03 41 0F 3C \r\r>7E8 04 41 10 03 E8 \r\r>7E8 04 41 1F 01 2C \r\r>"
    b"7E8 04 43 01 01 71 \r\r>"
)
JPEG_PAYLOAD = bytes.fromhex(
    "ffd8"  # SOI
    "ffe00010 4a46494600010100000100010000"  # APP0
    "ffc0000b 08 00f0 0140 01 011100"  # SOF0: 320 x 240
    "ffda0008 010100003f00 1234"  # SOS and entropy-coded data
    "ffd9"  # EOI
)
WEATHER_PAYLOAD = json.dumps(
    {
        "location": "Milton", "latitude": 43.5183, "longitude": -79.8774, "temperature": -3.7, "condition": "snow",
        "precipitation": 1.3, "wind_speed": 27, "wind_direction": 300.0, "humidity": 91.5, "pressure": 1003.2,
        "visibility": 2400.0, "air_quality_index": 31,
    }
).encode()  # fmt: skip
EMERGENCY_PAYLOAD = json.dumps(
    {
        "incident_id": "incident-7", "type": "accident", "status": "reported", "severity": 3, "latitude": 43.5,
        "longitude": -79.9, "location": "401 East", "description": "Two cars",
    }
).encode()  # fmt: skip
PAYLOADS = {
    "gps": GPS_PAYLOAD,
    "vehicle": OBD_PAYLOAD,
    "camera": JPEG_PAYLOAD,
    "weather": WEATHER_PAYLOAD,
    "emergency": EMERGENCY_PAYLOAD,
}
METADATA = {
    "gps": {"vehicle_type": "car"},
    "vehicle": {"make": "Toyota", "model": "Corolla", "year": 2021, "fuel_type": "petrol", "latitude": 43.5},
    "camera": {"camera_id": "cam-1", "vehicle_count": 4, "latitude": 43.5, "longitude": -79.9},
}


def on_the_wire(pairs: Any) -> bytes:
    """User properties as MQTT 5 has them."""
    texts = [text.encode() for pair in pairs for text in pair]
    parts = [len(text).to_bytes(2) + text for text in texts]
    return b"".join(b"\x26" + name + value for name, value in zip(parts[::2], parts[1::2], strict=True))


one_read = functools.cache(Reception.of)
"""Messages of the same moment come from the same read."""


@dataclass(frozen=True)
class Samples:
    """Good readings of every stream, and MQTT messages of them."""

    payloads: dict[str, bytes] = field(default_factory=lambda: dict(PAYLOADS))
    now: datetime = NOW
    boot: str = BOOT

    def sentence(self, body: str) -> str:
        return sentence(body)

    def stream(self, name: str) -> Stream:
        return STREAM_BY_NAME[name]

    def metadata(self, name: str) -> str | None:
        return json.dumps(METADATA[name]) if name in METADATA else None

    def envelope(self, name: str, *, device: str = "dev-1", sequence: int = 1, time: datetime = NOW) -> Envelope:
        return Envelope(
            boot=BOOT, sequence=sequence, device_id=device, event_type=STREAM_BY_NAME[name].event_type, time=time,
            sent_time=time,
        )  # fmt: skip

    def properties(self, name: str, **envelope: Any) -> tuple[tuple[str, str], ...]:
        pairs = self.envelope(name, **envelope).properties()
        metadata = self.metadata(name)
        return tuple(pairs) if metadata is None else (*pairs, ("metadata", metadata))

    def message(self, name: str, **changes: Any) -> Message:
        """As `Inbound` makes it. `stamped=False` sends a message the thorough way."""
        values: dict[str, Any] = {
            "topic": reading_topic("dev-1", STREAM_BY_NAME[name]),
            "payload": PAYLOADS[name],
            "properties": self.properties(name),
            "qos": 1,
            "retain": False,
            "packet_id": 1,
            "epoch": 1,
            "received_at": NOW,
            "stamped": True,
            "routes": (),
        } | changes
        route = make_route(values.pop("topic"), values.pop("routes"))
        properties = on_the_wire(values.pop("properties"))
        stamp = read_stamp(properties, route.claimed) if values.pop("stamped") else None
        reception = one_read(values.pop("received_at"))
        return Message(route=route, property_bytes=properties, stamp=stamp, reception=reception, **values)


@pytest.fixture(scope="session")
def samples() -> Samples:
    return Samples()


# Real services.


def wait_for(what: str, condition: Callable[[], Any], deadline_s: float = 60.0) -> Any:
    """The first true value of `condition`."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {deadline_s} s")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    if process.poll() is None:
        process.send_signal(number)
    return process.wait(30)


class Mosquitto:
    """A gateway with persistence off: what it forgets at a kill is part of the tests."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_packet_size 1048576\n"
            "max_queued_messages 100000\nmax_inflight_messages 1000\n"
        )
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        if binary is None:
            pytest.fail("mosquitto is not installed; run `smartcity setup`")
        log = (self._folder / "mosquitto.log").open("ab")
        self.process = subprocess.Popen([binary, "-c", str(self._config)], stdout=log, stderr=log)
        wait_for("Mosquitto", lambda: answers(self.port), 10)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            stop(self.process, number)
            self.process = None


class Kafka:
    """One KRaft node from a folder of jars."""

    def __init__(self, jars: Path, folder: Path) -> None:
        self.port, controller = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._folder = folder
        self._java = [
            os.environ.get("JAVA", "java"), "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-cp", f"{jars}/*",
        ]  # fmt: skip
        self._config = folder / "kafka.properties"
        self._config.write_text(
            "\n".join(
                (
                    "process.roles=broker,controller", "node.id=1", f"log.dirs={folder}/data",
                    f"controller.quorum.voters=1@127.0.0.1:{controller}", "controller.listener.names=CONTROLLER",
                    f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
                    f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}",
                    "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                    "offsets.topic.replication.factor=1", "offsets.topic.num.partitions=1",
                    "auto.create.topics.enable=false", "broker.session.timeout.ms=1000",
                    "broker.heartbeat.interval.ms=200",
                )
            )
        )  # fmt: skip
        cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]  # No dash in front.
        subprocess.run(
            [*self._java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._config)],
            check=True, capture_output=True,
        )  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, deadline_s: float = 60) -> None:
        log = (self._folder / "kafka.log").open("ab")
        self.process = subprocess.Popen([*self._java, "kafka.Kafka", str(self._config)], stdout=log, stderr=log)
        wait_for("Kafka", self._ready, deadline_s)

    def _ready(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            pytest.fail(f"Kafka ended; see {self._folder}/kafka.log")
        return answers(self.port)

    def create_topics(self) -> None:
        """The system's own, and one for raw routes."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        topics = [
            NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=1, config=topic.configs())
            for topic in KAFKA_TOPICS
        ] + [NewTopic(RAW_TOPIC, num_partitions=1, replication_factor=1)]
        for made in admin.create_topics(topics, operation_timeout=30).values():
            made.result(30)

    def records(self, topic: str, condition: Callable[[list[Any]], bool], deadline_s: float = 60.0) -> list[Any]:
        """All records of a topic from its beginning, once they meet the condition."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": uuid.uuid4().hex})
        partitions = next((known.partitions for known in KAFKA_TOPICS if known.name == topic), 1)
        consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        found: list[Any] = []
        try:
            end = time.monotonic() + deadline_s
            while time.monotonic() < end:
                found += [record for record in consumer.consume(1000, timeout=0.2) if record.error() is None]
                if condition(found):
                    return found
        finally:
            consumer.close()
        raise AssertionError(f"{topic}: {len(found)} records do not meet the condition within {deadline_s} s")

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process, signal.SIGKILL)
            self.process = None


class BridgeProcess:
    """`smartcity-bridge run` as a process of its own."""

    def __init__(self, mqtt_port: int, kafka: str, folder: Path, *more: str) -> None:
        self.http = free_port()
        self._arguments = [
            sys.executable, "-m", "smartcity.bridge.main", "run", "--mqtt", f"127.0.0.1:{mqtt_port}", "--kafka", kafka,
            "--http", f"127.0.0.1:{self.http}", *more,
        ]  # fmt: skip
        self.log = folder / "bridge.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self.log.open("ab")
        self.process = subprocess.Popen(self._arguments, stdout=log, stderr=log)
        wait_for("the bridge's HTTP port", lambda: self.get("/healthz")[0] == 200, 20)

    def run_to_end(self, more: list[str]) -> int:
        """Exit code of a process that is expected to give up by itself."""
        with self.log.open("ab") as log:
            arguments = [*self._arguments, *more]
            return subprocess.run(arguments, stdout=log, stderr=log, timeout=20, check=False).returncode

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def wait_ready(self) -> None:
        wait_for("the bridge's readiness", lambda: self.get("/readyz")[0] == 200, 60)

    def metrics(self) -> dict[str, float]:
        """Sum of each metric over its labels."""
        sums: dict[str, float] = {}
        for line in self.get("/metrics")[1].splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                name = name.partition("{")[0].removeprefix("smartcity_bridge_")
                sums[name] = sums.get(name, 0) + float(value)
        return sums

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        return stop(process, number)


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    root = Path(__file__).resolve().parents[2]
    jars = Path(os.environ.get("SMARTCITY_KAFKA_JARS") or root / "var/jars/kafka")
    if not any(jars.glob("kafka_2.13-*.jar")):
        pytest.fail(f"no Kafka jars in {jars}; run `smartcity setup`, or set SMARTCITY_KAFKA_JARS", pytrace=False)
    return jars


@pytest.fixture(scope="module")
def kafka(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A Kafka that is formatted and not yet started."""
    service = Kafka(kafka_jars, tmp_path_factory.mktemp("kafka"))
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A gateway that is not yet started."""
    service = Mosquitto(tmp_path)
    try:
        yield service
    finally:
        service.stop()


@dataclass(frozen=True)
class Real:
    """The real services of a test, and how to wait for them."""

    kafka: Kafka
    mosquitto: Mosquitto
    make_bridge: Callable[..., BridgeProcess]
    wait: Callable[..., Any] = staticmethod(wait_for)

    def start_kafka(self) -> None:
        """Unless an earlier test of the module has."""
        if self.kafka.process is None:
            self.kafka.start()
            self.kafka.create_topics()


@pytest.fixture
def real(kafka: Kafka, mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Real]:
    made: list[BridgeProcess] = []

    def make(*more: str) -> BridgeProcess:
        made.append(BridgeProcess(mosquitto.port, kafka.bootstrap, tmp_path, *more))
        return made[-1]

    yield Real(kafka=kafka, mosquitto=mosquitto, make_bridge=make)
    for bridge in made:
        bridge.stop(signal.SIGKILL)


@pytest.fixture
def rig(samples: Samples) -> Rig:
    return Rig(samples)
