"""The whole system on one machine: started in order, watched, stopped; its data kept.

stack = Stack(var)
stack.up(progress=print)
stack.addresses().mqtt        # "127.0.0.1:1883"
stack.down()
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import process
from .environment import child_environment
from .errors import LocalError, PortError, PortLostError, ServiceError, StackError
from .launch import Progress, begin, launch, silent
from .layout import Layout
from .ports import Claims, choose, holder, is_free
from .services import CLUSTER_SERVICES, SERVICES, Place, Service

SUPERVISOR = "supervisor"
LOCK_TIMEOUT_S = 240.0
POLL_S = 0.1
PORTS_TRIES_MAX = 5
"""How often ports are chosen, where others than stacks of this user take them before our services do."""
DATA_OF_THE_RUN = ("data", "sim", "demo")
"""What `down --wipe` removes under `var`: topics, checkpoint, tables, and the devices' logs that speak of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the parts of a running stack listen."""

    mqtt: str
    """`host:port`, as is `kafka`; the others are URLs without a slash at the end."""
    kafka: str
    s3_url: str
    aws_url: str
    bridge_http: str
    lake_http: str
    dashboard_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One service as it is now. `state`: up, down, or unhealthy (alive, but its probe fails: see `detail`)."""

    name: str
    state: str
    pid: int | None
    ports: dict[str, int]
    rss_bytes: int | None
    """Resident memory, children included."""
    started_at: float | None
    log: Path
    data: Path | None
    detail: str = ""


class Stack:
    """The stack under one `var` folder. Several stacks can run side by side; each stops only its own processes."""

    def __init__(self, var: Path, *, services: Sequence[Service] | None = None) -> None:
        self.layout = Layout(var=var.expanduser().resolve())
        self._given = services

    @property
    def _services(self) -> dict[str, Service]:
        """By name, in order of need. Whether the lake has a cluster, a stack's folder says."""
        return self._all(cluster=self.layout.cluster_mark.exists())

    def _all(self, *, cluster: bool) -> dict[str, Service]:
        usual = CLUSTER_SERVICES if cluster else SERVICES
        return {service.name: service for service in (usual if self._given is None else self._given)}

    # The public face.

    def up(
        self,
        *,
        only: Collection[str] | None = None,
        progress: Progress = silent,
        supervise: bool = True,
        secure: bool = False,
        spark_cluster: bool = False,
    ) -> Addresses | None:
        """Start what is not running, in order of need, and wait until all of it is healthy.

        With `only`, these services and what they need; the addresses are None then, unless all are running.
        `secure`: the gateway asks for identities. `spark_cluster`: the lake's tasks run on two workers of a Spark
        master. A stack stays as it was begun until `down`.

        Raises:
            LocalError: a service is unknown, did not start (its last log lines are in the message), or no port is free.
        """
        wanted = self._closure(only, self._all(cluster=spark_cluster or self.layout.cluster_mark.exists()))
        self.layout.var.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._mark(self.layout.secure_mark, secure, "without identities")
            self._mark(self.layout.cluster_mark, spark_cluster, "without a Spark cluster")
            for tries_left in reversed(range(PORTS_TRIES_MAX)):
                with Claims() as claims:
                    place = Place(layout=self.layout, ports=self._choose_ports(wanted, claims, progress))
                    for service in wanted:
                        service.command(place)  # A missing program is named before anything is started.
                    try:
                        self._start_all(wanted, place, progress)
                        break
                    except PortLostError as error:
                        if not tries_left:
                            raise
                        progress(str(error))
            if supervise and process.find(self._record(SUPERVISOR)) is None:
                self._start_supervisor()
        try:
            return self.addresses()
        except StackError:
            return None

    def down(self, *, wipe: bool = False, progress: Progress = silent) -> list[str]:
        """Stop everything of this stack, in reverse order, and return what was running. Data stays, unless `wipe`."""
        stopped = []
        if process.stop(var=self.layout.var, service=SUPERVISOR, timeout_s=10):
            stopped.append(SUPERVISOR)
        if self.layout.run.exists():
            with self._locked():
                for service in reversed(self._services.values()):
                    if process.stop(var=self.layout.var, service=service.name, timeout_s=service.stop_timeout_s):
                        progress(f"{service.name} stopped")
                        stopped.append(service.name)
        for mark in (self.layout.secure_mark, self.layout.cluster_mark):
            mark.unlink(missing_ok=True)
        if wipe:
            for name in DATA_OF_THE_RUN:
                shutil.rmtree(self.layout.var / name, ignore_errors=True)
        return stopped

    def addresses(self) -> Addresses:
        """Where everything listens.

        Raises:
            StackError: not all of it was started.
        """
        place = self.place()
        try:
            return Addresses(
                mqtt=place.address("mqtt"),
                kafka=place.address("kafka"),
                s3_url=place.url("s3"),
                aws_url=place.url("aws"),
                bridge_http=place.url("bridge_http"),
                lake_http=place.url("lake_http"),
                dashboard_url=place.url("dashboard"),
            )
        except KeyError as error:
            raise StackError(f"{error.args[0]} is not running under {self.layout.var}; run: smartcity up") from None

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to work with this stack: endpoints, region, keys, SMARTCITY_…

        Raises:
            StackError: S3 or AWS was not started.
        """
        try:
            return self.place().environment()
        except KeyError as error:
            raise StackError(f"{error.args[0]} is not running under {self.layout.var}; run: smartcity up") from None

    def place(self) -> Place:
        """Folders, and the ports of all started services, by their records."""
        ports: dict[str, int] = {}
        for name in self._services:
            record = self._record(name)
            ports.update(record.ports if record else {})
        return Place(layout=self.layout, ports=ports)

    def statuses(self) -> list[Status]:
        """All services in order, the supervisor last; probes those that are alive."""
        place = self.place()
        with ThreadPoolExecutor(max_workers=8) as pool:
            services = list(pool.map(lambda service: self._status(service, place), self._services.values()))
        return [*services, self._status(None, place)]

    # What the supervisor calls.

    def dead(self) -> list[str]:
        """Services that were started and not stopped, but do not live, in order of need."""
        return [
            name
            for name in self._services
            if (record := self._record(name)) is not None and process.find(record) is None
        ]

    def revive(self, name: str) -> None:
        """Start a dead service again on the ports it had. Does not wait: what it needs may be dead as well.

        Raises:
            LocalError: it cannot be started.
        """
        with self._locked():
            if name in self.dead():
                begin(self._services[name], self.place(), silent)

    def settled(self, name: str) -> bool:
        """Whether a revived service is healthy; if so, its finishing step (topics, buckets) is done.

        Raises:
            LocalError: the finishing step fails.
        """
        place = self.place()
        service = self._services[name]
        if self._record(name) is None or service.probe(place) is not None:
            return False
        with self._locked():
            service.finish(place)
        return True

    # Order and start.

    def _mark(self, mark: Path, wanted: bool, else_: str) -> None:
        if not wanted or mark.exists():
            return
        running = [name for name in self._services if process.find(self._record(name)) is not None]
        if running:
            raise StackError(f"{running[0]} runs already, in a stack {else_}; first: smartcity down")
        mark.touch()

    def _closure(self, only: Collection[str] | None, services: dict[str, Service]) -> list[Service]:
        names = set(services if only is None else only)
        unknown = sorted(names - set(services))
        if unknown:
            raise StackError(f"no service is called {unknown[0]}; there are: {', '.join(services)}")
        for service in reversed(services.values()):
            if service.name in names:
                names.update(service.needs)
        return [service for service in services.values() if service.name in names]

    def _choose_ports(self, wanted: Sequence[Service], claims: Claims, progress: Progress) -> dict[str, int]:
        """The ports of what runs stay; others get the one they had, the preferred one, or the next free one."""
        chosen = {}
        alive = set()
        for name in self._services:
            record = self._record(name)
            if record is not None:
                chosen.update(record.ports)
                if process.find(record) is not None:
                    alive.add(name)
        base = _port_base()
        for index, service in enumerate(self._services.values()):
            if service.name in alive or service not in wanted:
                continue
            process.kill_strays(var=self.layout.var, service=service.name)
            preferences = service.preferred_ports(secure=self.layout.secure_mark.exists())
            for offset, (port, preferred) in enumerate(preferences.items()):
                first = preferred if base is None else base + 5 * index + offset
                if port in chosen and claims.take(chosen[port]):
                    continue
                taken = {number for name, number in chosen.items() if name != port}
                chosen[port] = choose(first, taken, free=claims.take)
                if chosen[port] != first:
                    held = first not in taken and not is_free(first)
                    why = f"port {first} is held by {holder(first)}" if held else f"{first} is taken"
                    progress(f"{service.name}: {why}; using {chosen[port]}")
        return chosen

    def _start_all(self, wanted: Sequence[Service], place: Place, progress: Progress) -> None:
        """Each in a thread of its own, which first waits for those it needs. The first error is raised at the end."""
        futures: dict[str, Future[None]] = {}
        registered = threading.Event()

        def run(service: Service) -> None:
            registered.wait()
            for need in service.needs:
                if futures[need].exception() is not None:
                    raise ServiceError(f"{service.name}: not started, since {need} did not start")
            launch(service, place, progress)

        with ThreadPoolExecutor(max_workers=max(len(wanted), 1)) as pool:
            for service in wanted:
                futures[service.name] = pool.submit(run, service)
            registered.set()
        for service in wanted:
            futures[service.name].result()

    def _start_supervisor(self) -> None:
        command = [sys.executable, "-m", "smartcity.local.main", "--var", str(self.layout.var), "supervise"]
        process.start(
            var=self.layout.var,
            service=SUPERVISOR,
            command=command,
            environment=child_environment({}),
            log=self.layout.log(SUPERVISOR),
            signature="",
            ports={},
        )

    def _record(self, service: str) -> process.Record | None:
        return process.read_record(self.layout.run, service)

    def _status(self, service: Service | None, place: Place) -> Status:
        name = service.name if service else SUPERVISOR
        record = self._record(name)
        alive = process.find(record)
        detail = ""
        if alive is None:
            detail = "" if record is None else "died"
        elif service is not None:
            detail = service.probe(place) or ""
        return Status(
            name=name,
            state="down" if alive is None else "unhealthy" if detail else "up",
            pid=alive.pid if alive else None,
            ports=dict(record.ports) if record and alive else {},
            rss_bytes=process.resident_bytes(alive) if alive else None,
            started_at=record.started_at if record and alive else None,
            log=self.layout.log(name),
            data=self.layout.data(name) if service and service.keeps_data else None,
            detail=detail,
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One `up`, `down` or revival at a time; the lock goes with the process that held it."""
        self.layout.run.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        with (self.layout.run / "lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        text = f"another smartcity command works on {self.layout.var} since {LOCK_TIMEOUT_S:.0f} s"
                        raise StackError(f"{text}; wait for it or end it") from None
                    time.sleep(POLL_S)
            yield


def _port_base() -> int | None:
    """`SMARTCITY_PORT_BASE`: the first of a range of ports for the whole stack, instead of the usual ones."""
    value = os.environ.get("SMARTCITY_PORT_BASE")
    if not value:
        return None
    if not value.isdigit() or not 1024 <= int(value) <= 65_000:
        raise PortError(f"SMARTCITY_PORT_BASE is {value!r}, not a port between 1024 and 65000")
    return int(value)


__all__ = ["Addresses", "LocalError", "Stack", "Status"]
