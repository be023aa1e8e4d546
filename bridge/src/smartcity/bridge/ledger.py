"""Which PUBACK may leave when. Pure: it knows packet ids and epochs, no socket and no Kafka.

PUBACKs leave in the order in which the messages came [MQTT-4.6.0-2], each only after its message is settled: Kafka
confirmed it (as a reading or as a dead letter), or it needs no record. A packet id belongs to one connection epoch: the
broker uses it again after a reconnect, so whatever an older connection received is never acknowledged on a newer one;
the gateway sends it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """PUBACKs that are due, in their order, on the connection of that epoch and no other."""

    packet_ids: Sequence[int]
    epoch: int


class Ticket(msgspec.Struct, eq=False, gc=False):
    """Messages that were received one after the other, in the ledger: one, or a batch that is acknowledged as a whole.

    By identity: two messages never share a packet id's ticket, as they may a packet id.
    """

    packet_ids: Sequence[int]
    epoch: int
    unsettled: int
    """How many of the messages are not yet settled."""


class Ledger:
    """Tickets of the current epoch in receive order."""

    def __init__(self) -> None:
        self.epoch = 0
        self._open: deque[Ticket] = deque()

    def __len__(self) -> int:
        """Messages received on this connection and not yet acknowledged."""
        return sum(len(ticket.packet_ids) for ticket in self._open)

    def begin(self, epoch: int) -> None:
        """A new connection, or the end of one: tickets of older ones are void.

        Raises:
            ValueError: epochs only grow.
        """
        if epoch <= self.epoch:
            raise ValueError(f"epoch {epoch} does not follow {self.epoch}")
        self.epoch = epoch
        self._open.clear()

    def receive(self, packet_ids: Sequence[int], epoch: int) -> Ticket:
        """Note QoS 1 messages, in receive order. Those of an older epoch get a ticket that never becomes an Ack."""
        ticket = Ticket(packet_ids, epoch, len(packet_ids))
        if epoch == self.epoch:
            self._open.append(ticket)
        return ticket

    def settle(self, ticket: Ticket, count: int = 1) -> None:
        """Mark so many of a ticket's messages as done.

        Raises:
            ValueError: the ticket has not so many that are open. A message that is settled twice would otherwise stand
                for another one of its batch, which Kafka does not have.
        """
        if count > ticket.unsettled:
            raise ValueError(f"{count} messages settled, of {ticket.unsettled} that were open")
        ticket.unsettled -= count

    def due(self) -> Ack | None:
        """The PUBACKs that may leave now, in receive order; each is given once."""
        waiting = self._open
        packet_ids: list[int] = []
        while waiting and not waiting[0].unsettled:
            packet_ids += waiting.popleft().packet_ids
        return Ack(packet_ids=packet_ids, epoch=self.epoch) if packet_ids else None
