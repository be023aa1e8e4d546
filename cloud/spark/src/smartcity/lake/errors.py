"""What can go wrong in the lake.

    LakeError
    ├── TransientError      restart and try again (Kafka or S3 is away, a commit lost a race)
    └── TerminalError       a restart cannot mend it; the message says what can
        └── JarsMissingError     the folder of `--jars` lacks a jar

A record that cannot be kept as a row is no error: it becomes a dead letter, with a code of `contracts.reasons`.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_TRANSIENT = 1
EXIT_USAGE = 2
EXIT_TERMINAL = 3
"""The driver's exit codes. The supervisor restarts after any but OK, USAGE and TERMINAL."""


class LakeError(Exception):
    """Base of the lake's errors."""


class TransientError(LakeError):
    """A restart may mend it."""


class TerminalError(LakeError):
    """A restart cannot mend it. The message names the thing, the value and the remedy."""


class JarsMissingError(TerminalError):
    """Spark's jars are not where they should be."""
