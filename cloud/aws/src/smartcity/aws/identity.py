"""Whose credentials these are: the check that `smartcity doctor` makes before anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .clients import client, explained
from .settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who AWS says we are, and which endpoint said it."""

    account: str
    arn: str
    endpoint: str


def whoami(settings: Settings, *, sts: Any = None) -> Identity:
    """Ask STS.

    Raises:
        CredentialsError: none, wrong, or expired.
        EndpointError: the endpoint cannot be reached; the message names it.
    """
    sts = sts or client("sts", settings)
    with explained():
        answer = sts.get_caller_identity()
    return Identity(account=answer["Account"], arn=answer["Arn"], endpoint=sts.meta.endpoint_url)
