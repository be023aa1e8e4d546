"""How long work shows that it goes on."""

from __future__ import annotations

import sys
import time

_LINE_S = 10.0
"""How often progress is said where standard error is no terminal."""


class Line:
    """Progress on standard error: one line that is written over on a terminal, else one every ten seconds."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._said_at = time.monotonic()
        self._open = False

    def show(self, text: str, *, always: bool = False) -> None:
        if self._quiet:
            return
        if self._terminal:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
            self._open = True
        elif always or time.monotonic() - self._said_at >= _LINE_S:
            self._said_at = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """An event, quiet or not."""
        self.end()
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._open:
            print(file=sys.stderr)
            self._open = False
