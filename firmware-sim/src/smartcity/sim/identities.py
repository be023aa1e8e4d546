"""Who the devices are to a gateway that asks: one bundle per device (see `smartcity.contracts.identity`)."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smartcity.contracts.identity import Identity, IdentityError, read_bundle

from .errors import SettingsError
from .observation import Observation
from .source import World

SOON = timedelta(days=7)


def read_identities(path: Path) -> dict[str, Identity]:
    """The identities in a bundle, or in all bundles (`*.pem`) of a folder, by the device's name.

    Raises:
        SettingsError: there is none, or one cannot be used.
    """
    files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
    try:
        found = [read_bundle(file) for file in files]
    except IdentityError as error:
        raise SettingsError(f"--identity: {error}") from None
    if not found:
        raise SettingsError(f"--identity {path}: the folder holds no bundle (NAME.pem)")
    return {identity.name: identity for identity in found}


def contexts(identities: Mapping[str, Identity], device_ids: Collection[str]) -> dict[str, ssl.SSLContext]:
    """TLS for each of these devices.

    Raises:
        SettingsError: one has no identity, or a bundle's certificate or key is damaged.
    """
    missing = sorted(set(device_ids) - set(identities))
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise SettingsError(f"--identity: no bundle for {shown}; make them with: smartcity-edge add-device NAME")
    try:
        return {name: identities[name].tls() for name in device_ids}
    except IdentityError as error:
        raise SettingsError(f"--identity: {error}") from None


def expiring(identities: Mapping[str, Identity], now: datetime) -> str | None:
    """A warning of certificates that end within a week, or have ended."""
    ending = min(identities.values(), key=lambda identity: identity.expires)
    if ending.expires > now + SOON:
        return None
    return f"the identity of {ending.name} ends on {ending.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC: renew it"


class KnownWorld:
    """A world of which only the devices with an identity here are simulated; others may be, on other machines.

    Raises:
        SettingsError: none of the identities is a device of this world.
    """

    def __init__(self, world: World, names: Collection[str]) -> None:
        self._world = world
        self.device_ids: Sequence[str] = [name for name in world.device_ids if name in names]
        self._names = frozenset(self.device_ids)
        if not self._names:
            some = ", ".join(list(world.device_ids)[:5])
            raise SettingsError(
                f"--identity: {', '.join(sorted(names)[:5])} is not in this world; it has {some} … "
                "(all: smartcity-sim devices)"
            )

    @property
    def arrivals(self) -> Sequence[tuple[str, str, datetime]]:
        return self._world.arrivals

    @property
    def finished(self) -> bool:
        return self._world.finished

    def observe(self, until: datetime) -> Iterator[Observation]:
        return (each for each in self._world.observe(until) if each.device_id in self._names)

    def skip(self, until: datetime) -> None:
        self._world.skip(until)
