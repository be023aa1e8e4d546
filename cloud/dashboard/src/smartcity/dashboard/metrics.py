"""What the dashboard tells Prometheus about itself. Belongs to the loop that owns the city, as does the scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .city import City
from .inbox import Inbox

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """`pages` gives how many browsers watch."""

    def __init__(self, inbox: Inbox, city: City, pages: Callable[[], int]) -> None:
        self._inbox, self._city, self._pages = inbox, city, pages
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def exposition(self) -> bytes:
        """One scrape, in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        readings = CounterMetricFamily(
            "smartcity_dashboard_readings", "Readings that the gateway passed on", labels=("stream",)
        )
        unreadable = CounterMetricFamily(
            "smartcity_dashboard_unreadable", "Readings whose payload says nothing to the page", labels=("stream",)
        )
        for family, counts in ((readings, self._city.counts), (unreadable, self._city.unreadable)):
            for stream, count in counts.items():
                family.add_metric((stream,), count)
            yield family
        things = GaugeMetricFamily("smartcity_dashboard_things", "What the live page remembers", labels=("kind",))
        for kind, count in self._city.sizes().items():
            things.add_metric((kind,), count)
        yield things
        yield CounterMetricFamily(
            "smartcity_dashboard_dropped", "Messages that came faster than they were read", self._inbox.dropped
        )
        is_connected = float(self._inbox.trouble is None)
        yield GaugeMetricFamily("smartcity_dashboard_gateway_connected", "1 while subscribed, else 0", is_connected)
        yield GaugeMetricFamily("smartcity_dashboard_pages", "Browsers that watch", self._pages())


def metrics_routes(metrics: Metrics) -> list[Route]:
    """The address that a Prometheus scrapes."""

    async def scrape(request: Request) -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)

    return [Route("/metrics", scrape)]
