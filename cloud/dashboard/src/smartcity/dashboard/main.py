"""`smartcity-dashboard`: wires the subscriber, the city and the page, and runs them until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import signal
import socket
import sys
import time
from dataclasses import replace
from typing import Any

import uvicorn

from smartcity.aws.dashboard.city import DASHBOARD
from smartcity.aws.settings import from_environment

from .errors import AddressError, CertificateError, DashboardError, PortTakenError, TokenError
from .flow_pages import flow_routes
from .flow_parts import Gateway
from .flow_watch import Watch
from .inbox import Inbox
from .lake import Athena, Lake
from .lake_definition import shown_result
from .lake_pages import frame_reader, lake_routes
from .letters_kafka import Letters
from .live import Live
from .live_pages import live_routes
from .metrics import Metrics, metrics_routes
from .server import build_app
from .settings import (
    KAFKA_DEFAULT,
    LAKE_DEFAULT,
    LAKE_QUERY_TIMEOUT_S,
    MQTT_DEFAULT,
    Settings,
    is_loopback,
    read_settings,
)

_EXAMPLE = "example: smartcity-dashboard run --mqtt 127.0.0.1:1883 --bridge http://127.0.0.1:8081"

_log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 after SIGTERM or SIGINT, 2 for a wrong flag, 1 for a port that is taken."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = read_settings(
            mqtt=options.mqtt,
            bridge=options.bridge,
            kafka=options.kafka,
            lake=options.lake,
            listen=options.listen,
            identity=options.mqtt_identity,
            register_marts=options.register_marts,
            token_file=options.token_file,
        )
        listener = open_listener(settings)
    except DashboardError as error:
        print(f"smartcity-dashboard: {error}", file=sys.stderr)
        return 2 if isinstance(error, AddressError | CertificateError | TokenError) else 1
    with listener:
        asyncio.run(run(settings, listener))
    return 0


def open_listener(settings: Settings) -> socket.socket:
    """The listening socket, so that a taken port is known before anything starts.

    Raises:
        PortTakenError: it is in use, or not ours to open.
    """
    address = settings.listen
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
        raise PortTakenError(f"{address} {why}: stop who holds it, or give another with --listen") from error
    return listener


async def run(settings: Settings, listener: socket.socket) -> None:
    """The whole process: one loop owns the city."""
    inbox = Inbox(settings.mqtt, settings.identity)

    def about() -> dict[str, Any]:
        gateway = {"trouble": inbox.trouble, "dropped": inbox.dropped, "address": str(settings.mqtt)}
        return {"gateway": gateway, "bridge": watch.bridge_counts.shown()}

    def gateway_seen() -> Gateway:
        sums = live.city.sums()
        known = {"counts": sums["counts"], "devices": sums["devices"]}
        return Gateway(address=str(settings.mqtt), trouble=inbox.trouble, **known)

    live = Live(inbox, time.time, about)
    aws = replace(from_environment(), query_timeout_s=LAKE_QUERY_TIMEOUT_S)
    lake = Lake(Athena(aws, register=settings.register_marts, shown=shown_result).ask)
    watch, letters = Watch(settings, gateway=gateway_seen, environment=os.environ), Letters(settings.kafka)
    app = build_app(
        frame=live.city.frame,
        trouble=lambda: inbox.trouble,
        pages=lambda: live.pages,
        more=[
            *live_routes(live, about, lambda: server.should_exit),
            *lake_routes(DASHBOARD, lake, frame_reader(aws)),
            *flow_routes(watch, letters, stopping=lambda: server.should_exit),
            *metrics_routes(Metrics(inbox, live.city, lambda: live.pages)),
        ],
        token=settings.token,
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", server_header=False))
    loop = asyncio.get_running_loop()

    # Uvicorn raises a signal once more after its own orderly end; without these handlers that would kill the process.
    def stop() -> None:
        server.should_exit = True
        lake.close()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    _log.info("the city is at http://%s", settings.listen)
    if not is_loopback(settings.listen.host):
        _log.warning("the token and the page go unencrypted over the network: put a proxy with TLS in front")
    tasks = [asyncio.create_task(live.fill()), asyncio.create_task(watch.run())]
    for task in tasks:
        # A task that ends has failed: the page would silently stand still.
        task.add_done_callback(lambda _: setattr(server, "should_exit", True))
    try:
        await server.serve(sockets=[listener])
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        lake.close()
        letters.close()
        inbox.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smartcity-dashboard",
        description="The live city and its lake in a browser, for this machine, or for whoever knows the token. The "
        "lake is asked through Athena, whose region, credentials and endpoints come the way boto3 reads them (AWS_*).",
        epilog=_EXAMPLE,
    )
    commands = parser.add_subparsers(required=True, metavar="run")
    run_parser = commands.add_parser(
        "run",
        help="serve the page until stopped",
        epilog=_EXAMPLE,
    )
    flags = (
        ("mqtt", "SMARTCITY_MQTT", None, "HOST:PORT", f"the gateway; else the identity's, or {MQTT_DEFAULT}"),
        ("bridge", "SMARTCITY_BRIDGE_URL", "http://127.0.0.1:8081", "URL", "the bridge's HTTP address"),
        (
            "listen",
            "SMARTCITY_DASHBOARD_LISTEN",
            "127.0.0.1:8080",
            "HOST:PORT",
            "where to serve; beyond this machine only with --token-file",
        ),
        ("kafka", "SMARTCITY_KAFKA", KAFKA_DEFAULT, "HOST:PORT", "Kafka, whose dead letters are shown"),
        ("lake", "SMARTCITY_LAKE_URL", LAKE_DEFAULT, "URL", "the lake driver's HTTP address"),
    )
    for name, variable, default, metavar, text in flags:
        value = os.environ.get(variable, default)
        run_parser.add_argument(f"--{name}", default=value, metavar=metavar, help=f"{text} (${variable})")
    run_parser.add_argument(
        "--mqtt-identity",
        default=os.environ.get("SMARTCITY_DASHBOARD_IDENTITY"),
        metavar="FILE",
        help="bundle of smartcity-edge, for a gateway with identities ($SMARTCITY_DASHBOARD_IDENTITY)",
    )
    run_parser.add_argument(
        "--token-file",
        default=os.environ.get("SMARTCITY_DASHBOARD_TOKEN_FILE"),
        metavar="FILE",
        help="whoever looks has to know what this file holds; made where it is missing "
        "($SMARTCITY_DASHBOARD_TOKEN_FILE)",
    )
    run_parser.add_argument(
        "--register-marts",
        action="store_true",
        help="put new days of the marts into the Glue catalog before asking; where no crawler does",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
