"""What is counted. Everything received is delivered, dead-lettered, ignored or in flight, at every moment.

The loop owns plain counters and hands out a frozen copy now and then; the scrape renders the newest copy, so that the
equation holds within every scrape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


@dataclass(slots=True)
class Counts:
    """Owned by the loop. Keys are stream names, `status` or `unknown`."""

    received: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)
    dead_lettered: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By stream and reason code."""
    ignored: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    acknowledgements_void: int = 0
    receipts_sent: int = 0
    receipts_dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All counters at one moment between two turns of the loop."""

    received: dict[str, int]
    delivered: dict[str, int]
    dead_lettered: dict[tuple[str, str], int]
    ignored: dict[str, int]
    in_flight: dict[str, int]
    queued: int
    """Read from the gateway, not yet received in the sense above."""
    connections: int
    retries: int
    rebuilds: int
    acknowledged: int
    acknowledgements_void: int
    receipts_sent: int
    receipts_dropped: int


def snapshot(
    counts: Counts, *, in_flight: Iterable[str], queued: int, connections: int, retries: int, rebuilds: int
) -> Snapshot:
    """A frozen copy. `in_flight` has one label per message in hand: it is counted, not derived."""
    return Snapshot(
        received=dict(counts.received),
        delivered=dict(counts.delivered),
        dead_lettered=dict(counts.dead_lettered),
        ignored=dict(counts.ignored),
        in_flight=dict(Counter(in_flight)),
        queued=queued,
        connections=connections,
        retries=retries,
        rebuilds=rebuilds,
        acknowledged=counts.acknowledged,
        acknowledgements_void=counts.acknowledgements_void,
        receipts_sent=counts.receipts_sent,
        receipts_dropped=counts.receipts_dropped,
    )


class Metrics(Collector):
    """The Prometheus side. `latest` is set by the loop and read by the HTTP threads."""

    def __init__(self) -> None:
        self.latest = snapshot(Counts(), in_flight=(), queued=0, connections=0, retries=0, rebuilds=0)
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.device_to_bridge = Histogram(
            "smartcity_bridge_device_to_bridge_seconds",
            "From the device's sending to the bridge's reception (two clocks)",
            ("stream",),
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.bridge_to_kafka = Histogram(
            "smartcity_bridge_bridge_to_kafka_seconds",
            "From the bridge's reception to Kafka's confirmation",
            ("stream",),
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        now = self.latest
        yield _by_stream("received", "Messages taken from the gateway", now.received)
        yield _by_stream("delivered", "Readings that Kafka has confirmed", now.delivered)
        yield _by_stream("ignored", "Messages that need no record: status and retained", now.ignored)
        dead = CounterMetricFamily(
            "smartcity_bridge_dead_lettered", "Dead letters that Kafka has confirmed", labels=("stream", "reason")
        )
        for (stream, reason), value in now.dead_lettered.items():
            dead.add_metric((stream, reason), value)
        yield dead
        in_flight = GaugeMetricFamily(
            "smartcity_bridge_in_flight", "Received and not yet confirmed by Kafka", labels=("stream",)
        )
        for stream in now.received:
            in_flight.add_metric((stream,), now.in_flight.get(stream, 0))
        yield in_flight
        yield GaugeMetricFamily("smartcity_bridge_queue_messages", "Read, and waiting to be received", now.queued)
        for name, text, value in (
            ("mqtt_connections", "MQTT connections made", now.connections),
            ("produce_retries", "Records produced again after a failed delivery", now.retries),
            ("producer_rebuilds", "Producers replaced after a fatal error", now.rebuilds),
            ("acknowledged", "PUBACKs sent", now.acknowledged),
            ("acknowledgements_void", "PUBACKs not sent: their connection had ended", now.acknowledgements_void),
            ("receipts", "Receipts published", now.receipts_sent),
            ("receipts_dropped", "Receipts that could not be published", now.receipts_dropped),
        ):
            yield CounterMetricFamily(f"smartcity_bridge_{name}", text, value)


def _by_stream(name: str, text: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"smartcity_bridge_{name}", text, labels=("stream",))
    for stream, value in values.items():
        family.add_metric((stream,), value)
    return family
