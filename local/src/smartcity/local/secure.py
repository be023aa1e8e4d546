"""The stack's gateway with identities: made at the first `up --secure`, kept, and its devices' bundles."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smartcity.contracts.identity import Identity, IdentityError, read_bundle
from smartcity.edge import identities
from smartcity.edge.broker import RunningBroker, greet
from smartcity.edge.check import Finding
from smartcity.edge.check_folder import judge_folder, judge_running
from smartcity.edge.errors import EdgeError
from smartcity.edge.folder import GatewayFolder
from smartcity.edge.registry import Role

from .errors import ServiceError
from .layout import Layout
from .ports import LOOPBACK

HOST = "localhost"
READER = "smartcity-verify"
DEVICE_RENEW_DAYS = 3


def prepare_gateway(layout: Layout, *, port: int) -> None:
    """The gateway's folder, with its configuration for this port. Repeatable; certificates that end soon are renewed.

    Raises:
        ServiceError: the folder cannot be made or read.
    """
    folder, now = GatewayFolder(layout.gateway), datetime.now(UTC)
    try:
        if not folder.exists():
            identities.make_gateway(
                folder, listen=(LOOPBACK, port), hosts=(HOST,), data=layout.data("mosquitto"), now=now
            )
        settings = replace(folder.settings(), listen_port=port)
        folder.write_settings(settings)
        identities.write_configuration(folder, settings)
        identities.renew_own(folder, now=now)
    except EdgeError as error:
        raise ServiceError(f"mosquitto: {error}") from None


def probe_gateway(layout: Layout, *, port: int) -> str | None:
    """None where the broker welcomes the gateway's own probe, else what is wrong."""
    try:
        probe = read_bundle(GatewayFolder(layout.gateway).bundle_path(identities.PROBE))
        return greet(LOOPBACK, port, probe.tls())
    except IdentityError as error:
        return str(error)


def check_gateway(layout: Layout) -> list[Finding]:
    """What is to be said of the gateway's folder, and of the broker if it runs.

    Raises:
        EdgeError, IdentityError: it cannot be read.
    """
    folder = GatewayFolder(layout.gateway)
    return [*judge_folder(folder, now=datetime.now(UTC)), *judge_running(folder)]


def operator_bundle(layout: Layout, name: str, role: Role) -> Path:
    """The bundle of somebody on this machine who is no device: `verify`, `record`, `replay`. The broker knows them.

    Raises:
        ServiceError: the name is revoked, or the gateway's folder cannot be read or written.
    """
    folder, now = GatewayFolder(layout.gateway), datetime.now(UTC)
    try:
        newest = folder.registry().newest().get(name)
        if newest is None:
            identities.issue(folder, [name], role, now=now)
            RunningBroker(folder, folder.settings()).reload()
        elif newest.expires <= now + timedelta(days=DEVICE_RENEW_DAYS):
            identities.renew(folder, [name], now=now)
        return folder.bundle_path(name)
    except EdgeError as error:
        raise ServiceError(f"mosquitto: {error}") from None


def reader_identity(layout: Layout) -> Identity:
    """Who `verify` is at the gateway, where it reads the devices' retained statuses: somebody who only reads.

    Raises:
        ServiceError: the gateway's folder cannot be read or written.
    """
    try:
        return read_bundle(operator_bundle(layout, READER, Role.RECORDER))
    except IdentityError as error:
        raise ServiceError(f"verify: {error}") from None


def device_bundles(layout: Layout, names: Collection[str]) -> Path:
    """A folder with the bundle of each of these devices, for `smartcity-sim --identity`; the broker knows them.

    Raises:
        ServiceError: a name is revoked, or the gateway's folder cannot be read or written.
    """
    folder, now = GatewayFolder(layout.gateway), datetime.now(UTC)
    bundles = layout.gateway / "devices"
    soon = now + timedelta(days=DEVICE_RENEW_DAYS)
    try:
        newest = folder.registry().newest()
        missing = [name for name in names if name not in newest]
        due = [
            name
            for name in names
            if name in newest and (newest[name].expires <= soon or not (bundles / f"{name}.pem").exists())
        ]
        identities.issue(folder, missing, Role.DEVICE, now=now, out=bundles)
        identities.renew(folder, due, now=now, out=bundles)
        RunningBroker(folder, folder.settings()).reload()
    except EdgeError as error:
        raise ServiceError(f"mosquitto: {error}") from None
    return bundles
