"""The process: `smartcity-bridge run`."""

from __future__ import annotations

import argparse
import gc
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from smartcity.contracts.identity import Identity

from . import settings as limits
from .cluster import Cluster
from .errors import SettingsError, TerminalError
from .health import Health
from .inbound import Inbound
from .ledger import Ledger
from .loop import Loop
from .metrics import Metrics
from .outbound import Outbound, producer_factory
from .rate import RateLimit
from .settings import MQTT_VERSIONS, Settings, parse_address, parse_identity, parse_route

log = logging.getLogger(__name__)

BURST_S = 10
"""How many seconds of its rate a device may send at once, unless --rate-burst says it."""
_READY_TIMEOUT_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 after SIGTERM or SIGINT, 1 when it cannot go on, 2 for a wrong flag."""
    options = _parser(os.environ).parse_args(arguments)
    logging.basicConfig(
        level=options.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        run(read_settings(options))
    except SettingsError as error:
        print(f"smartcity-bridge: {error}", file=sys.stderr)
        return 2
    except TerminalError as error:
        print(f"smartcity-bridge: {error}", file=sys.stderr)
        return 1
    return 0


def run(settings: Settings) -> None:
    """Bridge until SIGTERM or SIGINT.

    Raises:
        TerminalError: the HTTP port is taken, or the MQTT session was; or another Kafka cluster answers.
    """
    stop_requested = False

    def request_stop(_number: int, _frame: object) -> None:
        nonlocal stop_requested
        stop_requested = True

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)
    ledger, metrics = Ledger(), Metrics()
    inbound = Inbound(settings, on_epoch=ledger.begin)
    outbound = Outbound(
        producer_factory(settings),
        more_topics=tuple(route.kafka_topic for route in settings.routes),
        cluster=_cluster(settings),
    )
    loop = Loop(
        source=inbound,
        outbound=outbound,
        ledger=ledger,
        metrics=metrics,
        receipt_interval_s=settings.receipt_interval_s,
        rate_limit=_rate_limit(settings),
    )
    health = Health(
        (settings.http_host, settings.http_port),
        stalled=lambda: _stalled(loop),
        missing=_missing(inbound, outbound),
        registry=metrics.registry,
    )
    log.info(
        "bridging MQTT %s:%d to Kafka %s; health and metrics on http://%s:%d",
        settings.mqtt_host, settings.mqtt_port, settings.kafka, settings.http_host, settings.http_port,
    )  # fmt: skip
    # What lives per message is freed by reference counts; the collector would only walk over all that is in flight.
    gc.freeze()
    gc.set_threshold(limits.GC_ALLOCATIONS)
    try:
        loop.run(lambda: stop_requested)
    finally:
        health.close()


def _cluster(settings: Settings) -> Cluster | None:
    if settings.kafka_cluster_id is None:
        return None
    cluster, said = Cluster(settings.kafka_cluster_id), logging.getLogger("librdkafka")
    said.addFilter(cluster)
    said.setLevel(min(said.getEffectiveLevel(), logging.WARNING))  # What is not logged, a filter does not hear.
    return cluster


def _rate_limit(settings: Settings) -> RateLimit | None:
    if settings.rate_limit_per_s is None:
        return None
    return RateLimit(per_s=settings.rate_limit_per_s, burst=settings.rate_burst, clock=time.monotonic)


def _stalled(loop: Loop) -> str | None:
    silent_s = time.monotonic() - loop.turned_at
    return f"the loop has not turned for {silent_s:.0f} s" if silent_s > limits.LOOP_STALLED_S else None


def _missing(inbound: Inbound, outbound: Outbound) -> Callable[[], list[str]]:
    return lambda: [fault for fault in (inbound.fault, outbound.missing(_READY_TIMEOUT_S)) if fault is not None]


def read_settings(options: argparse.Namespace) -> Settings:
    """Settings from parsed flags.

    Raises:
        SettingsError: an address or a number is out of its range.
    """
    identity = parse_identity(options.mqtt_identity) if options.mqtt_identity else None
    mqtt_host, mqtt_port = _gateway(options.mqtt, identity)
    http_host, http_port = parse_address("--http", options.http)
    for server in options.kafka.split(","):
        parse_address("--kafka", server)
    if not 1 <= options.receive_maximum <= 65_535:
        raise SettingsError(f"--receive-maximum is {options.receive_maximum}; MQTT 5 allows 1 to 65535")
    if not 1 <= options.receipt_interval_ms <= 60_000:
        raise SettingsError(f"--receipt-interval-ms is {options.receipt_interval_ms}; give 1 to 60000")
    rate, burst = options.rate_limit_per_s, options.rate_burst
    if rate is not None and not 0 < rate < math.inf:
        raise SettingsError(f"--rate-limit-per-s is {rate}; give a number above 0")
    if burst is not None and (rate is None or burst < 1):
        raise SettingsError(f"--rate-burst is {burst}; give a number from 1, together with --rate-limit-per-s")
    return Settings(
        mqtt_host=mqtt_host,
        mqtt_port=mqtt_port,
        identity=identity,
        kafka=options.kafka,
        kafka_cluster_id=options.kafka_cluster_id or None,
        http_host=http_host,
        http_port=http_port,
        client_id=identity.name if identity else options.client_id,
        receive_maximum=options.receive_maximum,
        rate_limit_per_s=rate,
        rate_burst=burst or math.ceil((rate or 0) * BURST_S),
        receipt_interval_s=options.receipt_interval_ms / 1000,
        mqtt_version=MQTT_VERSIONS[options.mqtt_version],
        routes=tuple(parse_route(value) for value in options.route),
    )


def _gateway(address: str | None, identity: Identity | None) -> tuple[str, int]:
    """What the flag says, else what the identity says, else this machine."""
    if address is None and identity is not None:
        return identity.host, identity.port
    return parse_address("--mqtt", address or "localhost:1883")


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="smartcity-bridge", description="Bridge readings from MQTT to Kafka.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "run",
        help="bridge until SIGTERM",
        description="Bridge readings from an MQTT gateway to Kafka until SIGTERM or SIGINT.",
        epilog="example: smartcity-bridge run --mqtt localhost:1883 --kafka localhost:9092 --http 127.0.0.1:8081",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = command.add_argument
    add("--mqtt", metavar="HOST:PORT", help="MQTT gateway (SMARTCITY_MQTT); else the identity's, or localhost:1883",
        default=environment.get("SMARTCITY_MQTT"))  # fmt: skip
    add("--mqtt-identity", metavar="FILE", help="bundle of smartcity-edge (SMARTCITY_BRIDGE_IDENTITY): TLS, and its "
        "name instead of --client-id", default=environment.get("SMARTCITY_BRIDGE_IDENTITY"))  # fmt: skip
    add("--kafka", metavar="HOST:PORT[,…]", help="Kafka's bootstrap servers (SMARTCITY_KAFKA)",
        default=environment.get("SMARTCITY_KAFKA", "localhost:9092"))  # fmt: skip
    add("--kafka-cluster-id", metavar="ID", help="end when another Kafka cluster answers (SMARTCITY_KAFKA_CLUSTER_ID)",
        default=environment.get("SMARTCITY_KAFKA_CLUSTER_ID"))  # fmt: skip
    add("--http", metavar="HOST:PORT", help="where /healthz, /readyz and /metrics are served (SMARTCITY_BRIDGE_HTTP)",
        default=environment.get("SMARTCITY_BRIDGE_HTTP", "127.0.0.1:8081"))  # fmt: skip
    add("--client-id", metavar="NAME", help="MQTT client id, which names the session; one bridge per gateway",
        default=environment.get("SMARTCITY_BRIDGE_CLIENT_ID", "smartcity-bridge"))  # fmt: skip
    add("--mqtt-version", default="5", choices=MQTT_VERSIONS, help="3.1.1 has no envelopes: every reading is foreign")
    add(
        "--receive-maximum",
        metavar="N",
        type=int,
        default=1000,
        help="unacknowledged messages the gateway may send (MQTT 5)",
    )
    add("--receipt-interval-ms", metavar="N", type=int, default=200, help="how long receipts are gathered")
    add(
        "--route",
        metavar="FILTER=TOPIC",
        action="append",
        default=[],
        help="also take what matches an MQTT filter into a Kafka topic, unchanged, its key the MQTT topic; repeatable",
    )
    add("--rate-limit-per-s", metavar="N", type=float, help="readings per second and device; those above become dead "
        "letters (rate_limited). Off by default; a backlog after an outage counts too")  # fmt: skip
    add("--rate-burst", metavar="N", type=int, help=f"readings that a device may send at once (default: {BURST_S} s)")
    add("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="what to log to stderr")
    return parser


if __name__ == "__main__":
    sys.exit(main())
