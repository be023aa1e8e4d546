"""The stack under fire: started like any other, watched by the supervisor's own rules, and hit on demand."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

from smartcity.local import process
from smartcity.local.services import SERVICES, Place, Service
from smartcity.local.services.bridge import BRIDGE
from smartcity.local.stack import Stack
from smartcity.local.supervise import CHECK_INTERVAL_S, Supervisor

from .proxy import Proxy


class Held:
    """A stack as the supervisor sees it, without the services that are meant to stay down."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.names: set[str] = set()

    def dead(self) -> list[str]:
        return [name for name in self._stack.dead() if name not in self.names]

    def revive(self, name: str) -> None:
        self._stack.revive(name)

    def settled(self, name: str) -> bool:
        return self._stack.settled(name)


class System:
    """A stack, its supervisor in a thread of this process, and the proxies before its gateway."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.var = stack.layout.var
        self._held = Held(stack)
        self._supervisor = Supervisor(self._held)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def watch(self) -> None:
        """From now on what dies is started again, by the supervisor's own rules and pauses."""
        self._thread.start()

    def down(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(60)
        self.stack.down()

    def kill(self, service: str) -> None:
        """kill -9 of the service and of all its children."""
        for victim in self._signal(service, signal.SIGKILL):
            with contextlib.suppress(psutil.TimeoutExpired):
                victim.wait(10)

    def pause(self, service: str) -> None:
        self._signal(service, signal.SIGSTOP)

    def resume(self, service: str) -> None:
        self._signal(service, signal.SIGCONT)

    def hold(self, service: str) -> None:
        """Keeps a service down once it is dead, until `release`."""
        self._held.names.add(service)

    def release(self, service: str) -> None:
        self._held.names.discard(service)

    def resident_bytes(self, service: str) -> int:
        """Resident memory of a service; 0 where it does not run."""
        found = process.find(process.read_record(self.stack.layout.run, service))
        return process.resident_bytes(found) if found else 0

    def _signal(self, service: str, number: signal.Signals) -> list[psutil.Process]:
        victims = list(process.members(self.var, service))
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.send_signal(number)
        return victims

    def _watch(self) -> None:
        while not self._ended.wait(CHECK_INTERVAL_S):
            self._supervisor.step()


def real_services(links: dict[str, Proxy]) -> Sequence[Service]:
    """The stack's own services, but for the dashboard; the bridge reaches the gateway through a proxy of `links`."""

    def command(place: Place) -> list[str]:
        proxy = links.get("bridge-gateway") or links.setdefault("bridge-gateway", Proxy(place.ports["mqtt"]))
        direct = place.address("mqtt")
        return [proxy.address if part == direct else part for part in BRIDGE.command(place)]

    proxied = dataclasses.replace(BRIDGE, command=command)
    return [proxied if service.name == "bridge" else service for service in SERVICES if service.name != "dashboard"]


def make_reachable(var: Path) -> None:
    """Started by root, Mosquitto becomes the user `mosquitto`, who must be able to pass through to its data."""
    var.mkdir(parents=True, exist_ok=True)
    var.chmod(var.stat().st_mode | 0o111)
