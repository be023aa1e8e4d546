"""Who was issued what: the list from which ACL and revocation list are made. It holds no key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from smartcity.contracts.limits import DEVICE_NAME_PATTERN

from .errors import FolderError, IdentityNameError

_NAME = re.compile(DEVICE_NAME_PATTERN)


class Role(StrEnum):
    """What an identity is for; `acl.py` says what each may do."""

    DEVICE = "device"
    BRIDGE = "bridge"
    DASHBOARD = "dashboard"
    RECORDER = "recorder"
    REPLAYER = "replayer"
    REDRIVER = "redriver"
    PROBE = "probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One issued certificate. A name that was renewed has several."""

    name: str
    role: Role
    serial: int
    issued: datetime
    expires: datetime
    revoked: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Every certificate ever issued, in order."""

    certificates: tuple[Certificate, ...] = ()

    def roles(self) -> dict[str, Role]:
        """The names that may do something, by what they are: those with a certificate that is not revoked."""
        return {each.name: each.role for each in self.certificates if each.revoked is None}

    def revoked_serials(self) -> Iterator[int]:
        return (each.serial for each in self.certificates if each.revoked is not None)

    def newest(self) -> dict[str, Certificate]:
        """The last certificate of each name."""
        return {each.name: each for each in self.certificates}

    def known(self, name: str) -> Certificate:
        """The last certificate of a name, revoked or not.

        Raises:
            IdentityNameError: no such name was ever issued.
        """
        found = self.newest().get(name)
        if found is None:
            raise IdentityNameError(f"no identity is called {name!r}; see: smartcity-edge list")
        return found

    def current(self, name: str) -> Certificate:
        """The last certificate of a name that is in force.

        Raises:
            IdentityNameError: no such name was issued, or it is revoked.
        """
        found = self.known(name)
        if found.revoked is not None:
            raise IdentityNameError(f"{name} is revoked; to let that name in again: smartcity-edge add-device {name}")
        return found

    def with_issued(self, certificate: Certificate) -> Registry:
        return Registry(certificates=(*self.certificates, certificate))

    def with_revoked(self, name: str, now: datetime) -> Registry:
        """The same with every certificate of that name revoked, those superseded by a renewal too."""
        return Registry(
            certificates=tuple(
                replace(each, revoked=now) if each.name == name and each.revoked is None else each
                for each in self.certificates
            )
        )

    def check_new(self, name: str) -> None:
        """
        Raises:
            IdentityNameError: the name is malformed, or in use.
        """
        if not _NAME.fullmatch(name):
            raise IdentityNameError(
                f"{name!r} is no name for an identity: 1 to 32 of a-z, 0-9 and '-', "
                "since it is one level of an MQTT topic and a line of the ACL"
            )
        if name in self.roles():
            raise IdentityNameError(f"{name} was issued already; a new certificate for it: smartcity-edge renew {name}")


def dump(registry: Registry) -> str:
    """As JSON, serial numbers in hexadecimal."""
    rows = [
        {
            **asdict(each),
            "serial": f"{each.serial:x}",
            "issued": each.issued.isoformat(),
            "expires": each.expires.isoformat(),
            "revoked": each.revoked.isoformat() if each.revoked else None,
        }
        for each in registry.certificates
    ]
    return json.dumps({"version": 1, "certificates": rows}, indent=1) + "\n"


def load(text: str) -> Registry:
    """
    Raises:
        FolderError: the text is not what `dump` writes.
    """
    try:
        return Registry(certificates=tuple(_certificate(row) for row in json.loads(text)["certificates"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FolderError(f"the list of identities is damaged ({error}): restore issued.json from a backup") from None


def _certificate(row: dict[str, str]) -> Certificate:
    return Certificate(
        name=row["name"],
        role=Role(row["role"]),
        serial=int(row["serial"], 16),
        issued=datetime.fromisoformat(row["issued"]).astimezone(UTC),
        expires=datetime.fromisoformat(row["expires"]).astimezone(UTC),
        revoked=datetime.fromisoformat(row["revoked"]).astimezone(UTC) if row["revoked"] else None,
    )
