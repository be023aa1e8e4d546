"""Redshift's physical design in DDL, which says where rows lie and nothing about their values: taken out of the text.

sqlglot parses only some of its forms, so this goes by tokens, before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import sqlglot
from sqlglot import Token, TokenType

from ..errors import StatementError

_DESIGN_ALONE = ("DISTKEY", "SORTKEY")
_DESIGN_WITH_WORD = ("ENCODE", "DISTSTYLE", "BACKUP")


def without_design(text: str) -> str:
    """CREATE or ALTER TABLE without DISTSTYLE, DISTKEY, SORTKEY, ENCODE and BACKUP. A query in it is left alone."""
    if not re.match(r"(?is)(\s|--[^\n]*\n|/\*.*?\*/)*(CREATE\s+((LOCAL\s+)?TEMP(ORARY)?\s+)?|ALTER\s+)TABLE\b", text):
        return text
    try:
        tokens = sqlglot.tokenize(text, dialect="redshift")
    except sqlglot.errors.SqlglotError as error:
        raise syntax_error(error) from None
    removed: list[tuple[int, int]] = []
    position = depth = 0
    while position < len(tokens):
        token = tokens[position]
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if token.token_type == TokenType.ALIAS and depth == 0:
            break
        end = _design_end(tokens, position)
        if end > position:
            removed.append((token.start, tokens[end - 1].end + 1))
        position = max(end, position + 1)
    for start, stop in reversed(removed):
        text = f"{text[:start]} {text[stop:]}"
    return text


def _design_end(tokens: Sequence[Token], position: int) -> int:
    """Index behind the design that begins at a token; the token's own index if none does."""
    word = _word(tokens, position)
    if word in _DESIGN_WITH_WORD and _word(tokens, position + 1):
        return position + 2
    start = position + 1 if word in ("COMPOUND", "INTERLEAVED") else position
    if _word(tokens, start) not in _DESIGN_ALONE:
        return position
    if _word(tokens, start + 1) == "AUTO":
        return start + 2
    if start + 1 < len(tokens) and tokens[start + 1].token_type == TokenType.L_PAREN:
        end = start + 1
        while end < len(tokens) and tokens[end].token_type != TokenType.R_PAREN:
            end += 1
        return end + 1
    return start + 1


def _word(tokens: Sequence[Token], position: int) -> str:
    if position >= len(tokens) or tokens[position].token_type in (TokenType.IDENTIFIER, TokenType.STRING):
        return ""
    text = tokens[position].text.upper()
    return text if re.fullmatch(r"\w+", text) else ""


def syntax_error(error: Exception) -> StatementError:
    """sqlglot's error as a statement's, in one line."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    return StatementError(f"syntax error: {' '.join(text.split())[:500]}")
