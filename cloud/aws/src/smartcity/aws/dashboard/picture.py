"""Draws the dashboard's layout for those who have no account: sheets, filters, each visual's place, title and kind.

The shapes say what kind a visual is; they are no data.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

from .city import DASHBOARD
from .definition import GRID_COLUMNS, Dashboard, Kind, Sheet, Visual

_COLUMN, _ROW, _GAP, _HEAD = 15.0, 10.0, 28.0, 48.0
_WIDTH = GRID_COLUMNS * _COLUMN
_INK, _PALE, _MAIN, _SECOND, _THIRD = "#2b3440", "#dfe5ec", "#3f76c4", "#e0934a", "#5aa17f"
_FAINT = "#7a8694"
_BARS = (0.9, 0.7, 0.55, 0.4, 0.3)
_POINTS = ((0.12, 0.7), (0.25, 0.55), (0.4, 0.6), (0.52, 0.35), (0.68, 0.4), (0.8, 0.2), (0.9, 0.3))
_LINES = ((0.5, 0.35, 0.6, 0.3, 0.45, 0.2), (0.8, 0.7, 0.75, 0.5, 0.65, 0.6))

Box = tuple[float, float, float, float]
"""Left, top, width, height in pixels."""


def picture(dashboard: Dashboard) -> str:
    """An SVG, two sheets beside each other."""
    body, top = [], _GAP
    for first in range(0, len(dashboard.sheets), 2):
        pair = dashboard.sheets[first : first + 2]
        for number, sheet in enumerate(pair):
            body += list(_sheet(dashboard, sheet, _GAP + number * (_WIDTH + _GAP), top))
        top += _HEAD + max(sum(row.height for row in sheet.rows) for sheet in pair) * _ROW + _GAP
    width, top = 2 * _WIDTH + 3 * _GAP, top + 10
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {top:g}" '
            'font-family="system-ui, DejaVu Sans, sans-serif" role="img">',
            f"<title>{escape(dashboard.title)}: the dashboard's sheets; shapes are no data</title>",
            f'<rect width="{width:g}" height="{top:g}" fill="#f2f4f7"/>',
            *body,
            _text(_GAP, top - 8, "The layout, as its definition has it. The shapes show kinds, no data.", size=10),
            "</svg>",
            "",
        ]
    )


def _sheet(dashboard: Dashboard, sheet: Sheet, left: float, top: float) -> Iterator[str]:
    yield _text(left, top + 13, sheet.title, size=15, weight="bold")
    x = left
    for each in (dashboard.filter(name) for name in sheet.filters):
        width = 7.0 * len(each.title) + 24
        yield _box((x, top + 21, width, 17), fill="#ffffff", radius=8)
        yield _text(x + 8, top + 33, f"{each.title} ▾", size=10)
        x += width + 6
    y = top + _HEAD
    for row in sheet.rows:
        x = left
        for visual in row.visuals:
            box = (x + 2, y + 2, visual.width * _COLUMN - 4, row.height * _ROW - 4)
            yield from _visual(visual, box)
            x += visual.width * _COLUMN
        y += row.height * _ROW


def _visual(visual: Visual, box: Box) -> Iterator[str]:
    left, top, width, height = box
    yield _box(box, fill="#ffffff", radius=3)
    yield _text(left + 7, top + 14, visual.title, size=9.5, weight="bold")
    what = visual.kind.value + (", a click filters" if visual.click_filters else "")
    what += ", links to frames" if visual.link else ""
    yield _text(left + 7, top + 25, what, size=8, fill=_FAINT)
    inside = (left + 10, top + 31, width - 20, height - 38)
    if visual.kind is not Kind.KPI or visual.dimensions:
        yield from _SHAPES[visual.kind](inside)


def _kpi(box: Box) -> Iterator[str]:
    yield _path(box, (0.6, 0.75, 0.4, 0.65, 0.3), _MAIN)


def _line(box: Box) -> Iterator[str]:
    for heights, color in zip(_LINES, (_MAIN, _SECOND), strict=True):
        yield _path(box, heights, color)
    yield from _axes(box)


def _bars(box: Box, colors: tuple[str, ...] = (_MAIN,)) -> Iterator[str]:
    left, top, width, height = box
    step = width / len(_BARS)
    for number, share in enumerate(_BARS):
        part, y = height * share / len(colors), top + height
        for color in colors:
            y -= part
            yield _box((left + number * step + step * 0.2, y, step * 0.6, part), fill=color, radius=0)
    yield from _axes(box)


def _stacked(box: Box) -> Iterator[str]:
    yield from _bars(box, (_MAIN, _SECOND, _THIRD))


def _heat(box: Box) -> Iterator[str]:
    left, top, width, height = box
    for row in range(4):
        for column in range(10):
            shade = 0.15 + 0.85 * ((row * 7 + column * 3) % 10) / 10
            place = (left + column * width / 10, top + row * height / 4, width / 10 - 1, height / 4 - 1)
            yield _box(place, fill=_MAIN, radius=0, opacity=shade)


def _map(box: Box) -> Iterator[str]:
    left, top, width, height = box
    yield _box(box, fill="#eaf0f4", radius=2)
    yield _path(box, (0.3, 0.45, 0.4, 0.65, 0.6, 0.8), "#c3ccd6")
    for number, (x, y) in enumerate(_POINTS):
        color = (_MAIN, _SECOND, _THIRD)[number % 3]
        yield f'<circle cx="{left + x * width:.1f}" cy="{top + y * height:.1f}" r="{4 + number % 3}" fill="{color}"/>'


def _table(box: Box) -> Iterator[str]:
    left, top, width, height = box
    rows = int(height // 12)
    for row in range(rows):
        fill = "#c3ccd6" if row == 0 else _PALE
        for column in range(5):
            place = (left + column * width / 5, top + row * 12, width / 5 - 8, 5)
            yield _box(place, fill=fill, radius=1)


def _axes(box: Box) -> Iterator[str]:
    left, top, width, height = box
    yield (
        f'<path d="M{left:.1f} {top:.1f}V{top + height:.1f}H{left + width:.1f}" fill="none" stroke="{_PALE}" '
        'stroke-width="1"/>'
    )


def _path(box: Box, shares: tuple[float, ...], color: str) -> str:
    left, top, width, height = box
    base = top + height
    step = width / (len(shares) - 1)
    points = " ".join(f"{left + n * step:.1f},{base - share * height:.1f}" for n, share in enumerate(shares))
    return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.6"/>'


def _box(box: Box, *, fill: str, radius: float, opacity: float = 1.0) -> str:
    left, top, width, height = box
    faint = f' fill-opacity="{opacity:.2f}"' if opacity < 1 else ""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" fill="{fill}"'
        f"{faint}/>"
    )


def _text(x: float, y: float, text: str, *, size: float, weight: str = "normal", fill: str = _INK) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" font-weight="{weight}" fill="{fill}">{escape(text)}</text>'
    )


_SHAPES: dict[Kind, Callable[[Box], Iterator[str]]] = {
    Kind.KPI: _kpi,
    Kind.LINE: _line,
    Kind.BAR: _bars,
    Kind.STACKED_BAR: _stacked,
    Kind.HEAT_MAP: _heat,
    Kind.MAP: _map,
    Kind.TABLE: _table,
}


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when the file is as drawn, 1 where `--check` found a difference."""
    parser = argparse.ArgumentParser(
        prog="python -m smartcity.aws.dashboard.picture",
        description="Draw the dashboard's layout into an SVG file.",
        epilog="example: python -m smartcity.aws.dashboard.picture --write docs/images/dashboard.svg",
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", type=Path, metavar="FILE", help="change nothing; exit 1 where the file differs")
    mode.add_argument("--write", type=Path, metavar="FILE", help="write the file")
    options = parser.parse_args(arguments)
    drawn = picture(DASHBOARD)
    if options.write:
        options.write.write_text(drawn, encoding="utf-8")
        return 0
    if options.check.exists() and options.check.read_text(encoding="utf-8") == drawn:
        return 0
    print(
        f"{options.check}: differs from the dashboard's definition; run "
        f"`python -m smartcity.aws.dashboard.picture --write {options.check}` and commit it",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
