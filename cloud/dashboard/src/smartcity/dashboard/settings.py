"""The dashboard's settings, read once: flags over environment over defaults."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from smartcity.contracts.identity import Identity, IdentityError, read_bundle

from .access_token import read_token
from .errors import AddressError, CertificateError

INBOX_MESSAGES_MAX = 20_000
"""Messages that wait for the loop; beyond it the oldest are dropped and counted. The page shows the present."""
DEVICES_MAX = 2_000
"""Devices of one kind that are remembered; beyond it the longest silent is forgotten."""
INCIDENTS_MAX = 100
FRAMES_BYTES_MAX = 64 * 1024 * 1024
"""Last frames of all cameras together; beyond it the oldest is forgotten."""
PAGES_MAX = 50
"""Browsers that watch at once."""
GATHER_S = 0.05
"""How long what arrives waits for company before pages are told."""
SUMS_INTERVAL_S = 1.0
"""Between two updates of a page's counts and lamps."""
HISTORY_INTERVAL_S = 1.0
"""Between two points of a vehicle's history, whatever its rate."""
HISTORY_POINTS_MAX = 300
RAW_BYTES_MAX = 2 * 1024
"""Of a vehicle's last payload of a stream; a usual one has 600 bytes."""
MQTT_DEFAULT = "127.0.0.1:1883"
BRIDGE_INTERVAL_S = 2.0
"""Between two scrapes of the bridge while nobody watches the flow: the live page shows its counts."""
KAFKA_DEFAULT = "localhost:9092"
LAKE_DEFAULT = "http://127.0.0.1:8082"
FLOW_INTERVAL_S = 1.0
"""Between two looks at each part of the pipeline, and two updates of its page."""
FLOW_IDLE_INTERVAL_S = 5.0
"""The same while nobody watches."""
FLOW_TIMEOUT_S = 2.0
"""A part that does not answer within it counts as down."""
FLOW_WINDOW_S = 60.0
"""Latencies and the lake's rates are of so long; the faster hops' rates of `FLOW_RATE_S`."""
FLOW_RATE_S = 10.0
FLOW_ANSWER_BYTES_MAX = 1024 * 1024
FLOW_STILL_AFTER_S = 60.0
"""With records unread, a lake whose last batch ended longer ago stands still."""
LETTERS_LOOKED_AT_MAX = 500
"""Dead letters at the topic's end, per partition, in which the latest of each reason are looked for."""
LETTERS_OF_A_REASON_MAX = 20
LETTERS_TIMEOUT_S = 5.0
LETTER_SHOWN_BYTES_MAX = 4 * 1024
"""Of a letter's payload; all of it can be downloaded."""
LETTER_PROPERTIES_MAX = 64
LETTER_TEXT_CHARACTERS_MAX = 1_000
LAKE_AT_ONCE_MAX = 4
"""Queries that run at Athena at once."""
LAKE_QUESTIONS_MAX = 64
"""Questions to the lake that run or wait; one more is refused."""
LAKE_QUERY_TIMEOUT_S = 60.0
LAKE_ANSWER_TTL_S = 10.0
"""How long an answer is given again without asking."""
LAKE_ANSWERS_BYTES_MAX = 16 * 1024 * 1024
LAKE_REGISTER_INTERVAL_S = 60.0
"""Between two looks for new days of the marts."""
LAKE_FRAME_BYTES_MAX = 2 * 1024 * 1024
LAKE_VALUES_MAX = 1_000
"""Values of filters in one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the process needs to know."""

    mqtt: Address
    bridge: str
    """The bridge's HTTP address, e.g. `http://127.0.0.1:8081`; `/metrics` is read below it."""
    listen: Address
    kafka: str = KAFKA_DEFAULT
    """`HOST:PORT` of Kafka, several with commas; dead letters are read there."""
    lake: str = LAKE_DEFAULT
    """The lake driver's HTTP address; `/metrics` and `/progress` are read below it."""
    identity: Identity | None = None
    """Who we are to a gateway that asks for certificates; None: plain TCP."""
    register_marts: bool = False
    """Whether the marts' new days are put into the Glue catalog before the lake is asked."""
    token: str | None = field(default=None, repr=False)
    """What whoever looks has to know; None: only this machine looks."""


def read_settings(
    *,
    mqtt: str | None,
    bridge: str,
    listen: str,
    kafka: str = KAFKA_DEFAULT,
    lake: str = LAKE_DEFAULT,
    identity: str | None = None,
    register_marts: bool = False,
    token_file: str | None = None,
) -> Settings:
    """Settings from the values of the flags. Without `mqtt`: the identity's gateway, or this machine's.

    Raises:
        AddressError: a value is malformed, or `listen` is no loopback address and there is no token.
        CertificateError: the identity cannot be used.
        TokenError: the token's file cannot be used.
    """
    for flag, url, example in (("--bridge", bridge, "http://127.0.0.1:8081"), ("--lake", lake, LAKE_DEFAULT)):
        if not url.startswith(("http://", "https://")):
            raise AddressError(f"{flag} {url!r} is no URL: give one like {example}")
    for broker in kafka.split(","):
        parse_address("--kafka", broker)
    address = parse_address("--listen", listen)
    if token_file is None and not is_loopback(address.host):
        raise AddressError(
            f"--listen {listen} would show the city to the network: give --token-file FILE, whose content whoever "
            f"looks has to know, or use 127.0.0.1:{address.port} and reach it through an SSH tunnel"
        )
    known = _read_identity(identity) if identity else None
    if mqtt is None and known is not None:
        gateway = Address(host=known.host, port=known.port)
    else:
        gateway = parse_address("--mqtt", mqtt if mqtt is not None else MQTT_DEFAULT)
    return Settings(
        mqtt=gateway,
        bridge=bridge.rstrip("/"),
        listen=address,
        kafka=kafka,
        lake=lake.rstrip("/"),
        identity=known,
        register_marts=register_marts,
        token=read_token(Path(token_file)) if token_file else None,
    )


def _read_identity(path: str) -> Identity:
    try:
        identity = read_bundle(Path(path))
        identity.tls()
    except IdentityError as error:
        raise CertificateError(f"--mqtt-identity: {error}") from None
    return identity


def parse_address(flag: str, value: str) -> Address:
    """`HOST:PORT`, an IPv6 host in brackets.

    Raises:
        AddressError: it is not one; the message names the flag.
    """
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise AddressError(f"{flag} {value!r} is no address: give HOST:PORT, e.g. 127.0.0.1:1883")
    return Address(host=host.removeprefix("[").removesuffix("]"), port=int(port))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it. A name other than `localhost` is not resolved, and so is refused."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
