"""Keys of a terminal, read without Enter: space pauses and resumes, q ends."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator

PAUSE, QUIT = " ", "q"


@contextlib.contextmanager
def keys() -> Iterator[int | None]:
    """The descriptor to wait for, with the terminal in single-key mode; None where standard input is no terminal, or
    where another process has it (we run in the background)."""
    if not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
        yield None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def pressed(descriptor: int) -> str:
    """The keys that were pressed; call it when the descriptor is readable."""
    return os.read(descriptor, 32).decode(errors="replace")
