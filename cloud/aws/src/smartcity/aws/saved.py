"""The saved queries, `athena/*.sql`: each a question about the city; its answer's columns stand in its comment."""

from __future__ import annotations

from importlib import resources

from .errors import QueryError


def saved_names() -> tuple[str, ...]:
    """Names of the saved queries, sorted."""
    files = resources.files(__package__).joinpath("athena").iterdir()
    return tuple(sorted(each.name.removesuffix(".sql") for each in files if each.name.endswith(".sql")))


def saved_query(name: str) -> str:
    """SQL of a saved query.

    Raises:
        QueryError: there is none of that name; the message lists those there are.
    """
    if name not in saved_names():
        raise QueryError(f"there is no saved query {name!r}; there are: {', '.join(saved_names())}")
    return resources.files(__package__).joinpath("athena", f"{name}.sql").read_text(encoding="utf-8")
