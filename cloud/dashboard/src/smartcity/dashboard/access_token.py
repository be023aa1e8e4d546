"""The token that opens the dashboard to others than this machine: a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from .errors import TokenError

TOKEN_CHARACTERS_MIN = 20


def read_token(file: Path) -> str:
    """The token in a file, which is made with a random one where there is none.

    Raises:
        TokenError: the file cannot be read or written, others may read it, or what it holds is too short.
    """
    try:
        if not file.exists():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(secrets.token_urlsafe(32) + "\n")
        token = file.read_text(encoding="ascii").strip()
        mode = file.stat().st_mode & 0o777
    except (OSError, UnicodeDecodeError) as error:
        raise TokenError(f"--token-file {file}: {getattr(error, 'strerror', None) or 'no ASCII text'}") from None
    if mode & 0o077:
        raise TokenError(f"--token-file {file} may be read by others (mode {mode:o}): chmod 600 {file}")
    if len(token) < TOKEN_CHARACTERS_MIN or not token.isprintable() or " " in token:
        raise TokenError(
            f"--token-file {file} needs at least {TOKEN_CHARACTERS_MIN} characters without spaces; "
            "where there is no file, a good one is made"
        )
    return token
