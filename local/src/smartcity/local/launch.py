"""Starting one service: prepare, start, wait until healthy, finish; or leave it be where it already runs as wanted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable

from . import process
from .environment import child_environment, stack_environment
from .errors import PortLostError, ServiceError
from .ports import holder, listening
from .services import Place, Service

POLL_S = 0.1
LOG_LINES_SHOWN = 12
Progress = Callable[[str], None]


def silent(message: str) -> None:
    """A `Progress` that tells nobody."""


def launch(service: Service, place: Place, progress: Progress) -> None:
    """Bring a service to health.

    A running one stays as it is, unless its command or environment would be another now (a port has moved).

    Raises:
        ServiceError: it cannot be started, ends, or is not healthy in time; the message shows the end of its log.
    """
    began = time.monotonic()
    where = f" ({ports})" if (ports := ", ".join(str(place.ports[port]) for port in service.ports)) else ""
    started = begin(service, place, progress)
    _await_healthy(service, place)
    service.finish(place)
    progress(f"{service.name} is up{where}" + (f" after {time.monotonic() - began:.1f} s" if started else ""))


def begin(service: Service, place: Place, progress: Progress) -> bool:
    """Start a service without waiting for its health. Returns False where it runs already, as wanted.

    Raises:
        ServiceError: it cannot be started.
    """
    base = place.environment() if service.uses_aws else stack_environment(var=place.layout.var)
    additions = {**base, **service.environment(place)}
    command = service.command(place)
    signature = hashlib.sha256(json.dumps([command, additions], sort_keys=True).encode()).hexdigest()
    record = process.read_record(place.layout.run, service.name)
    if record is not None and process.find(record) is not None:
        if record.signature == signature:
            return False
        progress(f"{service.name}: restarted with new settings")
        process.stop(var=place.layout.var, service=service.name, timeout_s=service.stop_timeout_s)
    process.kill_strays(var=place.layout.var, service=service.name)
    if service.keeps_data:
        place.layout.data(service.name).mkdir(parents=True, exist_ok=True)
    service.prepare(place)
    try:
        process.start(
            var=place.layout.var,
            service=service.name,
            command=command,
            environment=child_environment(additions),
            log=place.layout.log(service.name),
            signature=signature,
            ports={port: place.ports[port] for port in service.ports},
        )
    except OSError as error:
        raise ServiceError(f"{service.name}: {command[0]} cannot be started: {error}") from error
    return True


def _await_healthy(service: Service, place: Place) -> None:
    deadline = time.monotonic() + service.start_timeout_s
    while True:
        if process.find(process.read_record(place.layout.run, service.name)) is None:
            _check_ports(service, place)
            raise ServiceError(f"{service.name} ended while starting{_last_lines(service, place)}")
        wrong = service.probe(place)
        if wrong is None:
            _check_ports(service, place)
            return
        if time.monotonic() > deadline:
            limit = f"{service.start_timeout_s:.0f} s"
            raise ServiceError(f"{service.name} is not healthy after {limit}: {wrong}{_last_lines(service, place)}")
        time.sleep(POLL_S)


def _check_ports(service: Service, place: Place) -> None:
    """A healthy answer may be somebody else's, who took the port after it was chosen; another stack's, say.

    Raises:
        PortLostError: it is; the service is stopped.
    """
    ours = {each.pid for each in process.members(place.layout.var, service.name)}
    for name in service.ports:
        port = place.ports[name]
        if listening(port) not in (None, *ours):
            who = holder(port)
            process.stop(var=place.layout.var, service=service.name, timeout_s=service.stop_timeout_s)
            raise PortLostError(f"{service.name}: port {port} was free and is held by {who} now; try again")


def _last_lines(service: Service, place: Place) -> str:
    path = place.layout.log(service.name)
    with contextlib.suppress(OSError):
        lines = path.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return f"; the end of {path}:\n" + "\n".join(f"    {line}" for line in lines)
    return f"; see {path}"
