"""Who may do what at the gateway: Mosquitto's ACL file, one block per issued identity.

Not `pattern write devices/%u/#`: a pattern holds for everyone with a certificate, so a recorder could write below
`devices/<its name>/`, and a certificate with the name `veh-001/x` inside `veh-001`'s tree. Here a name that was not
issued, or is revoked, has no right at all, whoever signed it; and rights change with a reload, without a restart.
"""

from __future__ import annotations

from collections.abc import Mapping

from smartcity.contracts.topics import DEVICES_FILTER, receipt_topic

from .registry import Role

BROKER_STATE = "$SYS/broker/#"

_RIGHTS: dict[Role, tuple[str, ...]] = {
    Role.DEVICE: ("write devices/{name}/#", f"read {receipt_topic('{name}')}"),
    Role.BRIDGE: (f"read {DEVICES_FILTER}", f"write {receipt_topic('#')}"),
    Role.DASHBOARD: (f"read {DEVICES_FILTER}", f"read {BROKER_STATE}"),
    Role.RECORDER: ("read #",),
    # A status speaks of a connection that neither a replay nor a letter sent back has.
    Role.REPLAYER: ("deny devices/+/status", f"write {DEVICES_FILTER}"),
    Role.REDRIVER: ("deny devices/+/status", f"write {DEVICES_FILTER}", f"read {receipt_topic('#')}"),
    Role.PROBE: (f"read {BROKER_STATE}",),
}
"""`read #` reaches everything but `$SYS`. Subscribing is never refused by Mosquitto 2.0; delivering is."""


def render_acl(roles: Mapping[str, Role]) -> str:
    """The ACL file for these names. Nobody else may read or write anything."""
    lines = ["# Made by smartcity-edge from issued.json; changes by hand are lost."]
    for name, role in sorted(roles.items()):
        lines += ["", f"user {name}", *(f"topic {right.format(name=name)}" for right in _RIGHTS[role])]
    return "\n".join(lines) + "\n"


def describe(role: Role) -> str:
    """The rights of a role in words of MQTT."""
    return ", ".join(right.format(name="<name>") for right in _RIGHTS[role])
