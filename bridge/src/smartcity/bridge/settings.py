"""Everything that can be set, read once: environment for defaults, then flags. And the limits that are not flags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from paho.mqtt.client import topic_matches_sub
from paho.mqtt.enums import MQTTProtocolVersion

from smartcity.contracts.identity import Identity, IdentityError, read_bundle
from smartcity.contracts.topics import KAFKA_TOPICS

from .errors import SettingsError
from .route import RawRoute

QUEUE_MESSAGES_MAX = 4_000
"""Messages read from the gateway and not yet examined. QoS 1 alone stays below `receive_maximum`; QoS 0 knows no
window, so beyond this the socket is not read."""
READ_BYTES_MAX = 256 * 1024
"""Read from the socket in one turn of the loop, so that Kafka's reports and the keep-alive get theirs."""
BATCH_MESSAGES_MAX = 1_000
"""Messages of a raw route that are produced, and acknowledged, as one."""
KEEPALIVE_S = 20
CONNECT_TIMEOUT_S = 3.0
SESSION_EXPIRY_S = 7 * 24 * 60 * 60
"""How long the gateway keeps the session of a bridge that is away; as long as Kafka keeps the streams."""
LOSSES_MAX = 3
LOSSES_WINDOW_S = 5.0
"""So many connections lost so quickly mean that another client uses our id. Mosquitto 2.0 closes without a DISCONNECT
(0x8E) then, and both clients would take the session from each other for ever. The first to notice is the older one."""
BACKOFF_MIN_S = 0.2
BACKOFF_MAX_S = 5.0
RECEIPTS_QUEUED_MAX = 2_000
"""Receipts that the gateway has not acknowledged; further ones are dropped, and the devices send again."""
RECEIPTS_INFLIGHT_MAX = 100

DELIVERY_TIMEOUT_S = 60
"""After this without Kafka's confirmation a record is produced anew."""
PRODUCER_QUEUE_MESSAGES_MAX = 20_000
PRODUCER_QUEUE_KIB_MAX = 64 * 1024
LINGER_MS = 5
RETRY_MIN_S = 0.5
RETRY_MAX_S = 10.0
REFUSALS_MAX = 3
"""Kafka fails a whole batch for one bad record in it; only a record refused this often is itself the bad one."""

GC_ALLOCATIONS = 200_000
"""Container objects between two runs of Python's cycle collector; what is in flight has some ten per message."""
LOOP_STALLED_S = 15.0
"""`/healthz` fails when the loop has not turned for so long. Connecting may hold it for CONNECT_TIMEOUT_S."""
DRAIN_TIMEOUT_S = 10.0
"""On SIGTERM: how long to wait for Kafka's confirmation of what is in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One bridge process."""

    mqtt_host: str
    mqtt_port: int
    identity: Identity | None = None
    """Who we are to a gateway that asks for certificates; None: plain TCP."""
    kafka: str
    """Bootstrap servers, `host:port` separated by commas."""
    kafka_cluster_id: str | None = None
    """The only cluster that may answer there; None: any."""
    http_host: str
    http_port: int
    client_id: str
    receive_maximum: int
    """QoS 1 messages that the gateway may have on the way to us, unacknowledged (3.1.1 cannot say so)."""
    receipt_interval_s: float
    mqtt_version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5
    rate_limit_per_s: float | None = None
    """Readings per second and device in the long run; None: no limit."""
    rate_burst: int = 0
    """Readings that a device may send at once, where there is a limit."""
    routes: tuple[RawRoute, ...] = ()
    """Besides the streams: MQTT filters whose messages go into Kafka topics unchanged."""


MQTT_VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


def parse_address(name: str, value: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` (`[::1]:1883` for IPv6).

    Raises:
        SettingsError: it is not of that form.
    """
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
        raise SettingsError(f"{name} is {value!r}; give HOST:PORT, for example localhost:1883")
    return host, int(port)


def parse_identity(value: str) -> Identity:
    """The identity in a bundle of `smartcity-edge`.

    Raises:
        SettingsError: it cannot be read, or is none.
    """
    try:
        identity = read_bundle(Path(value))
        identity.tls()
    except IdentityError as error:
        raise SettingsError(f"--mqtt-identity: {error}") from None
    return identity


_KAFKA_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_OWN_TOPICS = frozenset(topic.name for topic in KAFKA_TOPICS)


def parse_route(value: str) -> RawRoute:
    """The route in `FILTER=TOPIC`.

    Raises:
        SettingsError: the filter is not one of MQTT, or hears the bridge's own receipts; the topic is not a name that
            Kafka takes, or one of a stream, whose readers expect checked readings.
    """
    pattern, equals, topic = value.rpartition("=")
    if not equals:
        raise SettingsError(f"--route is {value!r}; give FILTER=TOPIC, for example plant/+/state=plant_state")
    levels = pattern.split("/")
    misplaced = "#" in levels[:-1] or any(len(level) > 1 and set(level) & {"+", "#"} for level in levels)
    if not pattern or misplaced or pattern.startswith("$"):
        raise SettingsError(f"--route {value!r}: {pattern!r} is not an MQTT filter to subscribe to")
    if topic_matches_sub(pattern, "receipts/device"):
        raise SettingsError(f"--route {value!r}: {pattern!r} includes receipts/…, which the bridge itself publishes")
    if not _KAFKA_TOPIC.fullmatch(topic) or topic in (".", "..") or topic in _OWN_TOPICS:
        raise SettingsError(f"--route {value!r}: {topic!r} is no name for a Kafka topic, or is one of the bridge's own")
    return RawRoute(pattern=pattern, kafka_topic=topic)
