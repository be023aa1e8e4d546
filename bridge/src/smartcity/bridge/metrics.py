"""What is counted. Everything received is delivered, dead-lettered, ignored or in flight, at every moment.

The loop owns plain counters and hands out a frozen copy now and then; the scrape renders the newest copy, so that the
equation holds within every scrape.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

LATENCY_BOUNDS_S = (
    0.0, 0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7,
    1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 60.0,
)  # fmt: skip
"""Upper bounds, each at most twice the one before, so that a median or a 99th percentile means something. Up to zero:
received before it was sent, which says that two clocks disagree."""


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
    counts: Counts, *, in_flight: Counter[str], queued: int, connections: int, retries: int, rebuilds: int
) -> Snapshot:
    """A frozen copy. `in_flight` is counted from what is in hand, not derived."""
    return Snapshot(
        received=dict(counts.received),
        delivered=dict(counts.delivered),
        dead_lettered=dict(counts.dead_lettered),
        ignored=dict(counts.ignored),
        in_flight=dict(in_flight),
        queued=queued,
        connections=connections,
        retries=retries,
        rebuilds=rebuilds,
        acknowledged=counts.acknowledged,
        acknowledgements_void=counts.acknowledgements_void,
        receipts_sent=counts.receipts_sent,
        receipts_dropped=counts.receipts_dropped,
    )


class Latency:
    """A histogram by stream. The loop observes every message: prometheus_client's would cost 3 µs each."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, label: str, seconds: float, count: int = 1) -> None:
        """Count so many messages with the same latency. Below zero it is in the first bucket, and
        adds nothing to the sum."""
        counts = self._counts.get(label)
        if counts is None:
            self._sums[label] = 0.0
            counts = self._counts[label] = [0] * (len(LATENCY_BOUNDS_S) + 1)
        counts[bisect_left(LATENCY_BOUNDS_S, seconds)] += count
        if seconds > 0:
            self._sums[label] += seconds * count

    def observe_each(self, label: str, seconds: list[float]) -> None:
        """Count one message of each latency."""
        self.observe(label, seconds[0])
        counts = self._counts[label]
        for value in seconds[1:]:
            counts[bisect_left(LATENCY_BOUNDS_S, value)] += 1
        self._sums[label] += sum(value for value in seconds[1:] if value > 0)

    def family(self) -> Metric:
        """For a scrape, which runs in another thread."""
        family = HistogramMetricFamily(self._name, self._text, labels=("stream",))
        for label, counts in list(self._counts.items()):
            total, buckets = 0, []
            for bound, count in zip((*map(str, LATENCY_BOUNDS_S), "+Inf"), tuple(counts), strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric((label,), buckets, self._sums[label])
        return family


class Metrics(Collector):
    """The Prometheus side. `latest` is set by the loop and read by the HTTP threads."""

    def __init__(self) -> None:
        self.latest = snapshot(Counts(), in_flight=Counter(), queued=0, connections=0, retries=0, rebuilds=0)
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.device_to_bridge = Latency(
            "smartcity_bridge_device_to_bridge_seconds",
            "From the device's sending to the bridge's reception (two clocks)",
        )
        self.bridge_to_kafka = Latency(
            "smartcity_bridge_bridge_to_kafka_seconds",
            "From the bridge's reception to Kafka's confirmation",
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
        yield self.device_to_bridge.family()
        yield self.bridge_to_kafka.family()


def _by_stream(name: str, text: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"smartcity_bridge_{name}", text, labels=("stream",))
    for stream, value in values.items():
        family.add_metric((stream,), value)
    return family
