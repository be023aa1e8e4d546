"""A gateway's folder: what is kept where, who may read it, and how it is written.

    gateway/                 0700; 0711 where root starts the broker, whose user must pass through
      gateway.json           how it was set up
      issued.json            who was issued what (no keys)
      authority/             0700: authority.pem, authority.key, canary.pem
      identities/            0700: the bundles of this gateway's own clients, and those that wait to be copied
      broker/                0700, of the broker's user: mosquitto.conf, broker.pem, broker.key, revoked.pem, acl, …
      data/                  the broker's database

`issued.json` is the truth; ACL and revocation list are rendered from it. Every file has mode 0600, belongs to the
owner of its folder, and is replaced as a whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from . import registry as registry_file
from .authority import Authority, load_authority
from .errors import FolderError
from .registry import Registry

WILDCARDS = ("0.0.0.0", "::", "")
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """`gateway.json`."""

    listen_host: str
    listen_port: int
    hosts: tuple[str, ...]
    """Names and addresses by which clients reach the broker; the first stands in their bundles."""
    data: str
    user: str | None
    """Whom the broker drops to when root starts it; None where it runs as whoever starts it."""
    reload_command: str | None = None
    restart_command: str | None = None
    """Run instead of SIGHUP and SIGTERM to the process that `mosquitto.pid` names."""

    @property
    def local_host(self) -> str:
        """Where this machine reaches the broker."""
        return "127.0.0.1" if self.listen_host in WILDCARDS else self.listen_host

    def certified_hosts(self) -> tuple[str, ...]:
        """All that the broker's certificate must be good for: this machine's own names too, for `check`."""
        return tuple(dict.fromkeys((*self.hosts, self.local_host, *LOCAL_HOSTS)))


class GatewayFolder:
    """Paths, and reading and writing what they hold. Nothing is created by asking."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.settings_path = self.path / "gateway.json"
        self.issued_path = self.path / "issued.json"
        self.authority_path = self.path / "authority"
        self.identities_path = self.path / "identities"
        self.broker_path = self.path / "broker"
        self.canary_path = self.authority_path / "canary.pem"
        self.configuration_path = self.broker_path / "mosquitto.conf"
        self.acl_path = self.broker_path / "acl"
        self.revoked_path = self.broker_path / "revoked.pem"
        self.pid_path = self.broker_path / "mosquitto.pid"

    def exists(self) -> bool:
        return self.settings_path.exists()

    def bundle_path(self, name: str) -> Path:
        return self.identities_path / f"{name}.pem"

    def settings(self) -> GatewaySettings:
        """
        Raises:
            FolderError: there is no gateway here, or its settings are damaged.
        """
        try:
            values = json.loads(self._read(self.settings_path))
            return GatewaySettings(**{**values, "hosts": tuple(values["hosts"])})
        except (ValueError, TypeError, KeyError) as error:
            raise FolderError(f"{self.settings_path} is damaged: {error}") from None

    def write_settings(self, settings: GatewaySettings) -> None:
        self.write(self.settings_path, json.dumps(asdict(settings), indent=1) + "\n")

    def registry(self) -> Registry:
        """
        Raises:
            FolderError: it cannot be read.
        """
        return registry_file.load(self._read(self.issued_path))

    def write_registry(self, registry: Registry) -> None:
        self.write(self.issued_path, registry_file.dump(registry))

    def authority(self) -> Authority:
        """
        Raises:
            FolderError: it cannot be read, or is damaged.
        """
        certificate, key = (self._read(self.authority_path / name) for name in ("authority.pem", "authority.key"))
        return load_authority(certificate.encode(), key.encode())

    def broker_certificate(self) -> x509.Certificate:
        """
        Raises:
            FolderError: it cannot be read, or is damaged.
        """
        path = self.broker_path / "broker.pem"
        try:
            return x509.load_pem_x509_certificate(self._read(path).encode())
        except ValueError as error:
            raise FolderError(f"{path} cannot be read as a certificate: {error}") from None

    def broker_expires(self) -> datetime:
        return self.broker_certificate().not_valid_after_utc

    def make(self, path: Path) -> None:
        """A folder for bundles, 0700, if it is not there yet.

        Raises:
            FolderError: it cannot be made.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FolderError(f"{path} cannot be made: {error.strerror}") from None

    def write(self, path: Path, text: str) -> None:
        """Replace a file as a whole: 0600 from its first byte on, owned like its folder, synced.

        Raises:
            FolderError: the folder is not ours to write.
        """
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    if os.geteuid() == 0:
                        owner = path.parent.stat()
                        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(path.parent)
        except OSError as error:
            raise FolderError(f"{path} cannot be written: {error.strerror}") from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One command at a time changes a gateway; others wait.

        Raises:
            FolderError: there is no gateway here, or it is not ours.
        """
        try:
            descriptor = os.open(self.settings_path, os.O_RDWR)
        except OSError as error:
            raise self._unreadable(self.settings_path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._unreadable(path, error) from None

    def _unreadable(self, path: Path, error: OSError | UnicodeDecodeError) -> FolderError:
        if isinstance(error, FileNotFoundError) and not self.exists():
            return FolderError(
                f"{self.path} holds no gateway; make one with: smartcity-edge init --gateway {self.path}"
            )
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        return FolderError(f"{path} cannot be read: {why}")


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
