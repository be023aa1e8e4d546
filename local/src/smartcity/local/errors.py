"""What can go wrong around the stack.

    LocalError
    ├── SetupError      something that `smartcity setup` provides is missing or broken: a program, the jars
    ├── PortError       no free port was found
    ├── ServiceError    a service did not start, died, or did not stop
    │   └── PortLostError   somebody else listens on a port that was free when it was chosen
    └── StackError      the stack is in another state than the command needs (not running, busy)

Every message names the thing, the value and the remedy; `smartcity` prints it and exits with 1.
"""

from __future__ import annotations


class LocalError(Exception):
    """Root of this component's errors."""


class SetupError(LocalError):
    """A program or a file that set-up provides is missing or broken."""


class PortError(LocalError):
    """No port could be found."""


class ServiceError(LocalError):
    """A service did not start, died or did not stop."""


class PortLostError(ServiceError):
    """Between the choice of a port and the service's start, somebody else took it."""


class StackError(LocalError):
    """The stack is not in the state that the command needs."""
