"""What the gateway refuses, tried with the real broker."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from paho.mqtt.enums import MQTTProtocolVersion

from smartcity.contracts.limits import MQTT_PACKET_BYTES_MAX
from smartcity.edge import identities
from smartcity.edge.authority import new_authority
from smartcity.edge.broker import RunningBroker, greet
from smartcity.edge.main import main
from smartcity.edge.registry import Role

pytestmark = pytest.mark.broker
REFUSED = "Not authorized"
ACCEPTED = ("Success", "No matching subscribers")
Connect = Callable[..., Any]
SENTINEL = "devices/veh-001/sentinel"


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not in {timeout_s:g} s: {what}"
        time.sleep(0.01)


def seen_by(watcher: Any, connect: Connect) -> list[str]:
    """Topics that reached a subscriber, up to a message that an honest device sends now."""
    honest = connect("veh-001")
    honest.publish(SENTINEL)
    wait_until(lambda: any(topic == SENTINEL for topic, _ in watcher.received), "the honest message arrives")
    return [topic for topic, _ in watcher.received if topic != SENTINEL]


def test_a_known_device_writes_its_own_and_the_bridge_reads_it(gateway: Any, connect: Connect) -> None:
    bridge = connect(identities.BRIDGE)
    bridge.subscribe("devices/#")
    device = connect("veh-002")
    device.subscribe("receipts/veh-002")
    assert device.publish("devices/veh-002/gps") == "Success"
    wait_until(lambda: ("devices/veh-002/gps", b"x") in bridge.received, "the bridge has the reading")
    assert bridge.publish("receipts/veh-002", b"r") == "Success"
    wait_until(lambda: device.received == [("receipts/veh-002", b"r")], "the device has its receipt")


def test_no_certificate_and_no_tls_are_refused(gateway: Any) -> None:
    stranger = gateway.identity(identities.PROBE).tls_without_certificate()
    assert greet("127.0.0.1", gateway.port, stranger) is not None
    assert greet("127.0.0.1", gateway.port, None) is not None


def test_an_expired_certificate_is_refused(gateway: Any) -> None:
    authority, now = gateway.folder.authority(), datetime.now(UTC)
    expired = authority.issue_client("veh-001", now=now - timedelta(days=2), days=1)
    assert greet("127.0.0.1", gateway.port, gateway.context_of(expired)) is not None
    valid = authority.issue_client("veh-001", now=now - timedelta(days=2), days=3)
    assert greet("127.0.0.1", gateway.port, gateway.context_of(valid)) is None


def test_a_foreign_authority_of_the_same_name_is_refused(gateway: Any) -> None:
    own, now = gateway.folder.authority(), datetime.now(UTC)
    common_name = own.certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    foreign = new_authority(str(common_name), now=now)
    assert foreign.certificate.subject == own.certificate.subject
    issued = foreign.issue_client("veh-001", now=now, days=1)
    assert greet("127.0.0.1", gateway.port, gateway.context_of(issued)) is not None


def test_a_self_signed_certificate_of_a_device_is_refused_as_an_authority(gateway: Any) -> None:
    """A device cannot pass its identity on: its certificate signs nothing that counts."""
    now = datetime.now(UTC)
    device_as_authority = new_authority("veh-001", now=now)
    issued = device_as_authority.issue_client("veh-002", now=now, days=1)
    assert greet("127.0.0.1", gateway.port, gateway.context_of(issued)) is not None


def test_the_brokers_own_certificate_cannot_connect_as_a_client(gateway: Any) -> None:
    issued = gateway.folder.authority().issue_broker(("localhost",), now=datetime.now(UTC))
    assert greet("127.0.0.1", gateway.port, gateway.context_of(issued)) is not None


def test_tls_1_1_is_refused(gateway: Any) -> None:
    context = gateway.identity("veh-001").tls()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert greet("127.0.0.1", gateway.port, context) is None
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    refusal = greet("127.0.0.1", gateway.port, context)
    assert refusal is not None
    assert "protocol version" in refusal  # The broker's alert, not our own library's refusal to try.


@pytest.mark.parametrize("name", ["veh-001/x", "veh-001/+", "veh-001/#", "+", "#", "devices", "veh-003", "VEH-001"])
def test_a_certificate_made_by_hand_for_a_name_that_was_not_issued_may_do_nothing(
    gateway: Any, connect: Connect, name: str
) -> None:
    """Even our own authority's signature gives no right: the ACL knows issued names alone."""
    bridge = connect(identities.BRIDGE)
    bridge.subscribe("devices/#")
    issued = gateway.folder.authority().issue_client(name, now=datetime.now(UTC), days=1)
    intruder = connect(gateway.context_of(issued))
    for topic in ("devices/#", "receipts/#", "#"):
        intruder.subscribe(topic)
    for topic in (f"devices/{name}/gps".replace("+", "p").replace("#", "h"), "devices/veh-001/gps", "receipts/veh-001"):
        assert intruder.publish(topic) == REFUSED
    assert seen_by(bridge, connect) == []
    assert intruder.received == []


def test_under_a_pattern_such_a_name_would_write_into_anothers_tree(gateway: Any, connect: Connect) -> None:
    """The control: why the ACL is a list of names and not `pattern write devices/%u/#`."""
    issued = gateway.folder.authority().issue_client("veh-001/x", now=datetime.now(UTC), days=1)
    acl = gateway.folder.acl_path.read_text()
    broker = RunningBroker(gateway.folder, gateway.folder.settings())
    try:
        gateway.folder.write(gateway.folder.acl_path, "pattern write devices/%u/#\n")
        assert broker.reload()
        intruder = connect(gateway.context_of(issued))
        wait_until(lambda: intruder.publish("devices/veh-001/x/gps") != REFUSED, "the pattern lets it write")
    finally:
        gateway.folder.write(gateway.folder.acl_path, acl)
        assert broker.reload()
    wait_until(lambda: intruder.publish("devices/veh-001/x/gps") == REFUSED, "the list does not")


@pytest.mark.parametrize("topic", ["devices/veh-001/gps", "devices/veh-001/status", "devices/veh-0020/gps", "gps"])
def test_another_devices_topic_is_refused(connect: Connect, topic: str) -> None:
    bridge = connect(identities.BRIDGE)
    bridge.subscribe("devices/#")
    assert connect("veh-002").publish(topic, retain=True) == REFUSED
    # MQTT 3.1.1 has no word for it: the PUBACK looks like success, and the message goes nowhere all the same.
    assert connect("veh-002", protocol=MQTTProtocolVersion.MQTTv311).publish(topic) == "Success"
    assert seen_by(bridge, connect) == []


def test_a_receipt_cannot_be_forged(connect: Connect) -> None:
    victim = connect("veh-001")
    victim.subscribe("receipts/veh-001")
    forger = connect("veh-002")
    assert forger.publish("receipts/veh-001", b"forged") == REFUSED
    assert forger.publish("receipts/veh-002", b"forged") == REFUSED
    assert connect("replayer").publish("receipts/veh-001", b"forged") == REFUSED
    bridge = connect(identities.BRIDGE)
    bridge.publish("receipts/veh-001", b"true")
    wait_until(lambda: victim.received, "the true receipt arrives")
    assert victim.received == [("receipts/veh-001", b"true")]


def test_a_last_will_cannot_speak_for_another_device(connect: Connect) -> None:
    bridge = connect(identities.BRIDGE)
    bridge.subscribe("devices/#")
    connect("veh-002", will=("devices/veh-001/status", b"offline")).vanish()
    connect("veh-002", will=("devices/veh-002/status", b"offline")).vanish()
    wait_until(lambda: ("devices/veh-002/status", b"offline") in bridge.received, "its own will arrives")
    assert seen_by(bridge, connect) == ["devices/veh-002/status"]


def test_a_device_hears_nothing_but_its_receipts(connect: Connect) -> None:
    curious = connect("veh-002")
    for topic in ("#", "devices/#", "receipts/#", "$SYS/#"):
        curious.subscribe(topic)
    assert connect("veh-001").publish("devices/veh-001/gps") == "Success"
    bridge = connect(identities.BRIDGE)
    bridge.publish("receipts/veh-001", b"r")
    bridge.publish("receipts/veh-002", b"r")
    wait_until(lambda: curious.received, "its own receipt arrives")
    assert {topic for topic, _ in curious.received} == {"receipts/veh-002"}


def test_nobody_takes_a_session_over_by_its_client_id(connect: Connect) -> None:
    victims = [connect("veh-001", client_id="veh-001"), connect(identities.BRIDGE, client_id=identities.BRIDGE)]
    for name in ("veh-001", identities.BRIDGE):
        thief = connect("veh-002", client_id=name)
        assert thief.publish("devices/veh-002/gps") in ACCEPTED  # It is veh-002, whatever it calls itself.
        assert thief.publish("devices/veh-001/gps") == REFUSED
    for victim in victims:
        assert victim.connected
    assert victims[0].publish("devices/veh-001/gps") in ACCEPTED


def test_a_packet_of_two_megabytes_ends_its_own_connection_and_no_other(connect: Connect) -> None:
    bridge, honest, flooder = connect(identities.BRIDGE), connect("veh-001"), connect("veh-002")
    bridge.subscribe("devices/#")
    flooder.send("devices/veh-002/frame", bytes(2 * MQTT_PACKET_BYTES_MAX))
    wait_until(lambda: not flooder.connected, "the flooder is disconnected")
    assert honest.publish("devices/veh-001/gps") == "Success"
    assert seen_by(bridge, connect) == ["devices/veh-001/gps"]
    assert bridge.connected


def test_a_recorder_only_reads_and_a_replayer_writes_readings_for_others(connect: Connect) -> None:
    recorder, replayer = connect("recorder"), connect("replayer")
    for client in (recorder, replayer):
        client.subscribe("devices/#")
    for topic in ("devices/veh-001/gps", "devices/recorder/gps", "receipts/veh-001", "anything"):
        assert recorder.publish(topic) == REFUSED
    assert replayer.publish("devices/veh-001/status") == REFUSED
    assert replayer.publish("devices/veh-001/gps") == "Success"
    assert seen_by(recorder, connect) == ["devices/veh-001/gps"]
    assert replayer.received == []


def test_a_dashboard_reads_the_brokers_state_and_writes_nothing(connect: Connect) -> None:
    dashboard = connect(identities.DASHBOARD)
    dashboard.subscribe("$SYS/broker/version")
    wait_until(lambda: dashboard.received, "the version arrives")
    assert dashboard.publish("devices/dashboard/gps") == REFUSED


def test_a_device_added_while_the_broker_runs_may_speak_and_nobody_is_disconnected(
    gateway: Any, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    witness, starts = connect("veh-001"), gateway.starts
    assert main(["add-device", "veh-new", "--gateway", str(gateway.folder.path)]) == 0
    device = connect("veh-new")
    wait_until(lambda: device.publish("devices/veh-new/gps") != REFUSED, "the ACL has been read again")
    assert main(["renew", "--broker", "--gateway", str(gateway.folder.path)]) == 0
    served = x509.load_pem_x509_certificate((gateway.folder.broker_path / "broker.pem").read_bytes())
    wait_until(lambda: served_serial(gateway) == served.serial_number, "the new certificate is served")
    assert witness.publish("devices/veh-001/gps") != REFUSED
    assert (witness.connected, gateway.starts) == (True, starts)


def served_serial(gateway: Any) -> int:
    context = gateway.identity(identities.PROBE).tls()
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


def test_a_revoked_device_is_out_within_ten_seconds_open_connections_included(
    gateway: Any, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    identities.issue(gateway.folder, ["veh-lost"], Role.DEVICE, now=datetime.now(UTC))
    first = gateway.keep_copy("veh-lost")
    gateway.path.joinpath("copy-veh-lost.pem").rename(gateway.path / "first.pem")
    identities.renew(gateway.folder, ["veh-lost"], now=datetime.now(UTC))
    second = gateway.keep_copy("veh-lost")
    broker = RunningBroker(gateway.folder, gateway.folder.settings())
    assert broker.reload()
    lost = connect(second.tls())
    wait_until(lambda: lost.publish("devices/veh-lost/gps") != REFUSED, "it may speak")
    began = time.monotonic()
    assert main(["revoke", "veh-lost", "--gateway", str(gateway.folder.path)]) == 0
    wait_until(lambda: not lost.connected, "its connection is closed")
    took_s = time.monotonic() - began
    assert took_s < 10
    assert "in force" in capsys.readouterr().out
    print(f"revoked in {took_s:.2f} s")
    assert broker.greeted_as(second) is not None
    context = second.tls_without_certificate()
    context.load_cert_chain(gateway.path / "first.pem")  # The certificate from before the renewal, too.
    assert first.name == "veh-lost"
    assert greet("127.0.0.1", gateway.port, context) is not None
    assert gateway.answers()
    # The name may be issued again; the old certificates stay out.
    assert main(["add-device", "veh-lost", "--gateway", str(gateway.folder.path)]) == 0
    assert broker.greeted_as(gateway.identity("veh-lost")) is None
    assert broker.greeted_as(second) is not None


def test_check_says_what_holds_and_notices_what_was_changed(gateway: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["check", "--gateway", str(gateway.folder.path)]
    assert main(command) == 0
    said = capsys.readouterr().out
    for sentence in (
        "tried out",
        "any other name nothing",
        "mosquitto version",
        "drops nothing",
        "certificate ends on",
    ):
        assert sentence in said
    acl = gateway.folder.acl_path.read_text()
    gateway.folder.write(gateway.folder.acl_path, acl + "topic write devices/#\n")
    gateway.folder.broker_path.joinpath("broker.key").chmod(0o644)
    try:
        assert main(command) == 1
        said = capsys.readouterr().out
        assert "the ACL is not the one" in said
        assert "others may enter or read" in said
    finally:
        gateway.folder.broker_path.joinpath("broker.key").chmod(0o600)
        gateway.folder.write(gateway.folder.acl_path, acl)


def test_check_notices_a_running_broker_that_obeys_other_files(
    gateway: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broker without certificates at the gateway's address: check tries, and does not believe the files."""
    text = gateway.folder.configuration_path.read_text()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    lax = text.replace(f"listener {gateway.port}", f"listener {port}").replace("require_certificate true", "")
    lax = "\n".join(line for line in lax.splitlines() if not line.startswith(("crlfile", "use_", "pid_file")))
    lax = lax.replace("allow_anonymous false", "allow_anonymous true").replace("persistence true", "persistence false")
    file = gateway.folder.broker_path / "lax.conf"
    gateway.folder.write(file, lax)
    settings = gateway.folder.settings()
    process = subprocess.Popen([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(file)])
    try:
        moved = settings.__class__(
            **{**{name: getattr(settings, name) for name in settings.__slots__}, "listen_port": port}
        )
        gateway.folder.write_settings(moved)
        broker = RunningBroker(gateway.folder, moved)
        wait_until(broker.listening, "the lax broker listens")
        assert main(["check", "--gateway", str(gateway.folder.path)]) == 1
        said = capsys.readouterr().out
        assert "lets clients in without a certificate" in said
        assert "lets a revoked certificate in" in said
    finally:
        gateway.folder.write_settings(settings)
        process.terminate()
        process.wait(10)
        file.unlink()
