"""What can go wrong at the gateway.

EdgeError
├── ConfigurationError   a configuration file cannot be read or names something unknown
├── FolderError          a gateway's folder is missing, damaged, or not ours to write
├── IdentityNameError    an identity's name is malformed, taken, or unknown
└── BrokerError          a running broker cannot be asked, or does not do what it was told
"""

from __future__ import annotations


class EdgeError(Exception):
    """Root of this component's errors."""


class ConfigurationError(EdgeError):
    """A configuration cannot be read; names file, line and remedy."""


class FolderError(EdgeError):
    """A gateway's folder cannot be used; names the path and the remedy."""


class IdentityNameError(EdgeError):
    """An identity's name is malformed, taken, or unknown; names it and the remedy."""


class BrokerError(EdgeError):
    """A running broker does not answer as one should, or does not do what it was told."""
