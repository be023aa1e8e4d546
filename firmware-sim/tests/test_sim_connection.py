"""What connections have in common, and how a fleet's bytes leave."""

from __future__ import annotations

import socket
from random import Random

from smartcity.sim.message import status_message
from smartcity.sim.transport.connection import Backoff, ConnectionSettings
from smartcity.sim.transport.dialling import Dialling
from smartcity.sim.transport.link import Link, Mover

SETTINGS = ConnectionSettings(backoff_min_s=1.0, backoff_max_s=4.0, stable_after_s=10.0)


def backoff() -> Backoff:
    return Backoff(SETTINGS, Random(1))


def link() -> Link:
    return Link("d", lambda: status_message("d", b"{}"), backoff())


def test_waits_double_up_to_their_limit_with_jitter() -> None:
    made = backoff()
    for full in (1.0, 2.0, 4.0, 4.0):
        assert full / 2 <= made.failed() <= full
    made.reset()
    assert made.failed() <= 1.0


def test_only_a_connection_that_lived_long_resets_the_wait() -> None:
    made = backoff()
    assert made.ended(None) <= 1.0
    assert 1.0 <= made.ended(9.9) <= 2.0
    assert made.ended(10.0) <= 1.0


def test_what_can_wait_leaves_with_what_the_device_says_next() -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    made, mover = link(), Mover(lambda _link, detail: (_ for _ in ()).throw(AssertionError(detail)))
    made.socket = ours
    mover.say_with_the_next(made, b"ack")
    mover.write_all(1.0)
    assert made.said_at == 0.0
    mover.say(made, b"publish")
    mover.write_all(2.0)
    assert theirs.recv(100) == b"ackpublish"
    for _ in range(20):  # But not for ever: the gateway sends only so many receipts ahead of their PUBACKs.
        mover.say_with_the_next(made, b"a")
    mover.write_all(3.0)
    assert theirs.recv(100) == b"a" * 20
    mover.close_socket(made)
    mover.close()
    theirs.close()


def test_while_the_gateway_cannot_be_reached_one_dials_for_all() -> None:
    made = Dialling("127.0.0.1", 1, connecting_max=8, backoff=backoff())
    links = [link() for _ in range(3)]
    made.waiting.extend(links)
    first = made.next(0.0)
    assert first is links[0]
    made.dial(first)
    assert made.next(0.0) is None
    made.connecting -= 1
    assert made.failed(first.address, "refused", 5.0) == "127.0.0.1:1: refused"
    assert made.next(5.0) is None
    assert 5.5 <= made.next_at() <= 6.0
    assert made.next(6.0) is links[1]
    made.reached()
    assert made.next(6.0) is links[2]
    if first.socket is not None:
        first.socket.close()
