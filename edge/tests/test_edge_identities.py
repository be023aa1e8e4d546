"""Identities without a broker: names, bundles, files and their modes, the list, the ACL, the authority."""

from __future__ import annotations

import json
import os
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from smartcity.contracts.identity import IdentityError, read_bundle
from smartcity.edge import identities, registry
from smartcity.edge.acl import render_acl
from smartcity.edge.authority import Issued, load_authority, new_authority
from smartcity.edge.check import judge, parse_configuration, read_configuration
from smartcity.edge.errors import FolderError, IdentityNameError
from smartcity.edge.folder import GatewayFolder
from smartcity.edge.gateway import Gateway, render
from smartcity.edge.main import main
from smartcity.edge.registry import Certificate, Registry, Role

NOW = datetime.now(UTC).replace(microsecond=0)
SECURE = render(Gateway(host="0.0.0.0", port=8883, data=Path("/data"), broker=Path("/g/broker")))


@pytest.fixture
def folder(tmp_path: Path) -> GatewayFolder:
    made = GatewayFolder(tmp_path / "gateway")
    # A port that nobody listens on: reserved by IANA, and refused by the kernel.
    identities.make_gateway(made, listen=("127.0.0.1", 1), hosts=("gateway.local", "192.0.2.7"), now=NOW)
    return made


def run(folder: GatewayFolder, *arguments: str) -> int:
    return main([*arguments, "--gateway", str(folder.path)])


@pytest.mark.parametrize("name", ["veh/1", "veh+", "veh#", "", "Veh", "veh_1", "v" * 33, "veh 1", "véh", "veh\n", ".."])
def test_names_that_could_mean_more_than_one_device_are_refused(name: str) -> None:
    with pytest.raises(IdentityNameError, match="no name for an identity"):
        Registry().check_new(name)


def test_a_refused_name_is_not_issued(folder: GatewayFolder, capsys: pytest.CaptureFixture[str]) -> None:
    before = folder.issued_path.read_bytes()
    assert run(folder, "add-device", "veh/001") == 1
    assert "'veh/001' is no name for an identity" in capsys.readouterr().err
    assert folder.issued_path.read_bytes() == before


def test_a_name_is_issued_once(folder: GatewayFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "add-device", "veh-001", "veh-002") == 0
    assert run(folder, "add-operator", "veh-001", "--role", "replayer") == 1
    assert "veh-001 was issued already" in capsys.readouterr().err


def test_one_wrong_name_issues_none_of_them(folder: GatewayFolder, tmp_path: Path) -> None:
    assert run(folder, "add-device", "veh-002") == 0
    before = folder.issued_path.read_bytes()
    assert run(folder, "add-device", "veh-001", "veh-002", "--out", str(tmp_path / "bundles")) == 1
    assert run(folder, "renew", "veh-002", "veh-003") == 1
    assert folder.issued_path.read_bytes() == before
    assert not (tmp_path / "bundles").exists()


def test_a_folder_for_bundles_is_made_before_anything_is_issued(
    folder: GatewayFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "bundles"
    assert run(folder, "add-device", "veh-001", "veh-001", "--out", str(out)) == 0
    assert [path.name for path in out.iterdir()] == ["veh-001.pem"]
    assert out.stat().st_mode & 0o777 == 0o700
    before = folder.issued_path.read_bytes()
    (tmp_path / "file").touch()
    assert run(folder, "add-device", "veh-002", "--out", str(tmp_path / "file")) == 1
    assert "cannot be made" in capsys.readouterr().err
    assert folder.issued_path.read_bytes() == before


def test_a_bundle_says_who_where_and_until_when_and_loads_with_the_standard_library(folder: GatewayFolder) -> None:
    [bundle] = identities.issue(folder, ["veh-001"], Role.DEVICE, now=NOW)
    identity = read_bundle(bundle.path)
    assert (identity.name, identity.host, identity.port) == ("veh-001", "gateway.local", 1)
    assert identity.expires == NOW + timedelta(days=identities.DEVICE_DAYS)
    context = identity.tls()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


def test_a_bundle_that_others_may_read_or_that_is_none_is_refused(folder: GatewayFolder, tmp_path: Path) -> None:
    path = identities.issue(folder, ["veh-001"], Role.DEVICE, now=NOW)[0].path
    path.chmod(0o640)
    with pytest.raises(IdentityError, match="chmod 600"):
        read_bundle(path)
    path.chmod(0o600)
    path.write_text(path.read_text().replace("# name: veh-001", "# name: veh/001"))
    with pytest.raises(IdentityError, match="no identity bundle"):
        read_bundle(path)
    with pytest.raises(IdentityError, match="cannot be read"):
        read_bundle(tmp_path / "none.pem")


def test_a_bundle_with_another_key_is_refused_without_showing_it(folder: GatewayFolder) -> None:
    path = identities.issue(folder, ["veh-001"], Role.DEVICE, now=NOW)[0].path
    key = new_authority("x", now=NOW).key_pem()
    text = path.read_text()
    begin, end = text.index("-----BEGIN PRIVATE"), text.index("-----END PRIVATE KEY-----\n") + 26
    path.write_text(text[:begin] + key + text[end:])
    with pytest.raises(IdentityError) as failed:
        read_bundle(path).tls()
    assert key.splitlines()[1] not in f"{failed.value!r}"


def test_only_their_owner_reads_keys_and_folders(folder: GatewayFolder) -> None:
    identities.issue(folder, ["veh-001"], Role.DEVICE, now=NOW)
    identities.revoke(folder, ["veh-001"], now=NOW)
    for path in folder.path.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE(folder.path.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)


def test_nothing_secret_is_in_a_repr_or_an_output(folder: GatewayFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "add-device", "veh-001") == 0
    assert run(folder, "list", "--json") == 0
    shown = capsys.readouterr()
    authority = folder.authority()
    issued = authority.issue_client("x", now=NOW, days=1)
    said = f"{shown.out}{shown.err}{authority!r}{issued!r}{read_bundle(folder.bundle_path('veh-001'))!r}"
    assert "PRIVATE KEY" not in said
    for secret in (issued.key, authority.key_pem(), folder.bundle_path("veh-001").read_text()):
        line = secret[secret.index("-----BEGIN PRIVATE KEY-----") :].splitlines()[1]
        assert line not in said


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    folder: GatewayFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(path.name for path in folder.broker_path.iterdir())
    acl = folder.acl_path.read_text()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FolderError, match="No space left"):
        folder.write(folder.acl_path, "user everybody\n")
    assert folder.acl_path.read_text() == acl
    assert sorted(path.name for path in folder.broker_path.iterdir()) == before


def test_a_second_init_would_void_all_identities_and_is_refused(folder: GatewayFolder) -> None:
    before = (folder.authority_path / "authority.key").read_bytes()
    assert run(folder, "init", "--host", "gateway.local") == 1
    assert (folder.authority_path / "authority.key").read_bytes() == before


def test_init_takes_hosts_and_addresses_into_the_brokers_certificate(folder: GatewayFolder) -> None:
    certificate = x509.load_pem_x509_certificate((folder.broker_path / "broker.pem").read_bytes())
    names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert isinstance(names, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["gateway.local", "localhost"]
    assert [str(value) for value in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7", "127.0.0.1", "::1"]


def test_renewal_keeps_the_older_certificate_and_revocation_takes_both(folder: GatewayFolder) -> None:
    identities.issue(folder, ["veh-001"], Role.DEVICE, now=NOW)
    identities.renew(folder, ["veh-001"], now=NOW + timedelta(days=20))
    serials = {each.serial for each in folder.registry().certificates if each.name == "veh-001"}
    assert len(serials) == 2
    assert "user veh-001\n" in folder.acl_path.read_text()
    identities.revoke(folder, ["veh-001"], now=NOW + timedelta(days=21))
    assert "user veh-001\n" not in folder.acl_path.read_text()
    listed = x509.load_pem_x509_crl(folder.revoked_path.read_bytes())
    assert serials < {entry.serial_number for entry in listed}
    assert listed.next_update_utc == folder.authority().expires
    assert not folder.bundle_path("veh-001").exists()
    with pytest.raises(IdentityNameError, match="is revoked"):
        identities.renew(folder, ["veh-001"], now=NOW)


def test_an_unknown_name_revokes_nothing(folder: GatewayFolder) -> None:
    before = folder.issued_path.read_bytes()
    with pytest.raises(IdentityNameError, match="no identity is called 'veh-009'"):
        identities.revoke(folder, [identities.DASHBOARD, "veh-009"], now=NOW)
    assert folder.issued_path.read_bytes() == before


def test_a_revoked_probe_is_issued_anew(folder: GatewayFolder) -> None:
    before = folder.bundle_path(identities.PROBE).read_text()
    identities.revoke(folder, [identities.PROBE], now=NOW)
    assert folder.bundle_path(identities.PROBE).read_text() != before
    assert f"user {identities.PROBE}\n" in folder.acl_path.read_text()


def test_the_list_of_identities_comes_back_as_it_was() -> None:
    kept = Registry(
        certificates=(
            Certificate(name="veh-001", role=Role.DEVICE, serial=2**159, issued=NOW, expires=NOW, revoked=NOW),
            Certificate(name="alice", role=Role.RECORDER, serial=1, issued=NOW, expires=NOW),
        )
    )
    assert registry.load(registry.dump(kept)) == kept
    assert kept.roles() == {"alice": Role.RECORDER}
    for damaged in ("", "{}", "[]", '{"certificates": [{"name": "x"}]}'):
        with pytest.raises(FolderError, match="damaged"):
            registry.load(damaged)


def test_list_shows_states(folder: GatewayFolder, capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    identities.issue(folder, ["veh-old"], Role.DEVICE, now=now - timedelta(days=40))
    identities.issue(folder, ["veh-end"], Role.DEVICE, now=now - timedelta(days=25))
    identities.issue(folder, ["veh-lost"], Role.DEVICE, now=now)
    identities.revoke(folder, ["veh-lost"], now=now)
    assert run(folder, "list", "--json") == 0
    rows = {row["name"]: row["state"] for row in json.loads(capsys.readouterr().out)}
    assert {name: rows[name] for name in ("veh-old", "veh-end", "veh-lost")} == {
        "veh-old": "expired",
        "veh-end": "expiring",
        "veh-lost": "revoked",
    }


def test_the_acl_has_no_pattern_and_names_each_right() -> None:
    text = render_acl({"veh-001": Role.DEVICE, "smartcity-bridge": Role.BRIDGE})
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines == [
        "user smartcity-bridge",
        "topic read devices/#",
        "topic write receipts/#",
        "user veh-001",
        "topic write devices/veh-001/#",
        "topic read receipts/veh-001",
    ]


def handshake(server: Issued, client_context: ssl.SSLContext, folder: Path) -> None:
    """A TLS handshake in memory, as far as the client's judgement of the server."""
    file = folder / "server.pem"
    file.write_text(server.certificate + server.key)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(file)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname="gateway.local")
    for _ in range(4):
        for side in (client, serving):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_a_device_cannot_stand_in_for_the_gateway(folder: GatewayFolder, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    context = read_bundle(identities.issue(folder, ["veh-001"], Role.DEVICE, now=now)[0].path).tls()
    authority = folder.authority()
    handshake(authority.issue_broker(("gateway.local",), now=now), context, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        handshake(authority.issue_client("gateway.local", now=now, days=1), context, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority.issue_broker(("other.local",), now=now), context, tmp_path)


def test_no_certificate_outlives_its_authority() -> None:
    authority = new_authority("x", now=NOW)
    assert authority.issue_client("veh-001", now=NOW, days=99_999).expires == authority.expires


def test_a_damaged_or_foreign_authority_is_named() -> None:
    authority, other = new_authority("x", now=NOW), new_authority("x", now=NOW)
    with pytest.raises(FolderError, match="damaged"):
        load_authority(b"", authority.key_pem().encode())
    with pytest.raises(FolderError, match="does not belong"):
        load_authority(authority.pem.encode(), other.key_pem().encode())


def test_a_folder_without_gateway_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--gateway", str(tmp_path / "none")]) == 1
    assert "smartcity-edge init" in capsys.readouterr().err


def test_the_secure_configuration_has_every_limit_of_the_plain_one() -> None:
    plain = parse_configuration(render(Gateway(host="127.0.0.1", port=1883, data=Path("/data"))), "plain")
    secure = parse_configuration(SECURE, "secure")
    assert {name: secure[name] for name in plain if name not in ("listener", "allow_anonymous")} == {
        name: plain[name] for name in plain if name not in ("listener", "allow_anonymous")
    }
    assert secure["allow_anonymous"] == ["false"]
    assert [name for name, values in secure.items() if len(values) > 1 and name != "log_type"] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("require_certificate true", "without a certificate"),
        ("use_username_as_clientid true", "take another's session over"),
        ("use_identity_as_username true", "does not decide"),
        ("crlfile /g/broker/revoked.pem", "cannot be locked out"),
        ("acl_file /g/broker/acl", "write for every other"),
    ],
)
def test_each_missing_line_of_the_secure_configuration_is_named(line: str, said: str) -> None:
    assert line in SECURE
    [text] = [each.text for each in judge(parse_configuration(SECURE.replace(line, ""), "x")) if each.level == "bad"]
    assert said in text


def test_the_network_without_tls_is_a_broken_promise() -> None:
    open_text = "\n".join(line for line in SECURE.splitlines() if not line.startswith("cafile"))
    assert any("without TLS" in each.text for each in judge(parse_configuration(open_text, "x")) if each.level == "bad")


@pytest.mark.parametrize(
    ("queue", "outage_s", "said"),
    [
        (1000, 10, "queue of 1000 messages: an outage of 10 s at 100 msg/s drops messages from devices without"),
        (1000, 9, "an outage of 9 s at 100 msg/s drops nothing; the longest without loss is 10 s"),
        (0, 10, "queue of any size: an outage of 10 s at 100 msg/s drops nothing"),
    ],
)
def test_what_an_outage_costs_is_stated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], queue: int, outage_s: int, said: str
) -> None:
    file = tmp_path / "mosquitto.conf"
    file.write_text(f"listener 1883 127.0.0.1\nmax_queued_messages {queue}\n")
    main(["check", str(file), "--rate-per-s", "100", "--outage-s", str(outage_s)])
    assert said in capsys.readouterr().out


def test_a_gateways_own_files_pass_the_check_and_missing_revocations_do_not(
    folder: GatewayFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    identities.issue(folder, ["veh-001"], Role.DEVICE, now=NOW)
    old = folder.revoked_path.read_text()
    identities.revoke(folder, ["veh-001"], now=NOW)
    assert read_configuration(folder.configuration_path)["crlfile"] == [str(folder.revoked_path)]
    assert run(folder, "check") == 0
    assert "no broker listens" in capsys.readouterr().out
    folder.write(folder.revoked_path, old)
    assert run(folder, "check") == 1
    assert "1 revoked certificates are missing" in capsys.readouterr().out
