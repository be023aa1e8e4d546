"""The ledger: cases, and a state machine against a model of the gateway."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from smartcity.bridge.ledger import Ack, Ledger, Ticket


def open_ledger(epoch: int = 1) -> Ledger:
    ledger = Ledger()
    ledger.begin(epoch)
    return ledger


def acks(*packet_ids: int, epoch: int = 1) -> list[Ack]:
    return [Ack(packet_id=packet_id, epoch=epoch) for packet_id in packet_ids]


def test_acknowledgements_leave_in_receive_order() -> None:
    ledger = open_ledger()
    first, second, third = (ledger.receive(packet_id, 1) for packet_id in (7, 3, 5))
    assert ledger.settle(third) == []
    assert ledger.settle(first) == acks(7)
    assert ledger.settle(second) == acks(3, 5)
    assert len(ledger) == 0


def test_one_that_fails_is_not_acknowledged_with_others() -> None:
    ledger = open_ledger()
    tickets = [ledger.receive(packet_id, 1) for packet_id in range(1, 6)]
    sent = [ack for ticket in tickets[:2] + tickets[3:] for ack in ledger.settle(ticket)]
    assert sent == acks(1, 2)
    assert len(ledger) == 3
    assert ledger.settle(tickets[2]) == acks(3, 4, 5)


def test_a_stale_acknowledgement_is_dropped() -> None:
    """Packet id 1 of the old connection is settled late; id 1 of the new one is another message, and stays open."""
    ledger = open_ledger()
    old = ledger.receive(1, 1)
    ledger.begin(2)
    new = ledger.receive(1, 2)
    assert ledger.settle(old) == []
    assert len(ledger) == 1
    assert ledger.settle(new) == acks(1, epoch=2)


def test_a_message_that_was_queued_before_the_reconnect_is_not_tracked() -> None:
    ledger = open_ledger(2)
    late = ledger.receive(1, 1)
    assert len(ledger) == 0
    assert ledger.settle(late) == []


def test_a_packet_id_may_come_again_after_its_acknowledgement() -> None:
    ledger = open_ledger()
    for _ in range(3):
        assert ledger.settle(ledger.receive(1, 1)) == acks(1)


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

    @precondition(lambda self: len(self.in_flight) < 4)
    @rule(target=tickets)
    def deliver(self) -> tuple[int, Ticket]:
        if self.waiting:
            message = self.waiting.pop(0)
        else:
            message = self.next_message
            self.next_message += 1
        packet_id = next(number for number in range(1, 6) if number not in self.in_flight)
        self.in_flight[packet_id] = message
        return message, self.ledger.receive(packet_id, self.epoch)

    @precondition(lambda self: self.epoch > 1)
    @rule(target=tickets, packet_id=st.integers(1, 4))
    def take_from_the_queue_too_late(self, packet_id: int) -> tuple[int, Ticket]:
        """A message that was read before the reconnect and is only now taken from the queue."""
        message = self.next_message
        self.next_message += 1
        return message, self.ledger.receive(packet_id, self.epoch - 1)

    @rule(entry=tickets)
    def kafka_confirms(self, entry: tuple[int, Ticket]) -> None:
        message, ticket = entry
        self.in_kafka.add(message)
        for ack in self.ledger.settle(ticket):
            assert ack.epoch == self.epoch
            assert ack.packet_id == next(iter(self.in_flight)), "not in receive order"
            freed = self.in_flight.pop(ack.packet_id)
            assert freed in self.in_kafka, "acknowledged a message that Kafka does not have"
            self.acknowledged.add(freed)

    @invariant()
    def the_ledger_waits_for_what_the_gateway_waits_for(self) -> None:
        assert len(self.ledger) == len(self.in_flight)

    @invariant()
    def nothing_that_is_due_is_held_back(self) -> None:
        """The oldest open message is one whose own ticket is not settled: Kafka may have it from an older delivery."""
        assert not self.ledger._open or not self.ledger._open[0].settled


TestGateway = Gateway.TestCase
TestGateway.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
