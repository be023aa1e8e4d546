"""Choosing ports, and naming who holds one."""

from __future__ import annotations

import os
import socket

import pytest

from smartcity.local.errors import PortError
from smartcity.local.ports import choose, holder, is_free


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
