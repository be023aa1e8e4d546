"""Errors of the auditor.

    VerifyError (a LocalError)
    ├── NoDeviceLogsError         no outbox.db below the folders asked for
    ├── DeviceLogInvalidError     an outbox.db lacks a table or column, or is no SQLite file
    ├── LakeUnreadableError       catalog, table or bucket cannot be read
    └── GatewayUnreachableError   the retained statuses cannot be read (`statuses.py`)

Each message names the thing, its value and what to do. None of them means that a reading was lost: that is a report.
"""

from __future__ import annotations

from ..errors import LocalError


class VerifyError(LocalError):
    """The audit could not be made."""


class NoDeviceLogsError(VerifyError):
    """There is no device log to compare the lake with."""


class DeviceLogInvalidError(VerifyError):
    """A device log cannot be read."""


class LakeUnreadableError(VerifyError):
    """The lake cannot be read."""
