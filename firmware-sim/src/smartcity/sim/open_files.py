"""Room for connections: each device has a socket, and each socket is an open file."""

from __future__ import annotations

import resource

from .errors import SettingsError

_OTHERS = 64
"""Open files beside the sockets: the outbox and its log, the lock, what Python itself holds."""


def make_room(connections: int) -> None:
    """Raises this process's soft limit of open files, where it is too low.

    Raises:
        SettingsError: the hard limit does not allow it.
    """
    needed = connections + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SettingsError(
            f"{connections} devices need {needed} open files, and the hard limit (ulimit -Hn) is {hard}: "
            "raise it, or give fewer --vehicles (they count per --route)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
