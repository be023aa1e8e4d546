"""A strategy for columns of every kind, shared by the tests of the renderings."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from smartcity.contracts.fields import Column, Kind, Rules

_CARRIERS = ("envelope", "payload", "metadata", "gateway", "lake")


@st.composite
def _columns(draw: st.DrawFn) -> tuple[Column, ...]:
    """One column of each kind and nullability, in any order, with texts that try each language's quoting."""
    text = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=40)
    names = iter(draw(st.permutations([f"c_{n}" for n in range(2 * len(Kind))])))
    columns = [
        Column(name=next(names), kind=kind, nullable=nullable, rules=_rules(draw, kind, text))
        for kind in Kind
        for nullable in (False, True)
    ]
    return tuple(draw(st.permutations(columns)))


def _rules(draw: st.DrawFn, kind: Kind, text: st.SearchStrategy[str]) -> Rules:
    low, high = None, None
    if kind in (Kind.INTEGER, Kind.NUMBER):
        low, high = sorted(draw(st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000))))
    choices: tuple[str, ...] = ()
    if kind is Kind.STRING:
        choices = tuple(draw(st.lists(text, max_size=3, unique=True)))
    return Rules(
        description=draw(text),
        unit=draw(st.sampled_from(("", "°", "km/h", "it's"))),
        carrier=draw(st.sampled_from(_CARRIERS)),
        minimum=low,
        maximum=high,
        choices=choices,
        length_max=draw(st.none() | st.integers(1, 20_000)) if kind in (Kind.STRING, Kind.STRINGS) else None,
    )


@pytest.fixture(scope="session")
def any_columns() -> st.SearchStrategy[tuple[Column, ...]]:
    """Strategy: a table with every kind, required and nullable."""
    return _columns()
