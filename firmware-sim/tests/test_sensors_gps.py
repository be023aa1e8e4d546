"""NMEA bursts, read back by pynmea2 with checksums on."""

from __future__ import annotations

import functools
import operator

import pynmea2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartcity.sim.sensors.gps import Fix, Sky, burst, sentence

NOON = 1_795_000_000
VIEW = Sky(1).view(NOON, 0)


def read(fix: Fix) -> dict[str, pynmea2.NMEASentence]:
    lines = burst(fix, VIEW, "120000.00", "201126").decode("ascii").split("\r\n")[:-1]
    return {line[3:6]: pynmea2.parse(line, check=True) for line in lines}


@settings(deadline=None)
@given(
    latitude=st.floats(-89.9, 89.9),
    longitude=st.floats(-180, 180),
    altitude=st.floats(-100, 8_000),
    speed=st.floats(0, 120),
    course=st.none() | st.floats(0, 359.99),
)
def test_positions_and_speeds_survive(**values: float) -> None:
    found = read(Fix(**values, geoid_m=-36.2))
    for kind in ("RMC", "GGA"):
        assert found[kind].latitude == pytest.approx(values["latitude"], abs=1e-7)
        assert found[kind].longitude == pytest.approx(values["longitude"], abs=1e-7)
    assert found["RMC"].spd_over_grnd * 1852 / 3600 == pytest.approx(values["speed"], abs=0.001)
    assert float(found["VTG"].spd_over_grnd_kmph) / 3.6 == pytest.approx(values["speed"], abs=0.001)
    assert found["GGA"].altitude == pytest.approx(values["altitude"], abs=0.051)
    if values["course"] is None:
        assert found["RMC"].true_course is None
    else:
        assert found["RMC"].true_course == pytest.approx(values["course"], abs=0.006)


def test_minutes_never_print_as_sixty() -> None:
    found = read(Fix(latitude=43.99999999999, longitude=-0.000000001, altitude=0, speed=0, course=None, geoid_m=0))
    assert found["RMC"].lat == "4400.00000"
    assert found["RMC"].lon == "00000.00000"


@settings(deadline=None)
@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="$*"), max_size=110))
def test_checksum_is_the_exclusive_or_of_the_body(body: str) -> None:
    made = sentence(body)
    assert made == f"${body}*{functools.reduce(operator.xor, body.encode(), 0):02X}\r\n"


def test_sentences_keep_to_the_length_of_the_standard() -> None:
    """NMEA 0183 allows 82 characters from `$` to CRLF; RMC with seven decimals is where receivers overrun."""
    text = burst(
        Fix(latitude=-43.5, longitude=-180.0, altitude=8_000.0, speed=69.0, course=359.9, geoid_m=-36.2), VIEW,
        "235959.00", "311226",
    ).decode()  # fmt: skip
    assert max(len(line) + 2 for line in text.split("\r\n")) <= 82


def test_the_sky_wanders_and_is_seeded() -> None:
    sky = Sky(1)
    assert sky.view(NOON, 0) is sky.view(NOON + 1, 8), "cached for half a minute and by variant"
    assert sky.view(NOON, 0).sentences == VIEW.sentences
    assert sky.view(NOON + 3_600, 0).sentences != VIEW.sentences
    assert Sky(2).view(NOON, 0).sentences != VIEW.sentences


def test_every_view_has_a_fix() -> None:
    for seed in range(4):
        sky = Sky(seed)
        for seconds in range(NOON, NOON + 90_000, 900):
            view = sky.view(seconds, seconds // 900)
            assert 4 <= view.used <= 12
            assert 0.5 < float(view.hdop) < 3.0
