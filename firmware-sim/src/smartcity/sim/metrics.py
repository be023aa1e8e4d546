"""What the devices tell Prometheus, for those who keep an eye on a simulator that runs for days."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from smartcity.contracts.streams import STREAMS

from .courier import Courier
from .errors import MetricsError
from .source import Source

INTERVAL_S = 1.0


class Metrics(Collector):
    """The loop refreshes it, a scrape in another thread reads what it was last."""

    def __init__(self, *, source: Source, courier: Courier, monotonic: Callable[[], float]) -> None:
        self._source = source
        self._courier = courier
        self._monotonic = monotonic
        self._next = monotonic()
        self._latest: tuple[Metric, ...] = ()
        self()

    def __call__(self) -> None:
        now = self._monotonic()
        if now >= self._next:
            self._next = now + INTERVAL_S
            self._latest = tuple(self._families())

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        yield from self._latest

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Answer `/metrics` from a thread of its own; what is returned ends that.

        Raises:
            MetricsError: the port is taken, or the address not ours.
        """
        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        try:
            server, _ = start_http_server(port, host, registry)
        except OSError as error:
            raise MetricsError(
                f"--metrics {host}:{port} cannot be opened: {error.strerror}; give another port"
            ) from None

        def stop() -> None:
            server.shutdown()
            server.server_close()

        return stop

    def _families(self) -> Iterator[Metric]:
        counts = self._courier.counts()
        generated = CounterMetricFamily("smartcity_sim_generated", "Readings written to the outbox", labels=("stream",))
        for stream in STREAMS:
            generated.add_metric((stream.name,), counts.generated[stream.name])
        yield generated
        for name, text, value in (
            ("published", "Readings sent, again each time", counts.published),
            ("confirmed", "Readings forgotten, since they are safe", counts.confirmed),
            ("refused", "Readings that the gateway or the bridge refused", counts.refused),
            ("dropped", "Readings that found no room in the outbox", counts.dropped),
            ("faults", "Readings struck by a fault of the plan", counts.faults.total()),
        ):
            yield CounterMetricFamily(f"smartcity_sim_{name}", text, value)
        for name, text, number in (
            ("pending", "Readings that wait for their confirmation", counts.pending),
            ("devices", "Devices of this run", len(self._courier.boots)),
            ("devices_connected", "Devices that the gateway has accepted", counts.connected),
            ("behind_seconds", "Simulated time that is still to be made up for", self._source.lag_s),
        ):
            yield GaugeMetricFamily(f"smartcity_sim_{name}", text, number)
