"""What a service of the stack is: values and functions, one instance per module of this folder."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smartcity.edge.folder import GatewayFolder

from ..environment import endpoints, stack_environment
from ..layout import Layout
from ..ports import LOOPBACK

PROBE_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the stack runs: its folders, and the port of every service by name."""

    layout: Layout
    ports: Mapping[str, int]

    def address(self, port: str) -> str:
        """`host:port` of a named port, e.g. `kafka`."""
        return f"{LOOPBACK}:{self.ports[port]}"

    @property
    def secure(self) -> bool:
        """Whether clients of the gateway need an identity."""
        return self.layout.secure_mark.exists()

    def identity_flags(self, name: str) -> list[str]:
        """The flag by which a client of the gateway takes its identity; none where nobody needs one."""
        bundle = GatewayFolder(self.layout.gateway).bundle_path(name)
        return ["--mqtt-identity", str(bundle)] if self.secure else []

    def url(self, port: str) -> str:
        return f"http://{self.address(port)}"

    def environment(self) -> dict[str, str]:
        """What a process needs to work with the whole stack.

        Raises:
            KeyError: S3 or AWS has no port yet.
        """
        return {
            **stack_environment(var=self.layout.var),
            **endpoints(aws_url=self.url("aws"), s3_url=self.url("s3")),
        }


def nothing(place: Place) -> None:
    """A step that a service does not need."""


def no_variables(place: Place) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How a part is started, how it tells that it is well, and what it needs before.

    `prepare` runs before each start (folders, configuration), `finish` after it is healthy (topics, buckets); both must
    be repeatable. `probe` raises nothing: it returns None where the service is well, else what is wrong.
    """

    name: str
    needs: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    secure_ports: Mapping[str, int] = field(default_factory=dict)
    """Those that are others in a stack with identities."""
    command: Callable[[Place], list[str]]
    probe: Callable[[Place], str | None]
    prepare: Callable[[Place], None] = nothing
    finish: Callable[[Place], None] = nothing
    environment: Callable[[Place], dict[str, str]] = no_variables
    uses_aws: bool = False
    """Whether it gets the endpoints of the local AWS; only then must they be known before it starts."""
    start_timeout_s: float = 60.0
    stop_timeout_s: float = 15.0
    keeps_data: bool = False
    """Whether `var/data/<name>` is its own."""

    def preferred_ports(self, *, secure: bool) -> dict[str, int]:
        """Name and preferred number of each port."""
        return {**self.ports, **(self.secure_ports if secure else {})}


def console_script(name: str) -> str:
    """Path of a component's command, which stands beside the interpreter that runs this."""
    return str(Path(sys.executable).with_name(name))


def http_probe(url: str) -> str | None:
    """None where a GET answers 200, else what came instead."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PROBE_TIMEOUT_S) as answer:
            return None if answer.status == 200 else f"{url} answers {answer.status}"
    except urllib.error.HTTPError as error:
        body = error.read(200).decode("utf-8", "replace").strip()
        return f"{url} answers {error.code} {body}".rstrip()
    except OSError as error:
        return f"{url}: {error}"
