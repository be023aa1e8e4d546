"""Settings, flags, receipts, health, and the MQTT session's bookkeeping, without a network beyond the loopback."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from smartcity.bridge import settings as limits
from smartcity.bridge.errors import PortTakenError, SessionTakenOver, SettingsError
from smartcity.bridge.health import Health
from smartcity.bridge.inbound import Inbound
from smartcity.bridge.ledger import Ack
from smartcity.bridge.main import _parser, read_settings
from smartcity.bridge.receipts import Receipts
from smartcity.bridge.settings import Settings, parse_address
from smartcity.contracts.identity import format_bundle
from smartcity.contracts.receipts import coalesce, decode_receipt
from smartcity.edge.authority import new_authority


def parsed(*flags: str, **environment: str) -> Settings:
    return read_settings(_parser(environment).parse_args(["run", *flags]))


def test_flags_come_after_the_environment() -> None:
    both = {"SMARTCITY_MQTT": "gateway:1", "SMARTCITY_KAFKA": "k1:9092,k2:9092"}
    found = parsed("--mqtt", "[::1]:1884", "--receive-maximum", "7", "--receipt-interval-ms", "50", **both)
    assert (found.mqtt_host, found.mqtt_port, found.kafka) == ("::1", 1884, "k1:9092,k2:9092")
    assert (found.receive_maximum, found.receipt_interval_s, found.client_id) == (7, 0.05, "smartcity-bridge")
    assert parsed(**both).mqtt_host == "gateway"


@pytest.mark.parametrize(
    "flags",
    [
        ("--mqtt", "localhost"),
        ("--kafka", "a:1,b"),
        ("--http", "x:70000"),
        ("--receive-maximum", "0"),
        ("--receive-maximum", "65536"),
        ("--receipt-interval-ms", "0"),
        ("--route", "plant/#"),
        ("--route", "=topic"),
        ("--route", "plant/#/x=topic"),
        ("--route", "plant/x+=topic"),
        ("--route", "$SYS/#=topic"),
        ("--route", "#=topic"),
        ("--route", "plant/#=a topic"),
        ("--route", "plant/#=.."),
        ("--route", "plant/#=gps_data"),
    ],
)
def test_a_wrong_setting_is_named(flags: tuple[str, str]) -> None:
    with pytest.raises(SettingsError, match=flags[0]):
        parsed(*flags)


@pytest.mark.parametrize("value", ["", ":", ":1", "host:", "host:0", "host:x", "host:65536", "host:1²"])
def test_what_is_no_address(value: str) -> None:
    with pytest.raises(SettingsError):
        parse_address("--mqtt", value)


def test_routes_are_filters_and_topics() -> None:
    found = parsed("--route", "plant/+/state=plant_state", "--route", "a=b/#=c").routes
    assert [(route.pattern, route.kafka_topic) for route in found] == [("plant/+/state", "plant_state"), ("a=b/#", "c")]


@given(st.lists(st.integers(1, 40), max_size=60))
def test_receipts_are_exactly_what_was_confirmed(sequences: list[int]) -> None:
    receipts = Receipts()
    for sequence in sequences:
        receipts.confirm(("dev-1", "a" * 16, sequence))
    spans = [span for _, payload in receipts.drain() for span in decode_receipt(payload)["a" * 16]]
    assert spans == coalesce(sequences)


def test_receipts_never_span_what_was_not_confirmed() -> None:
    receipts = Receipts()
    for sequence in (5, 1, 2, 4, 2):
        receipts.confirm(("dev-1", "a" * 16, sequence))
    receipts.confirm(("dev-2", "b" * 16, 9))
    assert {topic: decode_receipt(payload) for topic, payload in receipts.drain()} == {
        "receipts/dev-1": {"a" * 16: [(1, 2), (4, 5)]},
        "receipts/dev-2": {"b" * 16: [(9, 9)]},
    }
    assert not receipts
    assert list(receipts.drain()) == []


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_says_what_is_wrong() -> None:
    state: dict[str, Any] = {"stalled": None, "missing": []}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    health = Health(
        ("127.0.0.1", port),
        stalled=lambda: state["stalled"],
        missing=lambda: state["missing"],
        registry=CollectorRegistry(),
    )
    url = f"http://127.0.0.1:{port}"
    try:
        assert get(f"{url}/healthz") == (200, "ok\n")
        assert get(f"{url}/readyz") == (200, "ready\n")
        assert get(f"{url}/metrics")[0] == 200
        assert get(f"{url}/other")[0] == 404
        state |= {"stalled": "the loop sleeps", "missing": ["Kafka: away", "MQTT: away"]}
        assert get(f"{url}/healthz") == (503, "the loop sleeps\n")
        assert get(f"{url}/readyz") == (503, "Kafka: away\nMQTT: away\n")
        with pytest.raises(PortTakenError, match=rf"127.0.0.1:{port} .* is in use.*--http"):
            Health(("127.0.0.1", port), stalled=lambda: None, missing=list, registry=CollectorRegistry())
    finally:
        health.close()


class Code:
    """A reason code as paho gives it."""

    def __init__(self, value: int = 0) -> None:
        self.value = value
        self.is_failure = value >= 0x80


class Flags:
    session_present = True

    def __init__(self, *, from_server: bool = False) -> None:
        self.is_disconnect_packet_from_server = from_server


class Client:
    """As much of paho as the callbacks touch."""

    def __init__(self) -> None:
        self.acked: list[int] = []
        self.subscribed = 0

    def subscribe(self, _filters: list[Any]) -> None:
        self.subscribed += 1

    def acknowledge(self, packet_ids: list[int]) -> int:
        self.acked += packet_ids
        return 0

    def socket(self) -> None:
        return None

    def reconnect(self) -> None:
        raise ConnectionRefusedError("refused")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(limits, "BACKOFF_MIN_S", 0.0)
    epochs: list[int] = []
    inbound: Any = Inbound(parsed(), on_epoch=epochs.append)
    inbound._client = Client()
    inbound.epochs = epochs
    return inbound


def connect(session: Any, code: int = 0) -> None:
    session._on_connect(session._client, None, Flags(), Code(code), None)


def lose(session: Any, code: int = 0x80, *, from_server: bool = False) -> None:
    session._on_disconnect(session._client, None, Flags(from_server=from_server), Code(code), None)


def test_every_connection_subscribes_and_has_epochs_of_its_own(session: Any) -> None:
    connect(session)
    lose(session)
    connect(session)
    assert session.epochs == [1, 2, 3]
    assert session._client.subscribed == 2
    assert "not subscribed" in session.fault
    session._on_subscribe(session._client, None, 1, [Code(1)], None)
    assert session.fault is None


def test_an_acknowledgement_of_another_epoch_is_not_sent(session: Any) -> None:
    connect(session)
    old = Ack(packet_ids=[1], epoch=session.epoch)
    lose(session)
    assert session.ack(old) is False
    connect(session)
    assert session.ack(old) is False
    assert session.ack(Ack(packet_ids=[2], epoch=session.epoch)) is True
    assert session._client.acked == [2]


def test_a_refused_subscription_is_a_fault(session: Any) -> None:
    connect(session)
    session._on_subscribe(session._client, None, 1, [Code(0x87)], None)
    assert "refuses the subscription to devices/#" in session.fault
    lose(session)
    assert "refuses the subscription to devices/#" in session.fault


def test_a_session_that_is_taken_over_ends_the_process(session: Any) -> None:
    connect(session)
    lose(session, 0x8E, from_server=True)
    with pytest.raises(SessionTakenOver, match=r"'smartcity-bridge' at localhost:1883.*--client-id"):
        session.turn(0.0, reading=True)


def test_a_tug_of_war_over_the_session_ends_the_process(session: Any) -> None:
    for _ in range(limits.LOSSES_MAX - 1):
        connect(session)
        lose(session)
    session.turn(0.0, reading=True)
    connect(session)
    lose(session)
    with pytest.raises(SessionTakenOver):
        session.turn(0.0, reading=True)


def test_a_gateway_that_is_away_is_no_tug_of_war(session: Any) -> None:
    for _ in range(20):
        lose(session)
        session.turn(0.0, reading=True)
    assert "disconnected" in session.fault or "cannot connect" in session.fault


def test_a_limit_per_device_is_off_until_asked_for() -> None:
    assert parsed().rate_limit_per_s is None
    limited = parsed("--rate-limit-per-s", "2.5")
    assert (limited.rate_limit_per_s, limited.rate_burst) == (2.5, 25)
    assert parsed("--rate-limit-per-s", "2", "--rate-burst", "7").rate_burst == 7
    for wrong in (("--rate-limit-per-s", "0"), ("--rate-burst", "5"), ("--rate-limit-per-s", "1", "--rate-burst", "0")):
        with pytest.raises(SettingsError, match="--rate-"):
            parsed(*wrong)


def test_an_identity_names_gateway_and_session(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = new_authority("x", now=now)
    issued = authority.issue_client("smartcity-bridge-2", now=now, days=1)
    bundle = tmp_path / "bridge.pem"
    bundle.write_text(
        format_bundle(
            name="smartcity-bridge-2",
            host="gateway.local",
            port=8883,
            expires=issued.expires,
            certificate=issued.certificate,
            key=issued.key,
            authority=authority.pem,
        )
    )
    bundle.chmod(0o600)
    settings = parsed("--mqtt-identity", str(bundle), "--client-id", "other")
    assert (settings.mqtt_host, settings.mqtt_port, settings.client_id) == ("gateway.local", 8883, "smartcity-bridge-2")
    assert parsed("--mqtt-identity", str(bundle), "--mqtt", "localhost:1").mqtt_port == 1
    bundle.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        parsed("--mqtt-identity", str(bundle))
