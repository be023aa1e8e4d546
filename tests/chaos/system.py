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
from smartcity.local.services.kafka import KAFKA
from smartcity.local.services.kafka import properties as kafka_properties
from smartcity.local.services.lake import LAKE
from smartcity.local.stack import Stack
from smartcity.local.supervise import CHECK_INTERVAL_S, Supervisor

from .proxy import Proxy

BRIDGE_KAFKA = ("bridge-kafka", "kafka_bridge")
"""The link, and the port of Kafka that it leads to."""


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


def real_services(links: dict[str, Proxy], *, trigger_s: float) -> Sequence[Service]:
    """The stack's own services, but for the dashboard; the bridge reaches gateway and Kafka through proxies of `links`.

    Kafka has a listener more for that, which advertises the proxy's address: a client goes to no other.
    """

    def through(place: Place, link: str, port: str) -> str:
        return (links.get(link) or links.setdefault(link, Proxy(place.ports[port]))).address

    def prepare_kafka(place: Place) -> None:
        KAFKA.prepare(place)
        own, plain = place.address("kafka_bridge"), kafka_properties(place)
        security = plain["listener.security.protocol.map"]
        added = {
            "listeners": f"{plain['listeners']},BRIDGE://{own}",
            "advertised.listeners": f"{plain['advertised.listeners']},BRIDGE://{through(place, *BRIDGE_KAFKA)}",
            "listener.security.protocol.map": f"{security},BRIDGE:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
        }
        with (place.layout.config("kafka") / "server.properties").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in added.items())

    def bridge_command(place: Place) -> list[str]:
        proxied = {
            place.address("mqtt"): through(place, "bridge-gateway", "mqtt"),
            place.address("kafka"): through(place, *BRIDGE_KAFKA),
        }
        return [proxied.get(part, part) for part in BRIDGE.command(place)]

    def lake_command(place: Place) -> list[str]:
        return [*LAKE.command(place), "--trigger-s", f"{trigger_s:g}"]

    changed = {
        "bridge": dataclasses.replace(BRIDGE, command=bridge_command),
        "kafka": dataclasses.replace(KAFKA, prepare=prepare_kafka, ports={**KAFKA.ports, "kafka_bridge": 9094}),
        "lake": dataclasses.replace(LAKE, command=lake_command),
    }
    return [changed.get(service.name, service) for service in SERVICES if service.name != "dashboard"]


def make_reachable(var: Path) -> None:
    """Started by root, Mosquitto becomes the user `mosquitto`, who must be able to pass through to its data."""
    var.mkdir(parents=True, exist_ok=True)
    var.chmod(var.stat().st_mode | 0o111)
