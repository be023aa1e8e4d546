"""Nothing is taken before it is known whose Kafka it is, and nothing confirmed once another one has answered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from smartcity.bridge.cluster import ASK_EVERY_S, Cluster
from smartcity.bridge.errors import ClusterError
from smartcity.bridge.message import Record
from smartcity.bridge.outbound import Flight, Outbound

OURS, FOREIGN = "AcurDJmHSl-ours", "AmDUiMCLS_-foreign"
RECONNECTED = (
    'CLUSTERID [rdkafka#producer-1] [thrd:main]: Broker 127.0.0.1:9092/1 reports different ClusterId "%s" than '
    'previously known "%s": a client must not be simultaneously connected to multiple clusters'
)


class Kafka:
    """A producer of whichever cluster the test says; None while it is away."""

    def __init__(self) -> None:
        self.cluster_id: str | None = OURS
        self.reports: list[Callable[[Any, Any], None]] = []
        self.heard: Callable[[], None] = lambda: None

    def produce(self, topic: str, value: bytes, key: Any, partition: int, callback: Any, *_more: Any) -> None:
        self.reports.append(callback)

    def poll(self, timeout: float) -> int:
        self.heard()
        for report in self.reports:
            report(None, None)
        self.reports.clear()
        return 0

    def purge(self) -> None: ...

    def list_topics(self, *, timeout: float) -> Any:
        if self.cluster_id is None:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return self


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(OURS)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbound(kafka: Any, cluster: Cluster, clock: Clock) -> Outbound:
    return Outbound(lambda on_error: kafka, cluster=cluster, clock=clock)


def send(outbound: Outbound, samples: Any) -> None:
    record = Record(topic="gps_data", key=b"d", value=b"a", headers={})
    outbound.send(Flight(samples.message("gps"), record, None))


def test_nothing_is_taken_from_the_gateway_until_the_right_kafka_has_answered(
    outbound: Outbound, kafka: Kafka, clock: Clock
) -> None:
    kafka.cluster_id = None
    assert outbound.poll() == []
    assert outbound.room == 0
    kafka.cluster_id = OURS
    assert outbound.poll() == []
    assert outbound.room == 0, "it is asked every so often, since asking waits"
    clock.now += ASK_EVERY_S
    outbound.poll()
    assert outbound.room > 0


def test_another_kafka_at_the_start_ends_the_bridge(outbound: Outbound, kafka: Kafka) -> None:
    kafka.cluster_id = FOREIGN
    with pytest.raises(ClusterError, match=FOREIGN):
        outbound.poll()


def test_what_another_kafka_reports_after_a_reconnect_is_not_confirmed(
    outbound: Outbound, kafka: Kafka, cluster: Cluster, samples: Any
) -> None:
    outbound.poll()
    send(outbound, samples)
    line = logging.LogRecord("librdkafka", logging.WARNING, "", 0, RECONNECTED, (FOREIGN, OURS), None)
    kafka.heard = lambda: cluster.filter(line) and None
    with pytest.raises(ClusterError, match=FOREIGN):
        outbound.poll()
    assert len(outbound) == 1


def test_a_new_producer_is_asked_anew(outbound: Outbound, kafka: Kafka, clock: Clock) -> None:
    outbound.poll()
    kafka.cluster_id = FOREIGN
    outbound.rebuild()
    assert outbound.room == 0
    clock.now += ASK_EVERY_S
    with pytest.raises(ClusterError):
        outbound.poll()


def test_other_lines_of_the_log_pass_and_mean_nothing(cluster: Cluster) -> None:
    cluster.answered(OURS)
    line = logging.LogRecord("librdkafka", logging.WARNING, "", 0, "FAIL [x]: Connect refused", (), None)
    assert cluster.filter(line)
    cluster.answered(None)
    cluster.require()
    assert cluster.known


def test_without_an_id_nobody_is_asked(kafka: Any, samples: Any) -> None:
    kafka.cluster_id = FOREIGN
    outbound = Outbound(lambda on_error: kafka)
    send(outbound, samples)
    assert len(outbound.poll()) == 1
