"""Where a command finds the lake and the gateway: at the local stack if one was started, else at AWS."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from smartcity.contracts.identity import IdentityError
from smartcity.edge.errors import EdgeError
from smartcity.edge.registry import Role

from .environment import FORBIDDEN
from .errors import LocalError, StackError
from .ports import LOOPBACK
from .secure import operator_bundle
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


@contextmanager
def at_gateway(stack: Stack, flags: argparse.Namespace, role: Role) -> Iterator[None]:
    """Inside, the flags of `smartcity-edge record` and `replay` name the stack's gateway, unless they named another.

    Raises:
        LocalError: no gateway runs, or what `smartcity-edge` does there fails.
    """
    try:
        if flags.broker is None and flags.identity is None:
            place = stack.place()
            if "mqtt" not in place.ports:
                raise StackError(f"no gateway runs under {stack.layout.var}; run: smartcity up")
            flags.broker = (LOOPBACK, place.ports["mqtt"])
            flags.identity = operator_bundle(stack.layout, f"smartcity-{role}", role) if place.secure else None
        yield
    except (EdgeError, IdentityError) as error:
        raise LocalError(str(error)) from error


def broker_of(stack: Stack) -> str | None:
    """`host:port` of the stack's gateway, or None where none was started."""
    try:
        return stack.addresses().mqtt
    except StackError:
        return None
