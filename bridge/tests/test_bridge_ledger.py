"""The ledger: cases, and a state machine against a model of the gateway."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from smartcity.bridge.ledger import Ledger, Ticket


def open_ledger(epoch: int = 1) -> Ledger:
    ledger = Ledger()
    ledger.begin(epoch)
    return ledger


def settle(ledger: Ledger, ticket: Ticket, count: int = 1) -> list[int]:
    """The packet ids that may be acknowledged by that."""
    ledger.settle(ticket, count)
    return due(ledger)


def due(ledger: Ledger) -> list[int]:
    ack = ledger.due()
    if ack is None:
        return []
    assert ack.epoch == ledger.epoch
    assert ack.packet_ids
    return list(ack.packet_ids)


def test_acknowledgements_leave_in_receive_order() -> None:
    ledger = open_ledger()
    first, second, third = (ledger.receive([packet_id], 1) for packet_id in (7, 3, 5))
    assert settle(ledger, third) == []
    assert settle(ledger, first) == [7]
    assert settle(ledger, second) == [3, 5]
    assert len(ledger) == 0


def test_each_acknowledgement_is_given_once() -> None:
    ledger = open_ledger()
    assert settle(ledger, ledger.receive([1], 1)) == [1]
    assert due(ledger) == []


def test_one_that_fails_is_not_acknowledged_with_others() -> None:
    ledger = open_ledger()
    tickets = [ledger.receive([packet_id], 1) for packet_id in range(1, 6)]
    assert [number for ticket in tickets[:2] + tickets[3:] for number in settle(ledger, ticket)] == [1, 2]
    assert len(ledger) == 3
    assert settle(ledger, tickets[2]) == [3, 4, 5]


def test_a_batch_is_acknowledged_when_the_last_of_it_is_settled() -> None:
    ledger = open_ledger()
    batch, after = ledger.receive([4, 9, 2], 1), ledger.receive([7], 1)
    assert len(ledger) == 4
    assert settle(ledger, batch, 2) == []
    assert settle(ledger, after) == []
    assert settle(ledger, batch) == [4, 9, 2, 7]


def test_nothing_is_settled_twice() -> None:
    ledger = open_ledger()
    batch = ledger.receive([1, 2], 1)
    with pytest.raises(ValueError, match="3 messages settled, of 2"):
        ledger.settle(batch, 3)
    assert settle(ledger, batch, 2) == [1, 2]
    with pytest.raises(ValueError, match="1 messages settled, of 0"):
        ledger.settle(batch)


def test_a_stale_acknowledgement_is_dropped() -> None:
    """Packet id 1 of the old connection is settled late; id 1 of the new one is another message, and stays open."""
    ledger = open_ledger()
    old = ledger.receive([1], 1)
    ledger.begin(2)
    new = ledger.receive([1], 2)
    assert settle(ledger, old) == []
    assert len(ledger) == 1
    assert settle(ledger, new) == [1]


def test_what_was_due_before_a_reconnect_is_void() -> None:
    ledger = open_ledger()
    ledger.settle(ledger.receive([1], 1))
    ledger.begin(2)
    assert due(ledger) == []


def test_a_message_that_was_queued_before_the_reconnect_is_not_tracked() -> None:
    ledger = open_ledger(2)
    late = ledger.receive([1], 1)
    assert len(ledger) == 0
    assert settle(ledger, late) == []


def test_a_packet_id_may_come_again_after_its_acknowledgement() -> None:
    ledger = open_ledger()
    for _ in range(3):
        assert settle(ledger, ledger.receive([1], 1)) == [1]


def test_epochs_only_grow() -> None:
    ledger = open_ledger(2)
    with pytest.raises(ValueError, match="epoch 2 does not follow 2"):
        ledger.begin(2)


class Gateway(RuleBasedStateMachine):
    """A gateway that reuses packet ids, redelivers after a reconnect and forgets at a crash; a Kafka that confirms in
    any order, also long after the connection has gone.

    The model says what the gateway would believe: an acknowledgement for packet id N frees whatever message it has
    under N *now*. That message must be one that Kafka has confirmed.
    """

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.epoch = 0
        self.next_message = 0
        self.in_flight: dict[int, int] = {}
        """Packet id to message, in sending order: what the gateway waits for on this connection."""
        self.waiting: list[int] = []
        """Messages that the gateway sends again."""
        self.in_kafka: set[int] = set()
        self.acknowledged: set[int] = set()
        self.delayed: list[tuple[int, int, int]] = []
        self.reconnect(forget=False)

    @rule(forget=st.booleans())
    def reconnect(self, forget: bool) -> None:
        self.epoch += 1
        self.ledger.begin(self.epoch)
        self.waiting = [] if forget else list(self.in_flight.values()) + self.waiting
        self.in_flight = {}

    @precondition(lambda self: len(self.in_flight) < 6)
    @rule(target=tickets, count=st.integers(1, 4))
    def deliver(self, count: int) -> tuple[list[int], Ticket]:
        """One message, or several that share a ticket. The entry has those that Kafka does not yet have."""
        messages, packet_ids = [], []
        for _ in range(min(count, 6 - len(self.in_flight))):
            if self.waiting:
                message = self.waiting.pop(0)
            else:
                message = self.next_message
                self.next_message += 1
            packet_id = next(number for number in range(1, 8) if number not in self.in_flight)
            self.in_flight[packet_id] = message
            messages.append(message)
            packet_ids.append(packet_id)
        return messages, self.ledger.receive(packet_ids, self.epoch)

    @precondition(lambda self: self.epoch > 1)
    @rule(target=tickets, packet_ids=st.lists(st.integers(1, 6), min_size=1, max_size=3))
    def take_from_the_queue_too_late(self, packet_ids: list[int]) -> tuple[list[int], Ticket]:
        """Messages that were read before the reconnect and are only now taken from the queue."""
        messages = list(range(self.next_message, self.next_message + len(packet_ids)))
        self.next_message += len(packet_ids)
        return messages, self.ledger.receive(packet_ids, self.epoch - 1)

    @rule(target=tickets, entry=consumes(tickets), data=st.data())
    def kafka_confirms(self, entry: tuple[list[int], Ticket], data: st.DataObject) -> Any:
        """Some of a ticket's messages, in any order: the others come later, or never."""
        messages, ticket = entry
        count = data.draw(st.integers(1, len(messages)))
        done = data.draw(st.permutations(messages))[:count]
        self.in_kafka.update(done)
        self.ledger.settle(ticket, count)
        left = [message for message in messages if message not in done]
        return (left, ticket) if left else multiple()

    @rule()
    def acknowledge(self) -> None:
        """What is due leaves; it may have waited over any number of steps, a reconnect among them."""
        ack = self.ledger.due()
        if ack is None:
            return
        assert ack.epoch == self.epoch
        for packet_id in ack.packet_ids:
            assert packet_id == next(iter(self.in_flight)), "not in receive order"
            freed = self.in_flight.pop(packet_id)
            assert freed in self.in_kafka, "acknowledged a message that Kafka does not have"
            self.acknowledged.add(freed)

    @invariant()
    def the_ledger_waits_for_what_the_gateway_waits_for(self) -> None:
        assert len(self.ledger) == len(self.in_flight)

    @rule()
    def nothing_that_is_due_is_held_back(self) -> None:
        """The oldest open ticket has unsettled messages of its own: Kafka may have them from an older delivery."""
        self.acknowledge()
        assert not self.ledger._open or self.ledger._open[0].unsettled > 0


TestGateway = Gateway.TestCase
TestGateway.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
