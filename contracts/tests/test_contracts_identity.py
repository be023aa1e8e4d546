"""A bundle's text is read as it was written, and refused where it is not one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from smartcity.contracts.identity import IdentityError, format_bundle, read_bundle

PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
EXPIRES = datetime(2026, 12, 25, 10, tzinfo=UTC)


def write(folder: Path, text: str) -> Path:
    path = folder / "veh-001.pem"
    path.write_text(text)
    path.chmod(0o600)
    return path


def bundle(host: str = "gateway.local") -> str:
    return format_bundle(
        name="veh-001",
        host=host,
        port=8883,
        expires=EXPIRES,
        certificate=PEM.format("T1dO"),
        key="-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
        authority=PEM.format("QVVUSA=="),
    )


@pytest.mark.parametrize("host", ["gateway.local", "192.0.2.7", "2001:db8::7"])
def test_what_was_written_is_read(tmp_path: Path, host: str) -> None:
    identity = read_bundle(write(tmp_path, bundle(host)))
    assert (identity.name, identity.host, identity.port, identity.expires) == ("veh-001", host, 8883, EXPIRES)
    assert identity.authority == PEM.format("QVVUSA==")


def test_neither_key_nor_authority_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path, bundle())
    assert "c2VjcmV0" not in repr(read_bundle(path))
    with pytest.raises(IdentityError) as failed:
        read_bundle(path).tls()  # These certificates are none.
    assert "c2VjcmV0" not in f"{failed.value!r}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# smartcity identity 1", "# smartcity identity 9"),
        ("# name: veh-001", "# name: veh/001"),
        (":8883", ":88830"),
        ("2026-12-25", "2026-13-25"),
        (PEM.format("QVVUSA=="), ""),
    ],
)
def test_anything_else_is_no_bundle(tmp_path: Path, before: str, after: str) -> None:
    assert before in bundle()
    with pytest.raises(IdentityError, match=r"no identity bundle|no time"):
        read_bundle(write(tmp_path, bundle().replace(before, after)))


def test_a_bundle_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, bundle())
    path.chmod(0o604)
    with pytest.raises(IdentityError, match="chmod 600"):
        read_bundle(path)
