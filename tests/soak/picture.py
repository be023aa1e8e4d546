"""A soak's samples as one SVG: memory by service, files and snapshots, batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

WIDTH, PANEL, GAP, LEFT, RIGHT, TOP = 960, 190, 62, 70, 170, 44
COLOURS = ("#2a6f97", "#c04545", "#4d8b55", "#b7791f", "#6b4fa1", "#3f4a56", "#d0679d", "#1b9aaa", "#8c99a8")
MIB = 1024 * 1024

Samples = Sequence[Mapping[str, Any]]
Lines = Mapping[str, Sequence[float]]


def draw(samples: Samples, *, speed: float) -> str:
    """The SVG. Its horizontal axis is simulated hours."""
    hours = [sample["at_s"] * speed / 3600 for sample in samples]
    panels: list[tuple[str, Lines]] = [
        ("Memory (PSS), MiB", _named(samples, "memory", lambda size: size / MIB, without=("lake JVM",))),
        ("Data files, all days", _named(samples, "files", float)),
        ("Snapshots", _named(samples, "snapshots", float)),
        ("Rows in the lake, thousands", {"all tables": [sum(sample["rows"].values()) / 1000 for sample in samples]}),
        ("Last batch, seconds", {"batch": [sample["batch_s"] for sample in samples]}),
    ]
    height = TOP + len(panels) * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="system-ui, \'DejaVu Sans\', sans-serif" font-size="12">',
        f"<title>{hours[-1]:.1f} simulated hours of a running stack</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, (title, lines) in enumerate(panels):
        parts += _panel(title, hours, lines, top=TOP + number * (PANEL + GAP))
    return "\n".join([*parts, "</svg>", ""])


def _named(
    samples: Samples, field: str, scale: Callable[[float], float], without: Sequence[str] = ()
) -> dict[str, list[float]]:
    names = [name for name in samples[-1][field] if name not in without]
    return {name: [scale(sample[field].get(name, 0)) for sample in samples] for name in names}


def _panel(title: str, hours: Sequence[float], lines: Lines, *, top: int) -> list[str]:
    highest = max([1.0, *(value for values in lines.values() for value in values)]) * 1.05
    width = WIDTH - LEFT - RIGHT
    last = max(hours[-1], 1e-9)

    def x(hour: float) -> float:
        return round(LEFT + width * hour / last, 1)

    def y(value: float) -> float:
        return round(top + PANEL * (1 - value / highest), 1)

    parts = [f'<text x="{LEFT}" y="{top - 10}" font-weight="600" fill="#1b2430">{title}</text>']
    for share in (0.0, 0.5, 1.0):
        value = share * highest / 1.05
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + width}" y1="{y(value)}" y2="{y(value)}" stroke="#e3e8ee"/>')
        text = f"{value:.0f}" if highest >= 10 else f"{value:.1f}"
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4}" text-anchor="end" fill="#5b6673">{text}</text>')
    for part in range(6):
        hour = last * part / 5
        parts.append(
            f'<text x="{x(hour)}" y="{top + PANEL + 18}" text-anchor="middle" fill="#5b6673">{hour:.0f} h</text>'
        )
    for third in (1, 2):
        at = x(last * third / 3)
        parts.append(
            f'<line x1="{at}" x2="{at}" y1="{top}" y2="{top + PANEL}" stroke="#b9c2cc" stroke-dasharray="3 4"/>'
        )
    for number, (name, values) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(hour)},{y(value)}" for hour, value in zip(hours, values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        label = top + 12 + 18 * number
        parts.append(f'<rect x="{LEFT + width + 14}" y="{label - 9}" width="12" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + width + 32}" y="{label}" fill="#1b2430">{name}</text>')
    return parts
