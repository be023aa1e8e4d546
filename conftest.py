"""`make test` has two workers: what starts Spark or the whole stack stays with one, the rest is for the other."""

from __future__ import annotations

import pytest

HEAVY = ("end_to_end", "spark")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Heavy tests first: together they take as long as all the others. A file's tests stay together."""
    heavy = [item for item in items if any(item.get_closest_marker(name) for name in HEAVY)]
    light = [item for item in items if item not in set(heavy)]
    for item in heavy:
        item.add_marker(pytest.mark.xdist_group("heavy"))
    for item in light:
        item.add_marker(pytest.mark.xdist_group(str(item.path)))
    items[:] = [*heavy, *light]
