"""A roadside camera: draws the scene before it and gives it as JPEG. The same scene gives the same bytes."""

from __future__ import annotations

import functools
import io
import random
import re
from dataclasses import dataclass
from math import ceil

from PIL import Image, ImageDraw, ImageFont

from .scenery import LANE_M, Colour, Lens, Light, Point, backdrop, light_of, mix, precipitation, road

JPEG_QUALITY = 70
_PIECES = re.compile(r"\d|\D+")
_PAINTS: tuple[Colour, ...] = (
    (206, 208, 212), (58, 62, 70), (150, 30, 34), (40, 72, 130), (120, 124, 128), (236, 236, 232), (34, 84, 66),
    (112, 86, 60),
)  # fmt: skip
_WHITE: Colour = (255, 255, 255)
# Width, height, length in m.
_SIZES = {"car": (1.8, 1.5, 4.4), "van": (2.0, 2.4, 5.6), "bus": (2.5, 3.6, 11.0), "truck": (2.5, 3.8, 13.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """One vehicle in view."""

    distance_m: float
    """From the camera."""
    lane: int
    """0 is the nearside lane; -1 the shoulder."""
    away: bool
    """It drives away from the camera: its tail is seen."""
    kind: str
    paint: int
    ours: bool = False
    """It is one of the simulated devices."""
    beacon: str = ""
    """`hazard` or `emergency` where its lights flash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that a frame shows."""

    name: str
    """The camera's device name; it decides the scenery."""
    caption: str
    seconds: int
    width: int
    height: int
    bend: float
    urban: bool
    left_hand: bool
    lanes: int
    sun_elevation: float
    condition: str
    rain_mm_h: float
    visibility_m: float
    cloud: float
    vehicles: tuple[Passing, ...]


def snapshot(scene: Scene) -> bytes:
    """The scene as JPEG."""
    snow, wet = scene.condition == "snow", scene.condition == "rain"
    lens = Lens(width=scene.width, height=scene.height, bend=scene.bend)
    light = light_of(
        sun_elevation=scene.sun_elevation, cloud=scene.cloud, visibility_m=scene.visibility_m, wet=wet or snow
    )
    image = backdrop(lens, light, name=scene.name, urban=scene.urban, cloud=scene.cloud, snow=snow)
    draw = ImageDraw.Draw(image)
    road(draw, lens, light, lanes=scene.lanes, wet=wet, snow=snow)
    for vehicle in sorted(scene.vehicles, key=lambda vehicle: -vehicle.distance_m):
        _vehicle(draw, lens, light, scene, vehicle)
    if wet or snow:
        rng = random.Random(f"{scene.name}:{scene.seconds}")
        precipitation(draw, lens, light, mm_h=scene.rain_mm_h, snow=snow, rng=rng)
    strip = round(scene.height / 15)
    draw.rectangle((0, scene.height - strip, scene.width, scene.height), fill=(16, 18, 22))
    _write(draw, scene.height - strip + 1, scene.caption, max(strip - 6, 6))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def _write(draw: ImageDraw.ImageDraw, top: int, text: str, size: int) -> None:
    """Text from drawn pieces: only its digits change from frame to frame, and to draw all of it anew takes longer than
    to write the JPEG."""
    x = 6.0
    for piece in _PIECES.findall(text):
        mask, width = _piece(piece, size)
        draw.bitmap((round(x), top), mask, fill=(235, 238, 240))
        x += width


@functools.lru_cache(maxsize=1024)
def _piece(text: str, size: int) -> tuple[Image.Image, float]:
    """Drawn in white on black, and how far it moves what follows, in pixels."""
    font = _font(size)
    width = font.getlength(text)
    mask = Image.new("L", (ceil(width) + 1, 2 * size))
    ImageDraw.Draw(mask).text((0, 0), text, fill=255, font=font)
    return mask, width


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _vehicle(draw: ImageDraw.ImageDraw, lens: Lens, light: Light, scene: Scene, vehicle: Passing) -> None:
    """A box with the face that looks at the camera, its roof, a window, wheels, and its lights."""
    width, height, length = _SIZES[vehicle.kind]
    side = 1 if vehicle.away is not scene.left_hand else -1
    centre = side * (0.8 + (scene.lanes - vehicle.lane - 0.5) * LANE_M)
    near = vehicle.distance_m
    left, right = centre - width / 2, centre + width / 2
    x0, bottom = lens.project(left, near)
    x1, top = lens.project(right, near, height)
    paint: Colour = (244, 196, 40) if vehicle.ours else _PAINTS[vehicle.paint % len(_PAINTS)]
    if vehicle.beacon == "emergency":
        paint = (232, 234, 236)
    pixel = (x1 - x0) / width
    draw.ellipse((x0 - pixel * 0.2, bottom - pixel * 0.25, x1 + pixel * 0.2, bottom + pixel * 0.3),
                 fill=light.on((44, 46, 50), near))  # fmt: skip
    far = near + length
    roof = [(x0, top), lens.project(left, far, height), lens.project(right, far, height), (x1, top)]
    draw.polygon(roof, fill=light.on(mix(paint, (255, 255, 255), 0.25), near))
    flank = left if centre > 1.5 else right
    edge = x0 if centre > 1.5 else x1
    draw.polygon([(edge, top), lens.project(flank, far, height), lens.project(flank, far), (edge, bottom)],
                 fill=light.on(mix(paint, (0, 0, 0), 0.3), near))  # fmt: skip
    draw.rectangle((x0, top, x1, bottom - pixel * 0.15), fill=light.on(paint, near))
    if pixel > 2.0:
        glass = light.on((48, 58, 70), near)
        draw.rectangle((x0 + pixel * 0.2, top + pixel * 0.12, x1 - pixel * 0.2, top + pixel * min(height * 0.42, 0.9)),
                       fill=glass)  # fmt: skip
        for wheel in (x0, x1 - pixel * 0.3):
            draw.rectangle(
                (wheel, bottom - pixel * 0.25, wheel + pixel * 0.3, bottom), fill=light.on((20, 20, 22), near)
            )
    _lamps(draw, light, scene, vehicle, (x0, x1, top, bottom))


def _lamps(
    draw: ImageDraw.ImageDraw, light: Light, scene: Scene, vehicle: Passing, box: tuple[float, float, float, float]
) -> None:
    """Head or tail lamps in the dark and in bad weather, hazard lights and beacons always; wet roads mirror them."""
    x0, x1, top, bottom = box
    pixel = (x1 - x0) / _SIZES[vehicle.kind][0]
    y = bottom - pixel * 0.65
    dark = light.daylight < 0.45 or scene.condition in ("fog", "rain", "snow")
    base = light.on((70, 70, 72), vehicle.distance_m)
    if dark:
        colour: Colour = (226, 30, 30) if vehicle.away else (255, 246, 214)
        spread = 0.24 if vehicle.away else 0.34 + 0.22 * (1.0 - light.daylight)
        if not vehicle.away and light.daylight < 0.5:
            spot = mix(base, (250, 240, 205), 0.3 * (1.0 - light.daylight))
            draw.ellipse((x0 - pixel * 0.3, bottom - pixel * 0.1, x1 + pixel * 0.3, bottom + pixel * 1.3), fill=spot)
        for x in (x0 + pixel * 0.25, x1 - pixel * 0.25):
            if scene.condition == "rain":
                draw.line(
                    (x, bottom, x, bottom + pixel * 2.2), fill=mix(base, colour, 0.45), width=max(1, int(pixel / 5))
                )
            _glow(draw, (x, y), pixel * spread + 0.5, colour, base)
    flash = scene.seconds // 60 % 2 == 0
    if vehicle.beacon == "hazard":
        for x in (x0 + pixel * 0.15, x1 - pixel * 0.15):
            _glow(draw, (x, y - pixel * 0.2), pixel * 0.3 + 1.2, (255, 150, 20), base)
    elif vehicle.beacon == "emergency":
        blue, red = (60, 110, 255), (255, 40, 40)
        pair = (blue, blue) if scene.left_hand else (blue, red) if flash else (red, blue)
        for x, colour in zip((x0 + pixel * 0.4, x1 - pixel * 0.4), pair, strict=True):
            _glow(draw, (x, top - pixel * 0.1), pixel * 0.5 + 2.0, colour, base)


def _glow(draw: ImageDraw.ImageDraw, at: Point, radius: float, colour: Colour, base: Colour) -> None:
    """A lamp: a halo in two steps, and its bright middle."""
    x, y = at
    core = mix(colour, _WHITE, 0.5 if min(colour) > 200 else 0.15)
    for size, fill in (
        (1.0, mix(base, colour, 0.22)),
        (0.72, mix(base, colour, 0.6)),
        (0.45, core),
    ):
        r = radius * size
        draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
