"""What can be done with identities: the gateway made, names issued, renewed, revoked. Writes the folder, and no more:
telling the running broker is `broker.py`'s part."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from smartcity.contracts.identity import format_bundle

from .acl import render_acl
from .authority import Authority, Issued, new_authority
from .errors import FolderError
from .folder import GatewayFolder, GatewaySettings
from .gateway import Gateway, claim_data, render
from .registry import Certificate, Registry, Role

DEVICE_DAYS = 30
OPERATOR_DAYS = 365
OWN_RENEW_DAYS = 30
BRIDGE, DASHBOARD, PROBE = "smartcity-bridge", "dashboard", "probe"
OWN_IDENTITIES = {BRIDGE: Role.BRIDGE, DASHBOARD: Role.DASHBOARD, PROBE: Role.PROBE}
"""What every gateway begins with. The bridge's name is also its session's: what waits for it hangs on that name."""
CANARY = "revoked-canary"
"""A certificate that is on the revocation list from its first day: a broker that refuses it has read the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An issued bundle, where it was written."""

    name: str
    path: Path
    expires: datetime


def days_of(role: Role) -> int:
    """How long an identity lasts unless something else is asked for."""
    return DEVICE_DAYS if role is Role.DEVICE else OPERATOR_DAYS


def make_gateway(
    folder: GatewayFolder,
    *,
    listen: tuple[str, int],
    hosts: tuple[str, ...],
    data: Path | None = None,
    reload_command: str | None = None,
    restart_command: str | None = None,
    now: datetime,
) -> None:
    """The folder, with an authority, the broker's certificate and configuration, and the gateway's own identities.

    Raises:
        FolderError: there is one already, or it cannot be made there.
    """
    if folder.exists():
        raise FolderError(f"{folder.path} holds a gateway already: all its identities would be worth nothing")
    data = data or folder.path / "data"
    user = _make_folders(folder, data.absolute())
    settings = GatewaySettings(
        listen_host=listen[0],
        listen_port=listen[1],
        hosts=hosts,
        data=str(data.absolute()),
        user=user,
        reload_command=reload_command,
        restart_command=restart_command,
    )
    authority = new_authority(f"smartcity gateway {hosts[0]}"[:64], now=now)
    folder.write(folder.authority_path / "authority.pem", authority.pem)
    folder.write(folder.authority_path / "authority.key", authority.key_pem())
    registry = Registry()
    folder.write_registry(registry)
    write_broker(folder, settings, authority, now=now)
    _write_rights(folder, settings, authority, registry, now=now)
    folder.write_settings(settings)  # Last: from here on it is a gateway.
    for name, role in OWN_IDENTITIES.items():
        issue(folder, [name], role, now=now)


def write_broker(folder: GatewayFolder, settings: GatewaySettings, authority: Authority, *, now: datetime) -> None:
    """The broker's certificate for its present names, and its configuration."""
    issued = authority.issue_broker(settings.certified_hosts(), now=now)
    folder.write(folder.broker_path / "authority.pem", authority.pem)
    folder.write(folder.broker_path / "broker.key", issued.key)
    folder.write(folder.broker_path / "broker.pem", issued.certificate)
    write_configuration(folder, settings)


def renew_broker(folder: GatewayFolder, *, now: datetime) -> None:
    """A new certificate for the broker, for the names that `gateway.json` has now. The broker must reload.

    Raises:
        FolderError: the folder cannot be read or written.
    """
    with folder.locked():
        write_broker(folder, folder.settings(), folder.authority(), now=now)


def write_configuration(folder: GatewayFolder, settings: GatewaySettings) -> None:
    """`mosquitto.conf`, as this version of the project and `gateway.json` want it."""
    gateway = Gateway(
        host=settings.listen_host,
        port=settings.listen_port,
        data=Path(settings.data),
        broker=folder.broker_path,
        user=settings.user,
    )
    folder.write(folder.configuration_path, render(gateway))


def issue(
    folder: GatewayFolder,
    names: Sequence[str],
    role: Role,
    *,
    now: datetime,
    days: int | None = None,
    out: Path | None = None,
) -> list[Bundle]:
    """New names, each with its first certificate, or the first since it was revoked: all of them, or none. The broker
    must reload its ACL.

    Raises:
        IdentityNameError: a name is malformed, or in use.
        FolderError: the folder cannot be read or written.
    """
    with folder.locked():
        registry = folder.registry()
        for name in names:
            registry.check_new(name)
        return _issue(folder, registry, dict.fromkeys(names, role), now=now, days=days, out=out)


def renew(
    folder: GatewayFolder, names: Sequence[str], *, now: datetime, days: int | None = None, out: Path | None = None
) -> list[Bundle]:
    """A further certificate for each name, with a new key. The older one stays good until it ends or the name is
    revoked.

    Raises:
        IdentityNameError: there is no such name, or it is revoked; then none is renewed.
        FolderError: the folder cannot be read or written.
    """
    with folder.locked():
        registry = folder.registry()
        roles = {name: registry.current(name).role for name in names}
        return _issue(folder, registry, roles, now=now, days=days, out=out)


def renew_own(folder: GatewayFolder, *, now: datetime) -> None:
    """New certificates for the broker and the gateway's own identities, where they end within OWN_RENEW_DAYS.

    Raises:
        FolderError: the folder cannot be read or written.
    """
    soon = now + timedelta(days=OWN_RENEW_DAYS)
    newest = folder.registry().newest()
    for name in OWN_IDENTITIES:
        if name in newest and newest[name].revoked is None and newest[name].expires <= soon:
            renew(folder, [name], now=now)
    if folder.broker_expires() <= soon:
        renew_broker(folder, now=now)


def revoke(folder: GatewayFolder, names: list[str], *, now: datetime) -> None:
    """Take all rights from these names, and put all their certificates on the revocation list. Repeatable.

    In force for connections when the broker has restarted. The gateway's own probe gets a new certificate at once:
    without one nobody could see whether the broker obeys.

    Raises:
        IdentityNameError: a name was never issued; then nothing is revoked.
        FolderError: the folder cannot be read or written.
    """
    with folder.locked():
        registry = folder.registry()
        for name in names:
            registry.known(name)
            registry = registry.with_revoked(name, now)
        folder.write_registry(registry)
        _write_rights(folder, folder.settings(), folder.authority(), registry, now=now)
        for name in names:
            folder.bundle_path(name).unlink(missing_ok=True)
        if PROBE in names:
            _issue(folder, registry, {PROBE: Role.PROBE}, now=now, days=None, out=None)


def _issue(
    folder: GatewayFolder,
    registry: Registry,
    roles: Mapping[str, Role],
    *,
    now: datetime,
    days: int | None,
    out: Path | None,
) -> list[Bundle]:
    if not roles:
        return []
    settings, authority = folder.settings(), folder.authority()
    if out is not None:
        folder.make(out)  # Before anything is issued: a name without its bundle could only be renewed.
    issued = {name: authority.issue_client(name, now=now, days=days or days_of(role)) for name, role in roles.items()}
    for name, each in issued.items():
        registry = registry.with_issued(
            Certificate(name=name, role=roles[name], serial=each.serial, issued=now, expires=each.expires)
        )
    folder.write_registry(registry)  # First: a certificate that nobody knows of could never be revoked.
    folder.write(folder.acl_path, render_acl(registry.roles()))
    bundles = []
    for name, each in issued.items():
        path = folder.bundle_path(name) if out is None else out / f"{name}.pem"
        folder.write(path, _bundle(settings, authority, name, each))
        bundles.append(Bundle(name=name, path=path, expires=each.expires))
    return bundles


def _bundle(settings: GatewaySettings, authority: Authority, name: str, issued: Issued) -> str:
    return format_bundle(
        name=name,
        host=settings.hosts[0],
        port=settings.listen_port,
        expires=issued.expires,
        certificate=issued.certificate,
        key=issued.key,
        authority=authority.pem,
    )


def _write_rights(
    folder: GatewayFolder, settings: GatewaySettings, authority: Authority, registry: Registry, *, now: datetime
) -> None:
    """ACL and revocation list, with a fresh canary on it."""
    canary = authority.issue_client(CANARY, now=now, days=OPERATOR_DAYS * 10)
    folder.write(folder.canary_path, _bundle(settings, authority, CANARY, canary))
    folder.write(folder.acl_path, render_acl(registry.roles()))
    serials = [canary.serial, *registry.revoked_serials()]
    folder.write(folder.revoked_path, authority.revocation_list(serials, now=now))


def _make_folders(folder: GatewayFolder, data: Path) -> str | None:
    """The folders, and the user that the broker will run as."""
    try:
        for path in (folder.path, folder.authority_path, folder.identities_path, folder.broker_path, data):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
        folder.path.chmod(0o711)
        users = {claim_data(folder.broker_path), claim_data(data)}
        if users == {None}:
            folder.path.chmod(0o700)
            return None
        return "root" if "root" in users else users.pop()
    except (OSError, shutil.Error) as error:
        raise FolderError(f"a gateway cannot be made in {folder.path}: {error}") from None
