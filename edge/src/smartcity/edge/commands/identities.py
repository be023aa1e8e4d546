"""`init`, `add-device`, `add-operator`, `list`, `renew`, `revoke`: who may speak to the gateway."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .. import identities
from ..acl import describe
from ..broker import RunningBroker
from ..folder import GatewayFolder
from ..identities import Bundle
from ..registry import Certificate, Registry, Role
from .flags import add_gateway, address, host, positive

_OPERATORS = (Role.RECORDER, Role.REPLAYER, Role.REDRIVER, Role.DASHBOARD, Role.BRIDGE)
_SOON = timedelta(days=7)


def add_parsers(commands: Any) -> None:
    _add_init(commands)
    device = commands.add_parser(
        "add-device",
        help="issue a device's identity: one bundle to copy to it",
        description="Issue identities. Copy each bundle to its device (mode 0600), then remove it here.",
        epilog="example: smartcity-edge add-device veh-001 veh-002 --days 30 --out bundles",
    )
    device.add_argument("names", nargs="+", metavar="NAME", help="1 to 32 of a-z, 0-9 and '-'")
    _add_issuing(device, f"{identities.DEVICE_DAYS}")
    device.set_defaults(run=_add, role=Role.DEVICE)
    operator = commands.add_parser(
        "add-operator",
        help="issue the identity of a recorder, a replayer, a redriver, a further dashboard or bridge",
        description="Roles: " + "; ".join(f"{role} may {describe(role)}" for role in _OPERATORS),
        epilog="example: smartcity-edge add-operator alice-laptop --role recorder",
    )
    operator.add_argument("names", nargs="+", metavar="NAME")
    operator.add_argument("--role", type=Role, choices=_OPERATORS, required=True)
    _add_issuing(operator, f"{identities.OPERATOR_DAYS}")
    operator.set_defaults(run=_add)
    listing = commands.add_parser("list", help="show who was issued an identity", epilog="example: smartcity-edge list")
    add_gateway(listing)
    listing.add_argument("--json", action="store_true", help="every certificate, as JSON")
    listing.set_defaults(run=_list)
    renewal = commands.add_parser(
        "renew",
        help="issue a further certificate for names, or for the broker",
        description="The older certificate stays good until it ends; if it was lost, revoke the name instead.",
        epilog="example: smartcity-edge renew veh-001 · smartcity-edge renew --broker",
    )
    renewal.add_argument("names", nargs="*", metavar="NAME")
    renewal.add_argument("--broker", action="store_true", help="the broker's certificate and its configuration")
    _add_issuing(renewal, f"{identities.DEVICE_DAYS} for a device, else {identities.OPERATOR_DAYS}")
    renewal.set_defaults(run=_renew)
    revocation = commands.add_parser(
        "revoke",
        help="lock names out within 10 s, open connections included",
        description="The broker is restarted: everybody connects again, but for the revoked.",
        epilog="example: smartcity-edge revoke veh-001",
    )
    revocation.add_argument("names", nargs="+", metavar="NAME")
    add_gateway(revocation)
    revocation.set_defaults(run=_revoke)


def _add_init(commands: Any) -> None:
    init = commands.add_parser(
        "init",
        help="make a gateway: its authority, the broker's certificate and configuration, its own identities",
        description="Makes a folder with all that Mosquitto needs: mosquitto -c DIR/broker/mosquitto.conf. "
        "If root starts Mosquitto, run this as root too.",
        epilog="example: smartcity-edge init --gateway /etc/smartcity/gateway --host gateway.local --host 192.168.1.5 "
        "--restart-command 'systemctl restart mosquitto' --reload-command 'systemctl reload mosquitto'",
    )
    add_gateway(init)
    init.add_argument("--listen", type=address, default=("0.0.0.0", 8883), metavar="HOST:PORT")
    init.add_argument(
        "--host",
        type=host,
        action="append",
        metavar="NAME",
        help="name or address by which clients reach it, repeatable; the first stands in bundles "
        "(default: this machine's name)",
    )
    init.add_argument("--data", type=Path, metavar="DIR", help="folder of the broker's database (default: DIR/data)")
    init.add_argument("--reload-command", metavar="CMD", help="instead of SIGHUP to the broker's process")
    init.add_argument(
        "--restart-command", metavar="CMD", help="instead of SIGTERM to a broker that others keep running"
    )
    init.set_defaults(run=_init)


def _add_issuing(parser: argparse.ArgumentParser, days: str) -> None:
    add_gateway(parser)
    parser.add_argument("--days", type=positive, metavar="N", help=f"until it ends (default: {days})")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write NAME.pem (default: DIR/identities)")


def _init(flags: argparse.Namespace) -> int:
    folder = GatewayFolder(flags.gateway)
    hosts = tuple(flags.host or (host(socket.gethostname()),))
    identities.make_gateway(
        folder,
        listen=flags.listen,
        hosts=hosts,
        data=flags.data,
        reload_command=flags.reload_command,
        restart_command=flags.restart_command,
        now=datetime.now(UTC),
    )
    print(f"gateway {hosts[0]}:{flags.listen[1]} in {folder.path}")
    print(f"start it with: mosquitto -c {folder.configuration_path}")
    for name, role in identities.OWN_IDENTITIES.items():
        print(f"{role:<9} {folder.bundle_path(name)}")
    return 0


def _add(flags: argparse.Namespace) -> int:
    folder, now = GatewayFolder(flags.gateway), datetime.now(UTC)
    return _report(folder, identities.issue(folder, flags.names, flags.role, now=now, days=flags.days, out=flags.out))


def _renew(flags: argparse.Namespace) -> int:
    if not flags.names and not flags.broker:
        print("smartcity-edge: nothing to renew: give names, or --broker", file=sys.stderr)
        return 2
    folder, now = GatewayFolder(flags.gateway), datetime.now(UTC)
    issued = identities.renew(folder, flags.names, now=now, days=flags.days, out=flags.out)
    if flags.broker:
        identities.renew_broker(folder, now=now)
        print("the broker has a new certificate")
    return _report(folder, issued)


def _report(folder: GatewayFolder, issued: Sequence[Bundle]) -> int:
    for bundle in issued:
        print(f"{bundle.name} until {bundle.expires:%Y-%m-%d}: {bundle.path}")
    if not RunningBroker(folder, folder.settings()).reload():
        print("no broker runs here now; it will know when it starts")
    return 0


def _revoke(flags: argparse.Namespace) -> int:
    folder = GatewayFolder(flags.gateway)
    identities.revoke(folder, flags.names, now=datetime.now(UTC))
    restarted = RunningBroker(folder, folder.settings()).restart()
    how = (
        "in force: the broker was restarted, and refuses a revoked certificate"
        if restarted
        else ("no broker runs here now; it is in force when one starts")
    )
    print(f"revoked {', '.join(flags.names)}; {how}")
    return 0


def _list(flags: argparse.Namespace) -> int:
    folder, now = GatewayFolder(flags.gateway), datetime.now(UTC)
    registry = folder.registry()
    if flags.json:
        print(json.dumps([_row(each, now) for each in registry.certificates], indent=2))
        return 0
    for name, newest in sorted(registry.newest().items()):
        count = _in_force(registry, name, now)
        more = f", {count} certificates in force" if count > 1 else ""
        print(f"{name:<32} {newest.role:<9} {state(newest, now):<8} until {newest.expires:%Y-%m-%d}{more}")
    return 0


def _in_force(registry: Registry, name: str, now: datetime) -> int:
    return sum(each.name == name and each.revoked is None and each.expires > now for each in registry.certificates)


def _row(each: Certificate, now: datetime) -> dict[str, str]:
    return {
        "name": each.name,
        "role": each.role,
        "state": state(each, now),
        "serial": f"{each.serial:x}",
        "issued": each.issued.isoformat(),
        "expires": each.expires.isoformat(),
    }


def state(certificate: Certificate, now: datetime) -> str:
    """`revoked`, `expired`, `expiring` (within a week) or `valid`."""
    if certificate.revoked is not None:
        return "revoked"
    if certificate.expires <= now:
        return "expired"
    return "expiring" if certificate.expires <= now + _SOON else "valid"
