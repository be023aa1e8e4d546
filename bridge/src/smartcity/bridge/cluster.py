"""Which Kafka cluster answers: the one that the bridge is for, or another that has taken its address.

On one machine two stacks can take each other's ports while a part of them is dead. What is delivered into a foreign
cluster must not be confirmed to anyone: its devices would forget what their own lake never gets.
"""

from __future__ import annotations

import logging
import re

from .errors import ClusterError

ASK_TIMEOUT_S = 1.0
ASK_EVERY_S = 2.0
_DIFFERENT = re.compile(r'reports different ClusterId "([^"]*)"')
"""What librdkafka logs when it has reconnected to another cluster. It asks for metadata before it produces anything,
so this comes before any delivery report of that cluster."""


class Cluster(logging.Filter):
    """The cluster by its id. As a filter of librdkafka's log it hears of another one, and hides nothing."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.known = False
        """Whether the current producer was asked, and it was the one."""
        self._wanted = wanted
        self._other: str | None = None

    def answered(self, cluster_id: str | None) -> None:
        """Of a new producer; None: its broker has not said it."""
        if cluster_id is not None:
            self.known = cluster_id == self._wanted
            self._other = None if self.known else cluster_id

    def filter(self, record: logging.LogRecord) -> bool:
        found = _DIFFERENT.search(record.getMessage())
        if found is not None:
            self.answered(found[1])
        return True

    def require(self) -> None:
        """Nothing has come from another cluster.

        Raises:
            ClusterError: it has.
        """
        if self._other is not None:
            raise ClusterError(
                f"the Kafka cluster {self._other} answers, not {self._wanted} (--kafka-cluster-id). Nothing it has "
                "was confirmed. Give the address of the right one, or start that one again."
            )
