"""What can go wrong in the bridge.

    BridgeError
    ├── Reject                a message becomes a dead letter, with its reason code
    └── TerminalError         the process stops and says what to do
        ├── SettingsError     a flag or an environment variable is wrong (exit code 2)
        ├── PortTakenError    the HTTP port is in use
        ├── ClusterError      another Kafka cluster answers than --kafka-cluster-id names
        └── SessionTakenOver  another bridge uses the same client id (MQTT reason code 0x8E)

There is no transient class: what may pass by itself (a broker that is away) is state of the loop, shown by `/readyz`,
and is tried again with back-off.
"""

from __future__ import annotations

from smartcity.contracts.reasons import Reason


class BridgeError(Exception):
    """Base of all errors of the bridge."""


class Reject(BridgeError):  # noqa: N818 - it names what happens to the message
    """The message is refused and kept as a dead letter."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class TerminalError(BridgeError):
    """The process cannot go on; the message names the thing, the value and the remedy."""


class SettingsError(TerminalError):
    """A setting is wrong."""


class PortTakenError(TerminalError):
    """The address for health and metrics is in use."""


class ClusterError(TerminalError):
    """Another Kafka cluster answers than the one that the bridge is for."""


class SessionTakenOver(TerminalError):  # noqa: N818 - MQTT's own name of the event
    """Another client connected with this client id."""
