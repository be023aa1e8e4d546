"""Choosing ports, and naming who holds one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from smartcity.local.errors import PortError
from smartcity.local.ports import Claims, choose, holder, is_free


def test_the_preferred_port_is_taken_when_free() -> None:
    assert choose(1883, free=lambda port: True) == 1883


def test_held_and_already_given_ports_are_passed_over() -> None:
    assert choose(1883, taken={1885}, free=lambda port: port not in (1883, 1884)) == 1886


def test_no_free_port_names_the_range_and_the_remedy() -> None:
    with pytest.raises(PortError, match=r"no free port from 1883.*SMARTCITY_PORT_BASE"):
        choose(1883, free=lambda port: False)


def test_the_last_port_number_is_not_exceeded() -> None:
    with pytest.raises(PortError):
        choose(65_530, free=lambda port: port > 65_535)


def test_a_listening_socket_holds_its_port_and_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert f"pid {os.getpid()}" in holder(port)
    assert is_free(port)


def test_a_listener_on_every_interface_holds_the_loopback_port_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not is_free(server.getsockname()[1])


@pytest.fixture
def port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
    return number


def test_two_stacks_that_choose_at_once_get_two_ports(tmp_path: Path, port: int) -> None:
    with Claims(tmp_path) as one, Claims(tmp_path) as other:
        first, second = (choose(port, free=claims.take) for claims in (one, other))
        assert first != second
        assert one.take(first), "our own claim is no other's"
        assert not other.take(first)
    with Claims(tmp_path) as later:
        assert later.take(port)


def test_a_port_that_is_listened_on_is_not_claimed(tmp_path: Path, port: int) -> None:
    with Claims(tmp_path) as one, Claims(tmp_path) as other:
        with socket.create_server(("127.0.0.1", port)):
            assert not one.take(port)
        assert other.take(port), "the attempt has left no lock"


def test_a_folder_of_claims_that_cannot_be_used_is_named(tmp_path: Path, port: int) -> None:
    folder = tmp_path / "ports"
    folder.touch()
    with Claims(folder) as claims, pytest.raises(PortError, match=r"ports: .*TMPDIR"):
        claims.take(port)
