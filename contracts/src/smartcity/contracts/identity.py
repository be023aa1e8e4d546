"""The file by which a client proves to a gateway who it is: one bundle, made by `smartcity-edge`, read by every client.

A bundle is PEM with a few lines of text before it, so that any TLS program can read it too:

    # smartcity identity 1: holds a private key, keep it to yourself
    # name: veh-001
    # broker: gateway.local:8883
    # expires: 2026-12-25T10:00:00Z
    (the certificate, its private key, the certificate of the gateway's authority: in this order)

Read with the standard library alone. Nothing of the key ever stands in a repr or an error.
"""

from __future__ import annotations

import re
import ssl
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from .limits import DEVICE_NAME_PATTERN

_TITLE = "# smartcity identity 1: holds a private key, keep it to yourself"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_HEADER = re.compile(rf"{_TITLE}\n# name: ({DEVICE_NAME_PATTERN})\n# broker: (\S+):(\d{{1,5}})\n# expires: (\S+)\n")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class IdentityError(ValueError):
    """A bundle cannot be used; names the file and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a bundle says. The private key stays in the file."""

    path: Path
    name: str
    """User and client id at the gateway, and the device's name in topics."""
    host: str
    port: int
    expires: datetime
    authority: str = field(repr=False)
    """PEM of the only authority that the gateway's certificate may come from."""

    def tls(self) -> ssl.SSLContext:
        """TLS 1.2 or newer with this certificate, trusting this gateway's authority and no other.

        Raises:
            IdentityError: certificate and key cannot be loaded.
        """
        context = self.tls_without_certificate()
        try:
            context.load_cert_chain(self.path)
        except (OSError, ssl.SSLError) as error:
            raise IdentityError(f"{self.path}: certificate or key cannot be loaded ({error}); issue it anew") from error
        return context

    def tls_without_certificate(self) -> ssl.SSLContext:
        """The same trust, without saying who we are: what a gateway has to refuse.

        Raises:
            IdentityError: the authority's certificate cannot be loaded.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(cadata=self.authority)
        except ssl.SSLError as error:
            raise IdentityError(f"{self.path}: the authority cannot be loaded ({error}); issue it anew") from error
        return context


def format_bundle(
    *, name: str, host: str, port: int, expires: datetime, certificate: str, key: str, authority: str
) -> str:
    """The text of a bundle. The three last are PEM."""
    header = f"{_TITLE}\n# name: {name}\n# broker: {host}:{port}\n# expires: {expires.astimezone(UTC):{_TIME}}\n"
    return header + certificate + key + authority


def read_bundle(path: Path) -> Identity:
    """The identity in a file.

    Raises:
        IdentityError: it cannot be read, is no bundle, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text file"
        raise IdentityError(f"identity {path} cannot be read: {why}") from None
    if mode & _OTHERS:
        raise IdentityError(f"identity {path} holds a private key, and others may read it; run: chmod 600 {path}")
    header, certificates = _HEADER.match(text), _CERTIFICATE.findall(text)
    if header is None or len(certificates) < 2 or not 0 < int(header[3]) < 65_536:
        raise IdentityError(f"{path} is no identity bundle; make one with: smartcity-edge add-device NAME")
    try:
        expires = datetime.strptime(header[4], _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise IdentityError(f"{path}: {header[4]!r} is no time; issue the identity anew") from None
    host = header[2].removeprefix("[").removesuffix("]")
    return Identity(
        path=path, name=header[1], host=host, port=int(header[3]), expires=expires, authority=certificates[-1]
    )
