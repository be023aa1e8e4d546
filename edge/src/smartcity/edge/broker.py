"""The running broker of a gateway's folder: told to read its files again, restarted, and asked whether it obeys.

Mosquitto 2.0 and 2.1 read certificates and ACL again at a SIGHUP, but the revocation list only at their start, and a
reload ends no connection. So a revocation restarts the broker: it is told to end (SIGTERM to the process in
`mosquitto.pid`, or the gateway's `restart_command`), and whoever keeps it running (systemd with `Restart=always`, a
container engine, `smartcity`) starts it again. Sessions and their queues survive that.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable

from smartcity.contracts.identity import Identity, read_bundle

from .errors import BrokerError
from .folder import GatewayFolder, GatewaySettings
from .identities import PROBE

ANSWER_TIMEOUT_S = 2.0
COMMAND_TIMEOUT_S = 10.0
END_TIMEOUT_S = 5.0
"""From SIGTERM until it is killed, so that a revocation is in force within 10 s; what it had in memory, devices send
again."""
START_TIMEOUT_S = 15.0
POLL_S = 0.05
# MQTT 5 CONNECT: clean start, keep-alive 10 s, no properties, empty client id.
_CONNECT = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x00"


def greet(host: str, port: int, context: ssl.SSLContext | None) -> str | None:
    """One connection, closed again. None where MQTT welcomes it, else who refused it and why."""
    try:
        with socket.create_connection((host, port), timeout=ANSWER_TIMEOUT_S) as plain:
            connection = context.wrap_socket(plain, server_hostname=host) if context else plain
            with connection:
                connection.sendall(_CONNECT)
                answer = connection.recv(256)
                if len(answer) < 4 or answer[0] != 0x20:
                    return f"{host}:{port} closes the connection"
                if answer[3]:
                    return f"{host}:{port} answers CONNECT with reason code 0x{answer[3]:02X}"
                connection.sendall(b"\xe0\x00")  # DISCONNECT
                return None
    except ssl.SSLCertVerificationError as error:
        return f"{host}:{port} has a certificate that is not to be trusted: {error.verify_message}"
    except OSError as error:
        return f"{host}:{port}: {error.strerror or error}"


class RunningBroker:
    """The process that runs with a folder's configuration, if any."""

    def __init__(self, folder: GatewayFolder, settings: GatewaySettings) -> None:
        self._folder, self._settings = folder, settings

    def pid(self) -> int | None:
        """The living process in `mosquitto.pid`, if it runs with this folder's configuration."""
        try:
            pid = int(self._folder.pid_path.read_text())
        except (OSError, ValueError):
            return None
        command = ("ps", "-ww", "-o", "stat=,args=", "-p", str(pid))
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        lives = str(self._folder.configuration_path) in shown and not shown.startswith("Z")
        return pid if lives else None

    def greeted_as(self, identity: Identity) -> str | None:
        """See `greet`."""
        return greet(self._settings.local_host, self._settings.listen_port, identity.tls())

    def listening(self) -> bool:
        """Whether anything accepts connections at the gateway's address."""
        try:
            address = (self._settings.local_host, self._settings.listen_port)
            socket.create_connection(address, timeout=ANSWER_TIMEOUT_S).close()
        except OSError:
            return False
        return True

    def reload(self) -> bool:
        """Have certificates and ACL read again. False where no broker runs: it will read them when it starts.

        Raises:
            BrokerError: one runs that cannot be told.
        """
        if self._settings.reload_command:
            _run(self._settings.reload_command)
            return True
        pid = self._pid_or_none("reload")
        if pid is None:
            return False
        os.kill(pid, signal.SIGHUP)
        return True

    def restart(self) -> bool:
        """End all connections and have the revocation list read, and see that it was. False where no broker runs.

        Raises:
            BrokerError: one runs that cannot be told, is not started again, or still lets the canary in.
            IdentityError: the gateway's probe cannot be read.
        """
        if self._settings.restart_command:
            _run(self._settings.restart_command)
        else:
            pid = self._pid_or_none("restart")
            if pid is None:
                return False
            _end(pid)
        probe = read_bundle(self._folder.bundle_path(PROBE))
        if not _becomes_true(lambda: self.greeted_as(probe) is None, START_TIMEOUT_S):
            raise BrokerError(
                f"the broker was stopped, and does not answer {START_TIMEOUT_S:.0f} s later: "
                f"{self.greeted_as(probe)}. Nobody is connected, so the revocation is in force; start it with: "
                f"mosquitto -c {self._folder.configuration_path}"
            )
        if self.lets_the_canary_in():
            raise BrokerError(
                "the broker runs and does not use the revocation list: it was not restarted, or has another "
                f"configuration than {self._folder.configuration_path}"
            )
        return True

    def lets_the_canary_in(self) -> bool:
        """Whether a revoked certificate connects, that is: the running broker has not read the revocation list."""
        return self.greeted_as(read_bundle(self._folder.canary_path)) is None

    def _pid_or_none(self, what: str) -> int | None:
        pid = self.pid()
        if pid is None and self.listening():
            address = f"{self._settings.local_host}:{self._settings.listen_port}"
            raise BrokerError(
                f"a broker listens on {address}, but {self._folder.pid_path} does not name it: {what} it yourself, or "
                f"set {what}_command in {self._folder.settings_path}"
            )
        return pid


def _run(command: str) -> None:
    try:
        done = subprocess.run(
            shlex.split(command), capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise BrokerError(f"{command!r} could not be run: {error}") from None
    if done.returncode:
        raise BrokerError(f"{command!r} ended with exit code {done.returncode}: {done.stderr.strip()[-300:]}")


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
        if not _becomes_true(lambda: not _lives(pid), END_TIMEOUT_S):
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:
        raise BrokerError(f"the broker (pid {pid}) belongs to another user; run this command as root") from None


def _lives(pid: int) -> bool:
    shown = subprocess.run(("ps", "-o", "stat=", "-p", str(pid)), capture_output=True, text=True, check=False).stdout
    return bool(shown.strip()) and not shown.startswith("Z")


def _becomes_true(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
