"""Errors of the local AWS endpoint.

AwsError          answered to the client as AWS would: a code that its SDK knows, a message, an HTTP status
└── QueryFailedError   ends an Athena query in the state FAILED, with the reason
StatementError    ends a Redshift statement FAILED, with the reason; its transaction is rolled back
CrawlError        ends a crawl FAILED, with the message; the catalog stays as it was
"""

from __future__ import annotations


class AwsError(Exception):
    """What a client's SDK raises as `ClientError` with this code."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class QueryFailedError(AwsError):
    """An Athena query ends FAILED. `code` begins the reason, as in Athena: `TABLE_NOT_FOUND: …`."""

    @property
    def reason(self) -> str:
        """StateChangeReason of the query execution."""
        return f"{self.code}: {self.message}"


class StatementError(Exception):
    """A Redshift statement ends FAILED; the text is its Error, without the `ERROR: ` that begins it."""


class CrawlError(Exception):
    """A crawl ends FAILED; the text is its ErrorMessage, and names what is in the way."""


def not_served(service: str, call: str) -> AwsError:
    """A call or an option that this endpoint does not have. It never pretends."""
    return AwsError("UnknownOperationException", f"{service}.{call} is not served by the local AWS endpoint")
