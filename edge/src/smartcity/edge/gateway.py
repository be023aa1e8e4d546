"""Mosquitto's configuration: the template in `mosquitto/`, filled with the contract's limits."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from smartcity.contracts.limits import MQTT_PACKET_BYTES_MAX

from .errors import ConfigurationError

SERVICE_USER = "mosquitto"
"""The user that the system's package makes, and to which a broker started as root drops by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One broker. `user` is None where it runs as whoever starts it (it cannot be root then)."""

    host: str
    port: int
    data: Path
    broker: Path | None = None
    """Folder of certificates, revocation list and ACL (see `folder.py`); None: anybody may connect, over plain TCP."""
    user: str | None = None
    autosave_s: int = 10
    queue_messages_max: int = 500_000
    queue_bytes_max: int = 512 * 1024 * 1024
    inflight_messages_max: int = 2_000
    memory_bytes_max: int = 1024 * 1024 * 1024
    connections_max: int = 20_000
    session_expiry: str = "7d"
    keepalive_s_max: int = 3_600


def render(gateway: Gateway) -> str:
    """The configuration file.

    Raises:
        ConfigurationError: a folder's name cannot stand in one (a line break).
    """
    for folder in (gateway.data, gateway.broker):
        if "\n" in str(folder) or "\r" in str(folder):
            raise ConfigurationError(f"folder {str(folder)!r} has a line break in its name")
    access = "access-anybody.conf" if gateway.broker is None else "access-identities.conf"
    user = "" if gateway.user is None else f"# Started as root; see claim_data() in gateway.py.\nuser {gateway.user}\n"
    return _template("mosquitto.conf").substitute(
        access=_template(access).substitute(host=gateway.host, port=gateway.port, broker=gateway.broker),
        data=gateway.data,
        user=user,
        autosave_s=gateway.autosave_s,
        packet_bytes_max=MQTT_PACKET_BYTES_MAX,
        queue_messages_max=gateway.queue_messages_max,
        queue_bytes_max=gateway.queue_bytes_max,
        inflight_messages_max=gateway.inflight_messages_max,
        memory_bytes_max=gateway.memory_bytes_max,
        connections_max=gateway.connections_max,
        session_expiry=gateway.session_expiry,
        keepalive_s_max=gateway.keepalive_s_max,
    )


def _template(name: str) -> Template:
    return Template(resources.files(__package__).joinpath("mosquitto", name).read_text())


def claim_data(data: Path) -> str | None:
    """Make the data folder usable for the user that the broker will run as, and return that user for `Gateway.user`.

    Started by an ordinary user, Mosquitto runs as that user: None. Started by root it drops to `mosquitto`, which gets
    the folder; unless that user does not exist or cannot reach the folder (a clone below a private home): then the
    broker stays root, which on a loopback listener opens nothing that root's own shell does not.
    """
    if os.geteuid() != 0:
        return None
    if not _user_exists(SERVICE_USER) or not _reachable_for_others(data):
        return "root"
    for path in (data, *data.iterdir()):
        shutil.chown(path, SERVICE_USER)
    return SERVICE_USER


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _reachable_for_others(data: Path) -> bool:
    """Whether every folder above may be entered by anybody."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in data.resolve().parents)
