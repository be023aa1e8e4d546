"""Who is asked: Athena, or Redshift."""

from __future__ import annotations

from enum import StrEnum
from importlib import resources
from importlib.resources.abc import Traversable


class Engine(StrEnum):
    """Redshift asks what was loaded of the marts, and the lake's tables as its external schema `lake`."""

    ATHENA = "athena"
    REDSHIFT = "redshift"

    def literal(self, text: str) -> str:
        """A string in its SQL. A backslash escapes in Redshift's literals."""
        escaped = text.replace("\\", "\\\\") if self is Engine.REDSHIFT else text
        return "'" + escaped.replace("'", "''") + "'"

    @property
    def saved(self) -> Traversable:
        """The folder of its saved queries."""
        return resources.files(__package__).joinpath(*_FOLDERS[self])


_FOLDERS = {Engine.ATHENA: ("athena",), Engine.REDSHIFT: ("redshift", "queries")}
