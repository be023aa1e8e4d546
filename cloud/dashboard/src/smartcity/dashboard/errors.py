"""What can go wrong for the person who starts the dashboard.

DashboardError
├── AddressError       a flag's value is no address, or one we refuse to listen on; exit code 2
├── CertificateError   the identity for the gateway cannot be used; exit code 2
├── TokenError         the file of the token cannot be used; exit code 2
├── PortTakenError     the address to listen on is not free; exit code 1
├── LettersError       Kafka's dead letters cannot be read; answered 503
├── LakeRequestError   a page asks for a visual, a filter or a time that there is not; answered 400 or 404
├── LakeBusyError      too many questions to the lake wait; answered 503
└── QuestionAbandonedError  nobody waits for an answer any more, or the process stops
"""

from __future__ import annotations


class DashboardError(Exception):
    """The message names the thing, the value and the remedy."""


class AddressError(DashboardError):
    """An address is malformed, or would open the dashboard to others."""


class CertificateError(DashboardError):
    """The bundle cannot be read, or is none."""


class TokenError(DashboardError):
    """The token's file cannot be read, may be read by others, or holds too little."""


class PortTakenError(DashboardError):
    """Somebody else listens there."""


class LettersError(DashboardError):
    """The dead-letter topic cannot be read now."""


class LakeRequestError(DashboardError):
    """A request names what the dashboard's definition does not have, or a malformed value."""


class LakeBusyError(DashboardError):
    """The limit of waiting questions is reached."""


class QuestionAbandonedError(DashboardError):
    """The question was given up before it was answered."""
