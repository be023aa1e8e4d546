"""Where a message goes, as far as its MQTT topic says: worked out once per topic."""

from __future__ import annotations

from dataclasses import dataclass

from paho.mqtt.client import topic_matches_sub

from smartcity.contracts.streams import Stream
from smartcity.contracts.topics import STATUS_LEAF, parse_device_topic, stream_of_topic

from .stamp import claim

ROUTES_MAX = 50_000
"""Topics remembered. Beyond it all are forgotten at once: topics that never come again must not pile up."""

STATUS_LABEL = "status"
UNKNOWN_LABEL = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRoute:
    """Messages whose MQTT topic matches the filter go into a Kafka topic unchanged; the key is the MQTT topic."""

    pattern: str
    kafka_topic: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """What a topic means."""

    topic: str
    label: str
    """For counters: the stream's name, `status`, `unknown`, or of a raw route the Kafka topic."""
    key: bytes | None
    """Of the Kafka record."""
    device: str | None
    stream: Stream | None
    raw_topic: str | None
    """Kafka topic of a raw route."""
    ignored: bool
    """Status messages need no record: other listeners read them from the gateway itself."""
    claimed: bytes
    """Source and type that the envelope must have; empty where there is no stream."""
    source: bytes
    """The envelope's, as a header of the record."""


class Routes:
    """Finds routes. A raw route's filter comes before the streams."""

    def __init__(self, raw: tuple[RawRoute, ...] = ()) -> None:
        self._raw = raw
        self._known: dict[bytes, Route] = {}

    def find(self, topic: bytes) -> Route:
        """The route of an MQTT topic, as on the wire. Bytes that are not UTF-8 become replacement characters."""
        route = self._known.get(topic)
        if route is None:
            if len(self._known) >= ROUTES_MAX:
                self._known.clear()
            route = self._known[topic] = make_route(topic.decode(errors="replace"), self._raw)
        return route


def make_route(topic: str, raw: tuple[RawRoute, ...] = ()) -> Route:
    """What an MQTT topic means."""
    parsed, found = parse_device_topic(topic), stream_of_topic(topic)
    device = None if parsed is None else parsed[0]
    stream = None if found is None else found[1]
    raw_topic = next((one.kafka_topic for one in raw if topic_matches_sub(one.pattern, topic)), None)
    is_status = parsed is not None and parsed[1] == STATUS_LEAF
    if raw_topic is not None:
        label = raw_topic
    elif stream is not None:
        label = stream.name
    else:
        label = STATUS_LABEL if is_status else UNKNOWN_LABEL
    return Route(
        topic=topic,
        label=label,
        key=topic.encode() if raw_topic is not None else None if device is None else device.encode(),
        device=device,
        stream=stream,
        raw_topic=raw_topic,
        ignored=is_status and raw_topic is None,
        claimed=b"" if device is None or stream is None else claim(device, stream),
        source=f"/devices/{device}".encode(),
    )
