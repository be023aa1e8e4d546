"""Frames: JPEGs of the set size that show what the scene says. The pixels are judged where the meaning is."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from PIL import Image, ImageChops, ImageStat

from smartcity.sim.sensors.camera import Passing, Scene, snapshot

SCENE = Scene(
    name="wt-cam-05", caption="2026-11-20 15:00:00 UTC  wt-cam-05", seconds=1_795_000_000, width=480, height=270,
    bend=0.0, urban=False, left_hand=False, lanes=3, sun_elevation=30.0, condition="clear", rain_mm_h=0.0,
    visibility_m=25_000.0, cloud=0.2, vehicles=(),
)  # fmt: skip
CAR = Passing(distance_m=40.0, lane=1, away=True, kind="car", paint=2)


def picture(scene: Scene) -> Image.Image:
    return Image.open(io.BytesIO(snapshot(scene))).convert("RGB")


def brightness(scene: Scene) -> float:
    return float(sum(ImageStat.Stat(picture(scene)).mean)) / 3


@pytest.mark.parametrize("size", [(480, 270), (640, 360), (320, 240)])
def test_a_frame_is_a_jpeg_of_the_set_size(size: tuple[int, int]) -> None:
    frame = snapshot(replace(SCENE, width=size[0], height=size[1]))
    image = Image.open(io.BytesIO(frame))
    image.load()
    assert (image.format, image.size) == ("JPEG", size)
    assert len(frame) < 40_000


def test_the_same_scene_gives_the_same_bytes() -> None:
    scene = replace(SCENE, condition="rain", rain_mm_h=4.0, vehicles=(CAR,))
    assert snapshot(scene) == snapshot(replace(scene))
    assert snapshot(scene) != snapshot(replace(scene, seconds=scene.seconds + 60))


def test_night_is_darker_than_dusk_than_day() -> None:
    night, dusk, day = (brightness(replace(SCENE, sun_elevation=sun)) for sun in (-20.0, 0.0, 30.0))
    assert night + 10 < dusk < day - 10


def test_fog_takes_the_contrast_away() -> None:
    def contrast(scene: Scene) -> float:
        return float(sum(ImageStat.Stat(picture(scene).crop((0, 60, 480, 140))).stddev))

    assert contrast(replace(SCENE, condition="fog", visibility_m=150.0)) < contrast(SCENE) / 2


@pytest.mark.parametrize("condition", ["rain", "snow"])
def test_precipitation_shows(condition: str) -> None:
    dry = replace(SCENE, cloud=1.0, condition="cloudy", visibility_m=5_000.0)
    assert snapshot(replace(dry, condition=condition, rain_mm_h=5.0)) != snapshot(dry)


@pytest.mark.parametrize("left_hand", [False, True])
def test_vehicles_that_drive_away_keep_to_their_side(left_hand: bool) -> None:
    scene = replace(SCENE, left_hand=left_hand)
    empty, busy = picture(scene), picture(replace(scene, vehicles=(CAR,)))
    changed = ImageChops.difference(empty, busy).convert("L").point(lambda value: 255 * (value > 40)).getbbox()
    assert changed is not None
    middle = (changed[0] + changed[2]) / 2
    assert middle < 240 if left_hand else middle > 240


def test_our_vehicles_are_yellow() -> None:
    image = picture(replace(SCENE, vehicles=(replace(CAR, ours=True),)))
    yellow = sum(r > 200 and g > 150 and b < 100 for r, g, b in _pixels(image))
    assert yellow > 40


def test_an_incident_flashes() -> None:
    night = replace(SCENE, sun_elevation=-20.0)
    vehicles = (replace(CAR, beacon="hazard"), replace(CAR, distance_m=30.0, lane=-1, kind="van", beacon="emergency"))

    def count(scene: Scene, hue: str) -> int:
        pixels = _pixels(picture(scene))
        if hue == "blue":
            return sum(b > 180 and r < 150 for r, _, b in pixels)
        return sum(r > 200 and 90 < g < 210 and b < 110 for r, g, b in pixels)

    scene = replace(night, vehicles=vehicles)
    quiet = replace(night, vehicles=tuple(replace(one, beacon="") for one in vehicles))
    assert count(scene, "blue") > count(quiet, "blue") + 10
    assert count(scene, "orange") > count(quiet, "orange") + 5
    later = replace(scene, seconds=scene.seconds + 60)
    assert snapshot(replace(scene, caption="")) != snapshot(replace(later, caption="")), "red and blue change places"


def test_the_caption_is_drawn() -> None:
    strip = picture(SCENE).crop((0, 254, 300, 270))
    assert strip.convert("L").getextrema()[1] > 180


def _pixels(image: Image.Image) -> list[tuple[int, ...]]:
    return list(zip(*[iter(image.tobytes())] * 3, strict=True))
