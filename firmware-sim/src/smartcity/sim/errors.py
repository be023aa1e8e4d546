"""What can go wrong in the simulator, as far as a user or operator has to act on it.

    SimError
    ├── SettingsError   a flag's value cannot be used; exit code 2
    ├── MetricsError    the address for Prometheus cannot be opened; exit code 1
    ├── StateError      the state directory cannot be used (unwritable, locked, of another version); exit code 1
    └── OutboxError     the outbox can no longer be written (disk full, damaged); terminal, exit code 1

An unreachable gateway is no error: readings wait in the outbox. A reading that the gateway refuses is no error either:
it moves to the table `refused` with its reason.
"""

from __future__ import annotations


class SimError(Exception):
    """Base of all; its message names the thing, the value and the remedy."""


class SettingsError(SimError):
    """A flag's value cannot be used."""


class MetricsError(SimError):
    """The address for Prometheus cannot be opened."""


class StateError(SimError):
    """The state directory cannot be used."""


class OutboxError(SimError):
    """The outbox can no longer be written. Nothing that was confirmed to a caller is lost."""
