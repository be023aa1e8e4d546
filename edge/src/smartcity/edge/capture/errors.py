"""What can go wrong with a capture.

EdgeError
└── CaptureError       a capture cannot be read or written at all
    └── DamageError    part of it is broken, and `--strict` was asked for
"""

from __future__ import annotations

from ..errors import EdgeError


class CaptureError(EdgeError):
    """Names the file, the position, and the remedy."""


class DamageError(CaptureError):
    """The first damage of a capture that was read with `--strict`."""
