"""The gateway's own certificate authority: pure functions from values to PEM. Keys are ECDSA P-256 throughout.

Decisions, with their reasons:

- *One authority per gateway*, path length 0: it signs clients and the broker, never another authority. Whoever has its
  key is the gateway; nobody else's certificate is worth anything here.
- *A client's certificate cannot serve, and the broker's cannot connect* (extended key usage), so that no device can
  stand in for the gateway.
- *Certificates begin an hour ago*: a device's clock may be behind.
- *The revocation list never ends before the authority does*: it is read from the gateway's own disk, so age says
  nothing about it, and OpenSSL refuses everybody once a list has run out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .errors import FolderError

AUTHORITY_DAYS = 3_650
BROKER_DAYS = 397
"""The longest that common TLS clients accept of a server."""
BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: str
    key: str = field(repr=False)
    serial: int
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The signing half. Made by `new_authority` or `load_authority`."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def pem(self) -> str:
        return _pem(self.certificate)

    @property
    def expires(self) -> datetime:
        return self.certificate.not_valid_after_utc

    def key_pem(self) -> str:
        return _key_pem(self.key)

    def issue_client(self, name: str, *, now: datetime, days: int) -> Issued:
        """A certificate that may connect, its common name `name`; the caller has checked the name."""
        return self._issue(name, (), ExtendedKeyUsageOID.CLIENT_AUTH, now=now, days=days)

    def issue_broker(self, hosts: Sequence[str], *, now: datetime) -> Issued:
        """A certificate that may serve under these DNS names and addresses."""
        return self._issue(hosts[0], hosts, ExtendedKeyUsageOID.SERVER_AUTH, now=now, days=BROKER_DAYS)

    def revocation_list(self, serials: Iterable[int], *, now: datetime) -> str:
        """A revocation list with these serial numbers, as PEM."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now - BACKDATED).next_update(self.expires)
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
            builder = builder.add_revoked_certificate(revoked)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        builder = builder.add_extension(x509.CRLNumber(int(now.timestamp() * 1_000)), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def _issue(
        self, name: str, hosts: Sequence[str], usage: x509.ObjectIdentifier, *, now: datetime, days: int
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        expires = min(now + timedelta(days=days), self.expires).replace(microsecond=0)
        builder = _builder(name, self.certificate.subject, key, now - BACKDATED, expires)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return Issued(
            certificate=_pem(certificate), key=_key_pem(key), serial=certificate.serial_number, expires=expires
        )


def new_authority(name: str, *, now: datetime) -> Authority:
    """A fresh authority, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = _builder(name, subject, key, now - BACKDATED, now + timedelta(days=AUTHORITY_DAYS))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    return Authority(certificate=builder.sign(key, hashes.SHA256()), key=key)


def load_authority(certificate: bytes, key: bytes) -> Authority:
    """The authority of two PEM files.

    Raises:
        FolderError: they are not a certificate and its key.
    """
    try:
        loaded = x509.load_pem_x509_certificate(certificate)
        private = serialization.load_pem_private_key(key, password=None)
    except ValueError:
        raise FolderError("the authority's certificate or key is damaged: restore it, or make a new gateway") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != loaded.public_key():
        raise FolderError("the authority's key does not belong to its certificate: restore it, or make a new gateway")
    return Authority(certificate=loaded, key=private)


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: datetime, expires: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(expires)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
