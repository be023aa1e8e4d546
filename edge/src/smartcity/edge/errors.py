"""What can go wrong at the gateway.

EdgeError
├── ConfigurationError   a configuration file cannot be read or names something unknown
└── BrokerError          a running broker cannot be asked
"""

from __future__ import annotations


class EdgeError(Exception):
    """Root of this component's errors."""


class ConfigurationError(EdgeError):
    """A configuration cannot be read; names file, line and remedy."""


class BrokerError(EdgeError):
    """A running broker does not answer as one should."""
