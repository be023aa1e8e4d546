"""What a vehicle's page is given: history, raw payloads with their meaning, presence. No I/O."""

from __future__ import annotations

import json
import sys
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartcity.contracts.status import Status
from smartcity.contracts.streams import GPS, VEHICLE, Stream
from smartcity.dashboard.logbook import COLUMNS, History, Logbook
from smartcity.dashboard.native import Line
from smartcity.dashboard.nmea import explain_nmea
from smartcity.dashboard.obd import PIDS, engine_values, explain_obd
from smartcity.dashboard.observe import Presence, Sighting
from smartcity.dashboard.presence import Roll
from smartcity.dashboard.settings import HISTORY_POINTS_MAX, RAW_BYTES_MAX

BURST = (
    b"$GPRMC,081836.00,A,3751.65000,S,14507.36000,E,010.000,270.00,130926,,,A*7D\r\n"
    b"$GPGGA,081836.00,3751.65000,S,14507.36000,E,1,08,0.98,61.7,M,-36.0,M,,*55\r\n"
    b"$GPGSA,A,3,02,05,10,,,,,,,,,,1.56,0.88,1.27*02\r\n"
    b"$GPGSV,1,1,02,02,43,210,38,05,12,022,28*7A\r\n"
)
POLL = (
    b"7E8 03 41 05 80 \r\r>7E8 04 41 0C 1A F8 \r\r>7E8 03 41 0D 5A \r\r>7E8 03 41 2F 80 \r\r>7E8 04 43 01 01 71 \r\r>"
)


def values(line: Line) -> dict[str, str]:
    return {piece.name: piece.value for piece in line.pieces}


def test_each_field_of_a_burst_says_what_it_means() -> None:
    rmc, gga, gsa, gsv = explain_nmea(BURST)
    assert [line.trouble for line in (rmc, gga, gsa, gsv)] == [None] * 4
    assert values(rmc)["latitude"] == "-37.860833°"
    assert values(rmc)["longitude"] == "145.122667°"
    assert values(rmc)["speed, knots"] == "18.5 km/h"
    assert values(rmc)["date"] == "2026-09-13"
    assert values(gga)["height above the sea"] == "61.7 m"
    assert values(gga)["quality"] == "GPS"
    assert values(gsa)["satellites used"] == "3 of them"
    assert values(gsa)["HDOP, across"] == "0.88"
    assert values(gsv)["satellite 2"] == "43° high, towards 210°, 38 dB-Hz"
    # Every piece is a part of its line, in the line's order.
    for line in (rmc, gga, gsa, gsv):
        at = 0
        for piece in line.pieces:
            assert piece.raw in line.text
            at = line.text.index(piece.raw, at) + len(piece.raw)


def test_a_wrong_checksum_is_told_with_the_right_one() -> None:
    line = explain_nmea(BURST.replace(b"*7D", b"*7E"))[0]
    assert line.trouble == "its checksum is 7E, but its characters give 7D"
    assert line.pieces == ()


def test_each_byte_of_an_answer_says_what_it_means() -> None:
    coolant, rpm, speed, fuel, codes = explain_obd(POLL)
    assert coolant.title == "Coolant temperature: 88 °C"
    assert rpm.title == "Engine speed: 1726 1/min"
    assert [(piece.raw, piece.value) for piece in rpm.pieces] == [
        ("7E8", "engine"), ("04", "4"), ("41", "current data"), ("0C", "engine speed"), ("1A F8", "1726 1/min"),
    ]  # fmt: skip
    assert rpm.pieces[-1].name == "(256 · 26 + 248) / 4 ="
    assert speed.title == "Speed: 90 km/h"
    assert fuel.title == "Fuel level: 50.2 %"
    assert codes.title == "Trouble codes: P0171"


@pytest.mark.parametrize("text", ["NO DATA", "7E8 04 41 0C 1A", "41 0C", "zz", "7F 01 12", "7E8 10 08 41 0C", "7E8"])
def test_other_answers_are_shown_as_they_came(text: str) -> None:
    (line,) = explain_obd(text.encode())
    assert line.text == text


@given(st.binary(max_size=400))
def test_no_payload_breaks_a_vehicles_page(payload: bytes) -> None:
    book = Logbook(lambda: 1.0)
    for stream in (GPS, VEHICLE):
        book.apply(sighting(payload, stream))
    json.dumps(book.shown("dev-1", 0.0), allow_nan=False)


@given(st.sampled_from(sorted(PIDS)), st.binary(min_size=2, max_size=2))
def test_the_chart_and_the_explanation_agree(code: int, data: bytes) -> None:
    pid = PIDS[code]
    text = " ".join(f"{byte:02X}" for byte in (2 + pid.length, 0x41, code, *data[: pid.length]))
    (line,) = explain_obd(f"7E8 {text} \r\r>".encode())
    read = engine_values(f"7E8 {text} \r\r>".encode())
    for value in read.values():
        assert line.title.endswith(f"{round(value, 2):g} {pid.unit}")


def sighting(payload: bytes, stream: Stream = VEHICLE, *, device: str = "dev-1", shown: Any = None) -> Sighting:
    return Sighting(
        device_id=device, stream=stream, boot=None, sequence=0, time=None, sent_ms=None, shown=shown or {},
        payload=payload,
    )  # fmt: skip


def book_at(times: list[float]) -> Logbook:
    """A book whose clock gives these times, one a reading."""
    clock = iter(times)
    book = Logbook(lambda: next(clock))
    for _ in times:
        book.apply(sighting(POLL))
    return book


def test_a_history_has_the_newest_points_in_their_order() -> None:
    count = HISTORY_POINTS_MAX + 17
    shown = book_at([float(second) for second in range(1000, 1000 + count)]).shown("dev-1", 0.0)
    assert shown is not None
    assert [row[0] for row in shown["rows"]] == list(range(1000 + 17, 1000 + count))
    assert shown["columns"] == ("at", *COLUMNS)
    assert shown["rows"][0][1:] == [90.0, 1726.0, pytest.approx(50.2), 88.0]


def test_a_page_gets_the_points_that_it_has_not() -> None:
    shown = book_at([1.0, 2.0, 3.0]).shown("dev-1", 2.0)
    assert shown is not None
    assert [row[0] for row in shown["rows"]] == [3.0]


def test_readings_that_come_fast_make_no_more_points() -> None:
    shown = book_at([10 + index / 60 for index in range(240)]).shown("dev-1", 0.0)
    assert shown is not None
    assert len(shown["rows"]) == 4


def test_a_vehicle_without_an_engine_reading_has_its_speed_from_gps() -> None:
    book = Logbook(lambda: 5.0)
    book.apply(sighting(BURST, GPS, shown={"speed": 18.5}))
    shown = book.shown("dev-1", 0.0)
    assert shown is not None
    assert shown["rows"] == [[5.0, 18.5, None, None, None]]


def test_what_is_kept_of_a_vehicle_is_bounded() -> None:
    history = History()
    for second in range(10 * HISTORY_POINTS_MAX):
        history.add(float(second), (1.0, 2.0, 3.0, 4.0))
    columns = [history._at, *history._values]
    assert all(isinstance(column, array) and len(column) == HISTORY_POINTS_MAX for column in columns)
    assert sum(sys.getsizeof(column) for column in columns) < 10_000
    book = Logbook(lambda: 1.0)
    book.apply(sighting(b"x" * 1_000_000))
    shown = book.shown("dev-1", 0.0)
    assert shown is not None
    assert shown["raw"]["vehicle"]["bytes"] == 1_000_000
    assert shown["raw"]["vehicle"]["cut"]
    assert len(book._pages["dev-1"].raw["vehicle"].payload) == RAW_BYTES_MAX


def test_since_when_a_device_is_there() -> None:
    clock = iter((10.0, 20.0, 30.0, 40.0))
    roll = Roll(lambda: next(clock))

    def said(state: Any, *, retained: bool = False, pending: int = 0) -> bool:
        status = Status(state=state, boot="b", sequence=1, pending=pending)
        return roll.apply(Presence(device_id="dev-1", status=status, retained=retained))

    assert said("online", retained=True, pending=7)
    assert not said("online", pending=3)
    heard = roll.of("dev-1")
    assert heard is not None
    assert (heard.since, heard.since_at_least, heard.at) == (10.0, True, 20.0)
    assert roll.sums() == {"online": 1, "offline": 0, "pending": 3, "refused": 0, "dropped": 0}
    assert said("offline")
    heard = roll.of("dev-1")
    assert heard is not None
    assert (heard.since, heard.since_at_least) == (30.0, False)
    assert roll.sums() == {"online": 0, "offline": 1, "pending": 0, "refused": 0, "dropped": 0}
