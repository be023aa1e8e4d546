"""Smooth seeded fields: value noise on a lattice, interpolated with the smoothstep polynomial."""

from __future__ import annotations

import random
from math import floor

_SIZE = 1024
_MASK = _SIZE - 1


class Noise:
    """A field in -1 … 1 that varies smoothly over about one unit of each coordinate. Same name, same field."""

    __slots__ = ("_order", "_values")

    def __init__(self, name: str) -> None:
        rng = random.Random(name)
        self._values = [rng.uniform(-1.0, 1.0) for _ in range(_SIZE)]
        self._order = list(range(_SIZE))
        rng.shuffle(self._order)

    def line(self, x: float) -> float:
        """The field along one coordinate; repeats after 1024 units."""
        i = floor(x)
        part = x - i
        part *= part * (3.0 - 2.0 * part)
        low = self._values[i & _MASK]
        return low + (self._values[(i + 1) & _MASK] - low) * part

    def plane(self, x: float, y: float) -> float:
        """The field over two coordinates."""
        i, j = floor(x), floor(y)
        px, py = x - i, y - j
        px *= px * (3.0 - 2.0 * px)
        py *= py * (3.0 - 2.0 * py)
        row0, row1 = self._order[j & _MASK], self._order[(j + 1) & _MASK]
        values, order = self._values, self._order
        i0, i1 = i & _MASK, (i + 1) & _MASK
        a, b = values[order[(row0 + i0) & _MASK]], values[order[(row0 + i1) & _MASK]]
        c, d = values[order[(row1 + i0) & _MASK]], values[order[(row1 + i1) & _MASK]]
        low = a + (b - a) * px
        return low + (c + (d - c) * px - low) * py
