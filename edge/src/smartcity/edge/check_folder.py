"""What a gateway's folder guarantees: files, certificates, ACL, revocation list, and the broker that runs with it."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from smartcity.contracts.identity import read_bundle

from .acl import render_acl
from .broker import RunningBroker, greet
from .check import Finding
from .check_running import ask_broker
from .errors import FolderError
from .folder import GatewayFolder
from .identities import OWN_RENEW_DAYS, PROBE
from .registry import Registry

SOON_DAYS = 7


def judge_folder(folder: GatewayFolder, *, now: datetime) -> list[Finding]:
    """
    Raises:
        FolderError: there is no gateway, or it cannot be read.
    """
    settings, registry = folder.settings(), folder.registry()
    findings = [*_judge_modes(folder), *_judge_certificates(folder, now), *_judge_issued(registry, now)]
    if settings.user == "root":
        text = (
            "the broker stays root, since its own user cannot reach this folder: move it to a place that all may enter"
        )
        findings.append(Finding(level="note", text=text))
    if _read(folder.acl_path) != render_acl(registry.roles()):
        text = "the ACL is not the one that issued.json makes: it was changed by hand, or a command was cut off"
        findings.append(Finding(level="bad", text=f"{text}; renew any identity to write it anew"))
    else:
        findings.append(Finding(level="good", text="each name may do what its role may, any other name nothing"))
    listed, wanted = _revoked_serials(folder), set(registry.revoked_serials())
    if wanted <= listed:
        findings.append(Finding(level="good", text=f"the revocation list holds all {len(wanted)} revoked certificates"))
    else:
        text = f"{len(wanted - listed)} revoked certificates are missing in the revocation list: revoke again"
        findings.append(Finding(level="bad", text=text))
    return findings


def judge_running(folder: GatewayFolder) -> list[Finding]:
    """What the broker does that runs now, tried out: who is let in, who is not.

    Raises:
        FolderError: the folder cannot be read.
        IdentityError: nor its probe.
        BrokerError: it refuses the gateway's own probe.
    """
    settings = folder.settings()
    broker = RunningBroker(folder, settings)
    if not broker.listening():
        return [Finding(level="note", text=f"no broker listens on {settings.local_host}:{settings.listen_port} now")]
    probe = read_bundle(folder.bundle_path(PROBE))
    findings = ask_broker(settings.local_host, settings.listen_port, probe)
    stranger = probe.tls_without_certificate()
    for who, context in (("without a certificate", stranger), ("without TLS", None)):
        if greet(settings.local_host, settings.listen_port, context) is None:
            text = f"the running broker lets clients in {who}: it has another configuration; restart it"
            findings.append(Finding(level="bad", text=text))
    if broker.lets_the_canary_in():
        text = "the running broker lets a revoked certificate in: it has not read the revocation list; restart it"
        findings.append(Finding(level="bad", text=text))
    if not any(finding.level == "bad" for finding in findings):
        text = "tried out: the running broker refuses who has no certificate, no TLS, or a revoked certificate"
        findings.append(Finding(level="good", text=text))
    return findings


def _judge_modes(folder: GatewayFolder) -> Iterator[Finding]:
    paths = [folder.authority_path, folder.identities_path, folder.broker_path]
    for path in (*paths, *(file for each in paths for file in each.iterdir())):
        if path.name != folder.pid_path.name and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Finding(level="bad", text=f"others may enter or read {path}; run: chmod go= {path}")


def _judge_certificates(folder: GatewayFolder, now: datetime) -> Iterator[Finding]:
    """The authority's and the broker's own."""
    authority = folder.authority()
    broker = folder.broker_certificate()
    for whose, expires, renewal, early in (
        ("authority", authority.expires, "make a new gateway, and issue all identities anew", 365),
        ("broker", broker.not_valid_after_utc, "smartcity-edge renew --broker", OWN_RENEW_DAYS),
    ):
        text = f"the {whose}'s certificate ends on {expires:%Y-%m-%d}"
        if expires <= now:
            yield Finding(level="bad", text=f"{text}, so nobody can connect; {renewal}")
        elif expires <= now + timedelta(days=early):
            yield Finding(level="note", text=f"{text}; {renewal}")
        else:
            yield Finding(level="good", text=text)
    if broker.issuer != authority.certificate.subject:
        yield Finding(
            level="bad", text="the broker's certificate is another authority's; smartcity-edge renew --broker"
        )


def _judge_issued(registry: Registry, now: datetime) -> Iterator[Finding]:
    """How many of each role, and whose certificates end soon."""
    roles = registry.roles()
    newest = {name: registry.newest()[name] for name in roles}
    counted = ", ".join(f"{count} {role}" for role, count in sorted(Counter(roles.values()).items()))
    yield Finding(level="good", text=f"identities: {counted or 'none'}")
    expired = sorted(name for name, each in newest.items() if each.expires <= now)
    soon = timedelta(days=SOON_DAYS)
    ending = sorted(name for name, each in newest.items() if now < each.expires <= now + soon)
    for names, what in ((expired, "are expired"), (ending, f"end within {SOON_DAYS} days")):
        if names:
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            yield Finding(level="note", text=f"certificates {what}: {shown}; smartcity-edge renew NAME")


def _revoked_serials(folder: GatewayFolder) -> set[int]:
    try:
        listed = x509.load_pem_x509_crl(folder.revoked_path.read_bytes())
    except (OSError, ValueError) as error:
        raise FolderError(f"{folder.revoked_path} cannot be read as a revocation list: {error}") from None
    return {entry.serial_number for entry in listed}


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FolderError(f"{path} cannot be read: {error}") from None
