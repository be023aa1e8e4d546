"""A gateway with identities that really runs, kept running as a supervisor would; and clients that try things."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from smartcity.contracts.identity import Identity, read_bundle
from smartcity.edge import identities
from smartcity.edge.authority import Issued
from smartcity.edge.broker import RunningBroker
from smartcity.edge.folder import GatewayFolder
from smartcity.edge.registry import Role

ANSWER_TIMEOUT_S = 10.0


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not in {timeout_s:g} s: {what}"
        time.sleep(0.01)


class KeptGateway:
    """A folder with two vehicles and operators, and its broker, started again whenever it ends."""

    def __init__(self, path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        now = datetime.now(UTC)
        self.folder = GatewayFolder(path / "gateway")
        identities.make_gateway(self.folder, listen=("127.0.0.1", self.port), hosts=("localhost",), now=now)
        identities.issue(self.folder, ["veh-001", "veh-002"], Role.DEVICE, now=now)
        identities.issue(self.folder, ["recorder"], Role.RECORDER, now=now)
        identities.issue(self.folder, ["replayer"], Role.REPLAYER, now=now)
        self.path = path
        self.starts = 0
        self._closing = False
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep)

    def start(self) -> None:
        self._keeper.start()
        wait_until(self.answers, "the broker answers its probe")

    def answers(self) -> bool:
        broker = RunningBroker(self.folder, self.folder.settings())
        return broker.greeted_as(self.identity(identities.PROBE)) is None

    def stop(self) -> None:
        self._closing = True
        if self._process is not None:
            self._process.terminate()
        self._keeper.join(ANSWER_TIMEOUT_S)

    def identity(self, name: str) -> Identity:
        return read_bundle(self.folder.bundle_path(name))

    def keep_copy(self, name: str) -> Identity:
        """The bundle as a device has it, which revoking cannot take away."""
        copy = self.path / f"copy-{name}.pem"
        shutil.copy(self.folder.bundle_path(name), copy)
        copy.chmod(0o600)
        return read_bundle(copy)

    def context_of(self, issued: Issued) -> ssl.SSLContext:
        """TLS with a certificate that was made by hand."""
        file = self.path / f"hand-made-{issued.serial:x}.pem"
        file.write_text(issued.certificate + issued.key)
        context = self.identity(identities.PROBE).tls_without_certificate()
        context.load_cert_chain(file)
        return context

    def _keep(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        while not self._closing:
            self._process = subprocess.Popen([program, "-c", str(self.folder.configuration_path)])
            self.starts += 1
            self._process.wait()


class Client:
    """A paho client whose answers can be waited for."""

    def __init__(
        self,
        port: int,
        context: ssl.SSLContext | None,
        *,
        client_id: str = "",
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
        will: tuple[str, bytes] | None = None,
    ) -> None:
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.received: list[tuple[str, bytes]] = []
        self.ends: list[str] = []
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol, reconnect_on_failure=False
        )
        if context is not None:
            self._client.tls_set_context(context)
        if will:
            self._client.will_set(will[0], will[1], qos=1)
        self._client.on_connect = lambda *given: self.answers.put(("connect", given[3]))
        self._client.on_publish = lambda *given: self.answers.put(("publish", given[3]))
        self._client.on_subscribe = lambda *given: self.answers.put(("subscribe", given[3]))
        self._client.on_disconnect = lambda *given: self.ends.append(str(given[3]))
        self._client.on_message = lambda _client, _data, message: self.received.append((message.topic, message.payload))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert not self._answer("connect").is_failure

    @property
    def connected(self) -> bool:
        return not self.ends

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> str:
        """The reason in the PUBACK."""
        self._client.publish(topic, payload, qos=1, retain=retain)
        return str(self._answer("publish"))

    def send(self, topic: str, payload: bytes) -> None:
        """Without waiting."""
        self._client.publish(topic, payload, qos=1)

    def subscribe(self, topic: str) -> None:
        self._client.subscribe(topic, qos=1)
        self._answer("subscribe")

    def vanish(self) -> None:
        """Breaks the connection without a DISCONNECT, so that the last will is due."""
        connection: Any = self._client.socket()
        connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _answer(self, kind: str) -> Any:
        got, reason = self.answers.get(timeout=ANSWER_TIMEOUT_S)
        assert got == kind
        return reason


@pytest.fixture(scope="module")
def gateway() -> Iterator[KeptGateway]:
    """One running gateway for a module's tests; those who revoke use names of their own."""
    # Not pytest's own folder: Mosquitto, started by root, becomes the user `mosquitto`, who must pass through.
    path = Path(tempfile.mkdtemp(prefix="gateway-"))
    path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    kept = KeptGateway(path)
    try:
        kept.start()
        yield kept
    finally:
        kept.stop()
        shutil.rmtree(path)


@pytest.fixture
def connect(gateway: KeptGateway) -> Iterator[Callable[..., Client]]:
    """Connects a name of the gateway, or a context; all are closed at the end."""
    with contextlib.ExitStack() as stack:

        def open_client(who: str | ssl.SSLContext, **options: Any) -> Client:
            context = gateway.identity(who).tls() if isinstance(who, str) else who
            client = Client(gateway.port, context, **options)
            stack.callback(client.close)
            return client

        yield open_client
