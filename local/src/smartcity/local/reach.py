"""Where a command finds the lake and the gateway: at the local stack if one was started, else at AWS."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from .environment import FORBIDDEN
from .errors import StackError
from .stack import Stack


@contextmanager
def at_lake(stack: Stack) -> Iterator[None]:
    """Inside, AWS's own libraries reach the local stack's endpoints; where none was started, whatever they reached.

    This changes the process's environment, since boto3 reads endpoints, keys and profiles nowhere else.
    """
    logging.getLogger("botocore").setLevel(logging.WARNING)  # At INFO it tells where it found keys, at each client.
    try:
        additions = stack.environment()
    except StackError:
        yield
        return
    before = dict(os.environ)
    for name in FORBIDDEN:
        os.environ.pop(name, None)
    os.environ.update(additions)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def broker_of(stack: Stack) -> str | None:
    """`host:port` of the stack's gateway, or None where none was started."""
    try:
        return stack.addresses().mqtt
    except StackError:
        return None
