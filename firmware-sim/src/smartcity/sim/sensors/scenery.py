"""What a roadside camera sees when no vehicle passes: sky, horizon, road in perspective, rain, snow and fog."""

from __future__ import annotations

import functools
import itertools
import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

LANE_M = 3.6
_HEIGHT_M = 8.0
_SHOULDER_M = 2.6
_MEDIAN_M = 1.6
_STRIPS_M = (17.0, 20.0, 24.0, 30.0, 40.0, 56.0, 80.0, 125.0, 220.0, 450.0, 1800.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """A camera 8 m above the road, looking along it. `bend` is the road's curvature in 1/m."""

    width: int
    height: int
    bend: float

    @property
    def horizon(self) -> float:
        return self.height * 0.36

    def project(self, lateral_m: float, distance_m: float, above_m: float = 0.0) -> Point:
        """Pixel of a point `lateral_m` right of the median, `distance_m` ahead, `above_m` above the road."""
        scale = self.width * 0.9 / distance_m
        x = lateral_m - 1.5 + self.bend * distance_m * distance_m / 2
        return self.width * 0.5 + scale * x, self.horizon + scale * (_HEIGHT_M - above_m)


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """The light of the hour and the air between camera and things."""

    daylight: float
    """0 at night, 1 by day."""
    sky: Colour
    """Colour at the horizon, into which far things fade."""
    zenith: Colour
    visibility_m: float

    def on(self, colour: Colour, distance_m: float) -> Colour:
        """A thing's colour as it arrives at the camera."""
        lit = 0.3 + 0.7 * self.daylight
        return mix((colour[0] * lit, colour[1] * lit, colour[2] * lit), self.sky, self.veil(distance_m))

    def paint(self, colour: Colour, distance_m: float) -> Colour:
        """As `on`, for markings that throw the light of headlamps back."""
        lit = 0.55 + 0.45 * self.daylight
        return mix((colour[0] * lit, colour[1] * lit, colour[2] * lit), self.sky, self.veil(distance_m))

    def veil(self, distance_m: float) -> float:
        """Share of the air in what is seen (Koschmieder: contrast falls to 5 % at the visibility)."""
        return 1.0 - math.exp(-3.0 * distance_m / self.visibility_m)


def mix(a: tuple[float, float, float], b: tuple[float, float, float], share: float) -> Colour:
    """`a` with a share of `b`."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def light_of(*, sun_elevation: float, cloud: float, visibility_m: float, wet: bool) -> Light:
    """Day above 8°, night below -8°, dusk or dawn between; clouds and bad air take the colours away."""
    daylight = min(max((sun_elevation + 8.0) / 16.0, 0.0), 1.0)
    daylight *= 1.0 - 0.3 * cloud
    zenith = mix((10, 14, 30), mix((62, 122, 198), (128, 136, 148), cloud), daylight)
    sky = mix((26, 30, 46), mix((186, 212, 236), (176, 182, 190), cloud), daylight)
    glow = max(0.0, 1.0 - abs(sun_elevation) / 8.0) * (1.0 - cloud)
    sky = mix(sky, (246, 158, 92), 0.75 * glow)
    if wet or visibility_m < 2_000:
        zenith = mix(zenith, sky, 0.6)
    return Light(daylight=daylight, sky=sky, zenith=zenith, visibility_m=max(visibility_m, 60.0))


def backdrop(lens: Lens, light: Light, *, name: str, urban: bool, cloud: float, snow: bool) -> Image.Image:
    """Sky with clouds or stars, the silhouette of the place, and the verge."""
    horizon = round(lens.horizon)
    column = Image.new("RGB", (1, 2))
    column.putpixel((0, 0), light.zenith)
    column.putpixel((0, 1), light.sky)
    image = Image.new("RGB", (lens.width, lens.height), light.sky)
    image.paste(column.resize((lens.width, horizon), Image.Resampling.BILINEAR), (0, 0))
    draw = ImageDraw.Draw(image)
    shapes, outline, windows = _silhouette(name, lens.width, horizon, urban)
    clouds_shown = 0 if light.veil(800.0) > 0.9 else cloud * len(shapes)
    tone = mix(light.sky, (255, 255, 255) if light.daylight > 0.3 else (60, 64, 78), 0.45)
    for index, (x, y, w, h) in enumerate(shapes):
        if index < clouds_shown:
            fill = mix(tone, light.zenith, 0.3 + 0.2 * (index % 3))
            draw.rounded_rectangle((x, y + h * 0.45, x + w, y + h), h * 0.27, fill=fill)
            draw.ellipse((x + w * 0.12, y + h * 0.15, x + w * 0.5, y + h), fill=fill)
            draw.ellipse((x + w * 0.38, y - h * 0.15, x + w * 0.82, y + h), fill=fill)
    if light.daylight < 0.1 and cloud < 0.5:
        for x, y, _, _ in shapes:
            draw.point((x, y * 0.8), fill=(190, 196, 210))
            draw.point((lens.width - x, y * 0.5), fill=(150, 156, 175))
    draw.polygon(outline, fill=light.on((88, 96, 108) if urban else (58, 84, 62), 900.0))
    if urban and light.daylight < 0.45:
        for x, y in windows:
            draw.rectangle((x, y, x + 1, y + 1), fill=mix((250, 214, 130), light.sky, 0.35 + 0.5 * light.veil(600.0)))
    grass = (226, 230, 234) if snow else (104, 106, 100) if urban else (86, 120, 66)
    for (near, far), distance in zip(_strip_rows(lens), _STRIPS_M, strict=False):
        draw.rectangle((0, far, lens.width, near), fill=light.on(grass, distance))
    return image


def road(draw: ImageDraw.ImageDraw, lens: Lens, light: Light, *, lanes: int, wet: bool, snow: bool) -> None:
    """Both carriageways with shoulders, the barrier between them, and the lane markings."""
    asphalt: Colour = (70, 74, 82) if wet else (98, 98, 100)
    asphalt = (150, 152, 156) if snow else asphalt
    width = _MEDIAN_M / 2 + lanes * LANE_M + _SHOULDER_M
    for near, far in itertools.pairwise(_STRIPS_M):
        for side in (-1, 1):
            inner, outer = side * _MEDIAN_M / 2, side * width
            corners = [lens.project(*at) for at in ((inner, near), (outer, near), (outer, far), (inner, far))]
            draw.polygon(corners, fill=light.on(asphalt, near))
        base, top = light.on((150, 150, 148), near), light.on((196, 196, 192), near)
        draw.polygon([lens.project(-0.5, near), lens.project(0.5, near), lens.project(0.5, far),
                      lens.project(-0.5, far)], fill=base)  # fmt: skip
        draw.polygon([lens.project(-0.3, near, 0.9), lens.project(0.3, near, 0.9), lens.project(0.3, far, 0.9),
                      lens.project(-0.3, far, 0.9)], fill=top)  # fmt: skip
    for side in (-1, 1):
        edge = side * (_MEDIAN_M / 2 + lanes * LANE_M)
        line = [lens.project(edge, distance) for distance in _STRIPS_M[:8]]
        draw.line(line, fill=light.paint((232, 228, 210), 40.0), width=1)
        for lane in range(1, lanes):
            x = side * (_MEDIAN_M / 2 + lane * LANE_M)
            for distance in (18.0, 26.0, 34.0, 42.0, 52.0, 64.0, 80.0, 100.0, 125.0):
                ends = (lens.project(x, distance), lens.project(x, distance + 3.5))
                draw.line(ends, fill=light.paint((228, 228, 224), distance), width=2 if distance < 35 else 1)


def precipitation(
    draw: ImageDraw.ImageDraw, lens: Lens, light: Light, *, mm_h: float, snow: bool, rng: random.Random
) -> None:
    """Streaks of rain or flakes of snow before the lens; more of them the harder it falls."""
    tone = mix(light.sky, (240, 244, 250), 0.35 + 0.2 * light.daylight)
    width, height, uniform = lens.width, lens.height, rng.random
    for _ in range(min(round(25 + 18 * mm_h), 220)):
        x, y = uniform() * width, uniform() * height
        if snow:
            size = 1 + 2 * uniform()
            draw.ellipse((x, y, x + size, y + size), fill=tone)
        else:
            length = 6 + 12 * uniform()
            draw.line((x, y, x - length * 0.18, y + length), fill=tone)


@functools.lru_cache(maxsize=8)
def _strip_rows(lens: Lens) -> tuple[tuple[float, float], ...]:
    """First and last pixel row of each strip of ground."""
    rows = [lens.project(0.0, distance)[1] for distance in _STRIPS_M]
    rows[0], rows[-1] = float(lens.height), lens.horizon
    return tuple(itertools.pairwise(rows))


@functools.lru_cache(maxsize=256)
def _silhouette(
    name: str, width: int, horizon: int, urban: bool
) -> tuple[list[tuple[float, float, float, float]], list[Point], list[Point]]:
    """Of a place, always the same: clouds (boxes), the outline on the horizon, lit windows."""
    rng = random.Random(f"{name}:scenery")
    clouds = [
        (rng.uniform(-40, width), rng.uniform(4, horizon * 0.6), rng.uniform(50, 130), rng.uniform(8, 22))
        for _ in range(14)
    ]
    outline: list[Point] = [(0, horizon + 2)]
    windows: list[Point] = []
    x = 0.0
    while x < width:
        step = rng.uniform(12, 34) if urban else rng.uniform(5, 12)
        rise = rng.uniform(8, 52) * (1.2 - abs(x / width - 0.5)) if urban else 5 + rng.uniform(0, 9)
        top = horizon - rise
        if urban:
            outline += [(x, top), (x + step, top)]
            windows += [(x + rng.uniform(2, step - 2), rng.uniform(top + 3, horizon)) for _ in range(int(rise / 4))]
        else:
            outline += [(x, top + 3), (x + step / 2, top), (x + step, top + 4)]
        x += step
    outline += [(width, horizon + 2)]
    return clouds, outline, windows
