"""Addresses, and the refusal to listen to a network."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

import pytest

from smartcity.dashboard.errors import AddressError, CertificateError
from smartcity.dashboard.guard import SECURITY_HEADERS
from smartcity.dashboard.main import main
from smartcity.dashboard.server import drawn_route
from smartcity.dashboard.settings import Address, is_loopback, parse_address, read_settings

BRIDGE = "http://127.0.0.1:8081"


@pytest.mark.parametrize("listen", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "127.8.0.9:1"])
def test_loopback_is_accepted(listen: str) -> None:
    settings = read_settings(mqtt="gateway.example:1883", bridge=f"{BRIDGE}/", listen=listen)
    assert settings.mqtt == Address(host="gateway.example", port=1883)
    assert settings.bridge == BRIDGE


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080", "city.example:8080"])
def test_anything_else_is_refused_with_its_reason(listen: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--listen", listen]) == 2
    error = capsys.readouterr().err
    assert listen in error
    assert "--token-file" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("value", ["", "localhost", "localhost:", "localhost:0", "localhost:70000", ":1883", "a:b"])
def test_a_malformed_address_names_its_flag(value: str) -> None:
    with pytest.raises(AddressError, match="--mqtt"):
        parse_address("--mqtt", value)


def test_a_bridge_without_scheme_is_refused() -> None:
    with pytest.raises(AddressError, match="--bridge"):
        read_settings(mqtt="a:1", bridge="127.0.0.1:8081", listen="127.0.0.1:1")


def test_a_taken_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        assert main(["run", "--listen", address]) == 1
    assert f"{address} is in use" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil.example"])
def test_foreign_names_are_no_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "unsafe" not in policy


def test_drawn_route_keeps_ends_length_and_attribution() -> None:
    drawn = drawn_route("waterloo-toronto")
    pieces = drawn["pieces"]
    assert "OpenStreetMap" in drawn["attribution"]
    assert {piece["real"] for piece in pieces} == {True, False}
    for before, after in itertools.pairwise(pieces):
        assert before["points"][-1] == pytest.approx(after["points"][0], abs=1e-3)


def test_without_an_address_the_gateway_is_this_machines() -> None:
    assert read_settings(mqtt=None, bridge=BRIDGE, listen="127.0.0.1:1").mqtt == Address(host="127.0.0.1", port=1883)


def test_an_identity_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"--mqtt-identity.*none\.pem"):
        read_settings(mqtt=None, bridge=BRIDGE, listen="127.0.0.1:1", identity=str(tmp_path / "none.pem"))
